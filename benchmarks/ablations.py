"""What each part of training is worth: jobs without it, on the fixed small set of tiny.toml.

    python -m benchmarks.ablations [--config muzero/configs/tiny.toml] [--seeds 3] [--minutes 5] [--out out/ablations]

All jobs play the same problems for the same minutes, each of three seeds: ``full`` as the config says; ``no
reanalyse``; ``no board``, whose network does not see it; ``no search``, where the policy plays alone and the best
episode of each problem is imitated; ``learned model`` in the tree instead of the exact rules. Printed: the score (see
``benchmarks.learning``) of the policy alone, of the policy as the job plays it, and of the best episodes found, each as
the mean over the seeds and the lowest and highest seed. What is in the folder is not run again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.learning import trained
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("muzero/configs/tiny.toml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--out", type=Path, default=Path("out/ablations"))
    options = parser.parse_args()
    jobs = ablations(load_config(options.config))
    print("                iterations  " + "  ".join(f"{name:>22}" for name in (*WHO, "greedy")))
    for name, config in jobs.items():
        last = []
        for seed in range(options.seeds):
            folder = options.out / name.replace(" ", "-") / f"seed-{seed}"
            last.append(trained(replace(config, seed=seed, minutes=options.minutes), folder)[-1])
        shown = [f"{name:14}  {np.mean([row['iteration'] for row in last]):10.0f}"]
        for who in (*WHO, "greedy"):
            scores = [row[f"evaluation/{who}/score"] for row in last if f"evaluation/{who}/score" in row]
            shown.append(f"{np.mean(scores):6.4f} {min(scores):6.4f}-{max(scores):6.4f}" if scores else 22 * " ")
        print("  ".join(shown), flush=True)


if __name__ == "__main__":
    main()
