"""What each part of training is worth: jobs without it, on the fixed small set of tiny.toml.

    python -m benchmarks.agent.ablations [--config muzero/configs/tiny.toml] [--seeds 3] [--minutes 5]
        [--out out/ablations] [--processes 1]

All jobs play the same problems for the same minutes, each of three seeds: ``full`` as the config says; ``no
reanalyse``; ``no board``, whose network does not see it; ``no search``, where the policy plays alone and the best
episode of each problem is imitated; ``learned model`` in the tree instead of the exact rules. Printed: the score (see
``benchmarks.agent.learning``) of the policy alone, of the policy as the job plays it, and of the best episodes found,
each as the mean over the seeds and the lowest and highest seed. What is in the folder is not run again. Several
processes have a core each: give the machine as many as it has, or none of them has the time that it is said to have.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agent.learning import trained
from muzero.training.config import ImitationConfig, TrainConfig, load_config

WHO = ("policy", "search", "best")


def ablations(full: TrainConfig) -> dict[str, TrainConfig]:
    """By name: the config, and what it is without each part."""
    return {
        "full": full,
        "no reanalyse": replace(full, self_play=replace(full.self_play, reanalysed=0)),
        "no board": replace(full, board=False),
        "no search": replace(
            full, search=replace(full.search, variant="policy-alone"), imitation=ImitationConfig(share=0.5)
        ),
        "learned model": replace(full, search=replace(full.search, variant="learned-model")),
    }


def last_row(job: tuple[TrainConfig, Path], core: int | None = None) -> dict[str, Any]:
    """Of the metrics of a job, which is run if it was not; on one core if it is named."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    return trained(*job)[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("muzero/configs/tiny.toml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("out/ablations"))
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    configs = ablations(load_config(options.config))
    jobs = [
        (
            replace(config, seed=seed, minutes=options.minutes),
            options.out / name.replace(" ", "-") / f"seed-{seed}",
        )
        for name, config in configs.items()
        for seed in range(options.seeds)
    ]
    if options.processes > 1:
        cores = sorted(os.sched_getaffinity(0))
        with ProcessPoolExecutor(options.processes, get_context("spawn"), max_tasks_per_child=1) as pool:
            rows = list(pool.map(last_row, jobs, [cores[number % len(cores)] for number in range(len(jobs))]))
    else:
        rows = [last_row(job) for job in jobs]
    print("                iterations  " + "  ".join(f"{name:>22}" for name in (*WHO, "greedy")))
    for number, name in enumerate(configs):
        last = rows[number * options.seeds : (number + 1) * options.seeds]
        shown = [f"{name:14}  {np.mean([row['iteration'] for row in last]):10.0f}"]
        for who in (*WHO, "greedy"):
            scores = [row[f"evaluation/{who}/score"] for row in last if f"evaluation/{who}/score" in row]
            shown.append(f"{np.mean(scores):6.4f} {min(scores):6.4f}-{max(scores):6.4f}" if scores else 22 * " ")
        print("  ".join(shown), flush=True)


if __name__ == "__main__":
    main()
