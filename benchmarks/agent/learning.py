"""Learning is real: jobs from a fresh start on a fixed small set of problems, each with another seed of all chance.

    python -m benchmarks.agent.learning [--config muzero/configs/tiny.toml] [--seeds 3] [--minutes 15]
        [--out out/learning]

All seeds play the same problems. Printed for each: the score (share of best known - all in
HBM that greedy episodes save, mean over the problems) of the policy alone and with search, before training and at the
end, and of the best episodes found; beside them greedy's, and the curve. What is in the folder is not run again.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from muzero.training.config import TrainConfig, load_config
from muzero.training.metrics import read_metrics
from muzero.training.train import train

WHO = ("policy", "search", "best", "greedy")
UNTRAINED = ("policy", "search")


def evaluations(folder: Path) -> list[dict[str, Any]]:
    """The rows that have one."""
    return [row for row in read_metrics(folder) if "evaluation/policy/score" in row]


def trained(config: TrainConfig, folder: Path) -> list[dict[str, Any]]:
    """The metrics of a job, which goes on first unless its time or its iterations are over."""
    rows = read_metrics(folder)
    if not rows or (rows[-1]["time/seconds"] < 60 * config.minutes and rows[-1]["iteration"] < config.iterations):
        train(config, folder, resume=True, progress=lambda line: print(line, file=sys.stderr, flush=True))
    return read_metrics(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("muzero/configs/tiny.toml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--out", type=Path, default=Path("out/learning"))
    options = parser.parse_args()
    base = load_config(options.config)
    for seed in range(options.seeds):
        trained(replace(base, seed=seed, minutes=options.minutes), options.out / f"seed-{seed}")
    print(f"{'':25}untrained        at the end")
    print("seed  iterations  seconds  " + "  ".join(f"{name:>7}" for name in (*UNTRAINED, *WHO)))
    for seed in range(options.seeds):
        rows = evaluations(options.out / f"seed-{seed}")
        scores = [rows[0][f"evaluation/{name}/score"] for name in UNTRAINED]
        scores += [rows[-1][f"evaluation/{name}/score"] for name in WHO]
        shown = "  ".join(f"{score:7.4f}" for score in scores)
        print(f"{seed:4}  {rows[-1]['iteration']:10}  {rows[-1]['time/seconds']:7.0f}  {shown}")
    for seed in range(options.seeds):
        for row in evaluations(options.out / f"seed-{seed}"):
            shown = "  ".join(f"{name} {row[f'evaluation/{name}/score']:.4f}" for name in WHO)
            print(f"seed {seed}, iteration {row['iteration']}, {row['time/seconds']:.0f} s: {shown}")


if __name__ == "__main__":
    main()
