"""How much ways to compare two programs scatter on this machine: why the probe goes by the fastest of each bout.

    mallocgame probe benchmarks.device.probe:equal benchmarks.device.probe:slower \
        --time-limit 300 --margin 0.0001 --out samples.json
    python -m benchmarks.agent.estimators samples.json [--rounds 400]

Every way estimates the logarithm of the same ratio on slices of so many rounds, half overlapping.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mallocgame.probe.statistics import Array, bouts, interquartile_mean, log_ratios


def _quantile(share: float) -> Callable[[Array], float]:
    """Ratio of the programs' quantiles."""
    return lambda seconds: float(np.diff(np.log(np.quantile(seconds, share, axis=0)))[0])


def _by_bout(rounds: int) -> Callable[[Array], float]:
    """Interquartile mean of the ratios of the fastest samples of each bout of so many rounds."""
    return lambda seconds: float(interquartile_mean(log_ratios(bouts(seconds, rounds), 1)))


WAYS: Mapping[str, Callable[[Array], float]] = {
    "ratio of medians": _quantile(0.5),
    "interquartile mean, round by round": _by_bout(1),
    "ratio of the 10 % quantiles": _quantile(0.1),
    "ratio of the fastest of all": _quantile(0.0),
    "interquartile mean, bouts of 4": _by_bout(4),
    "interquartile mean, bouts of 8": _by_bout(8),
    "interquartile mean, bouts of 16": _by_bout(16),
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="what mallocgame probe --out wrote")
    parser.add_argument("--rounds", type=int, default=400, help="of a slice")
    options = parser.parse_args()
    seconds = np.array(json.loads(options.file.read_text())["samples"])[:, :2]
    starts = range(0, len(seconds) - options.rounds + 1, options.rounds // 2)
    print(f"{len(seconds)} rounds, {len(starts)} slices of {options.rounds}; mean and standard deviation of log ratio")
    for name, estimate in WAYS.items():
        found = [estimate(seconds[start : start + options.rounds]) for start in starts]
        print(f"{name:36s} {100 * np.mean(found):+7.2f} %  {100 * np.std(found):6.2f} %")


if __name__ == "__main__":
    main()
