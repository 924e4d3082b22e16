"""A training job that is killed again and again does what the undisturbed one does.

    python -m benchmarks.robustness.training_kills [--kills 20] [--seed 0] [--iterations 12] [--out out/training-kills]

One job runs undisturbed. The same job in another folder is killed with SIGKILL, each time at a random moment between
its start and the time that the undisturbed one took, and resumed; where it ends before, another one begins, until there
were so many kills. Compared of each job that ended: every figure of every iteration, those of the clock apart, and
every byte of the arrays of the last checkpoint. They share what is compiled.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from mallocgame.system.progress import silent
from muzero.training.checkpoint import files_in, newest
from muzero.training.config import (
    EvaluationConfig,
    LearnerConfig,
    ProblemsConfig,
    ReplayConfig,
    SearchConfig,
    SelfPlayConfig,
    TrainConfig,
)
from muzero.training.metrics import read_metrics

UNTOUCHED, KILLED = "untouched", "killed"


def config(iterations: int) -> TrainConfig:
    """Small enough for many starts."""
    return TrainConfig(
        iterations=iterations,
        checkpoint_every=1,
        problems=ProblemsConfig(splits=(), generated=6, generated_instructions=20, most_sites=64),
        search=SearchConfig(simulations=4),
        self_play=SelfPlayConfig(lanes=8, moves=8),
        replay=ReplayConfig(positions=600),
        learner=LearnerConfig(batch=16, updates=4, unroll=1),
        evaluation=EvaluationConfig(problems="training", every=3, reference_steps=0),
    )


def start(file: Path, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """The job in a folder, begun or gone on."""
    command = [sys.executable, "-m", "mallocgame", "train", str(file), "--out", str(folder), "--resume"]
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(file.parent.resolve() / "compiled")}
    with open(log, "ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, env=environment)


def finish(file: Path, folder: Path, log: Path) -> float:
    """Run to the end; seconds."""
    begun = monotonic()
    if start(file, folder, log).wait() != 0:
        raise SystemExit(f"the job failed: see {log}")
    return monotonic() - begun


def curve(folder: Path) -> list[dict[str, Any]]:
    """All figures that are not of the clock."""
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")} for row in read_metrics(folder)
    ]


def differences(one: Path, other: Path) -> list[str]:
    """Iterations and arrays that differ."""
    curves = curve(one), curve(other)
    found = [f"iteration {number}" for number, (a, b) in enumerate(zip(*curves, strict=False)) if a != b]
    if len(curves[0]) != len(curves[1]):
        found.append(f"{len(curves[0])} and {len(curves[1])} iterations")
    kept = newest(one, silent), newest(other, silent)
    if kept[0] is None or kept[1] is None:
        return [*found, "no checkpoint"]
    arrays = kept[0][1].arrays, kept[1][1].arrays
    names = sorted({*arrays[0], *arrays[1]})
    both = [name for name in names if name in arrays[0] and name in arrays[1]]
    found += [name for name in names if name not in both]
    return found + [name for name in both if arrays[0][name].tobytes() != arrays[1][name].tobytes()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=12)
    parser.add_argument("--out", type=Path, default=Path("out/training-kills"))
    options = parser.parse_args()
    rng = random.Random(options.seed)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    file, log = options.out / "config.toml", options.out / "log.txt"
    file.write_text(config(options.iterations).to_toml())
    untouched, killed = options.out / UNTOUCHED, options.out / KILLED
    print(f"undisturbed: {finish(file, untouched, log):.0f} s with compilation", flush=True)
    again = options.out / "again"
    seconds = finish(file, again, log)
    print(f"undisturbed: {seconds:.0f} s; differences: {differences(untouched, again) or 'none'}", flush=True)
    kills, jobs, found = 0, 0, []
    while kills < options.kills:
        delay = rng.uniform(0.0, seconds)
        process = start(file, killed, log)
        try:
            if process.wait(delay) != 0:
                raise SystemExit(f"the job failed: see {log}")
            print(f"ended within {delay:.1f} s", flush=True)
            jobs, found = jobs + 1, found + differences(untouched, killed)
            shutil.rmtree(killed)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            at = files_in(killed)[0].stem if files_in(killed) else "no checkpoint"
            print(f"kill {kills}: after {delay:.1f} s, at {at}, {len(curve(killed))} iterations", flush=True)
    finish(file, killed, log)
    found += differences(untouched, killed)
    print(f"{kills} kills in {jobs + 1} jobs of {options.iterations} iterations; differences: {found or 'none'}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
