"""Choose captures of the benchmark and ship them in compact form.

    python -m workloads.problems.make FOLDER [--seed 0] [--out workloads/problems]

FOLDER has captures named WORKLOAD-TARGET.mgz, as ``mallocgame bench`` makes them. The same captures and seed give the
same choice and the same bytes: of each side of the split its quota, every program before any has a second target, and
among these the targets and sizes that are rarest so far. Problem files and the index in the folder to write are
replaced. Exit code 1 where programs are missing or two problems of different sides are alike, whatever was written.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from mallocgame.bench.compact import compact
from mallocgame.bench.store import CaptureStore
from mallocgame.compiler.capture_file import load_capture
from mallocgame.plan.problem_file import SUFFIX, load_problem, save_problem
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import MallocgameError
from mallocgame.system.files import write_atomically
from workloads import Workload
from workloads.catalogue import BENCHMARK
from workloads.problems import FOLDER, FORMAT, INDEX, VERSION, Entry
from workloads.problems.likeness import LIMIT, likeness, runs
from workloads.problems.splits import QUOTAS, SPLITS, split_of

SIZES = (100, 300, 1000)
"""Instructions at which one class of sizes ends and the next begins."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A capture that may be chosen.

    Attributes:
        workload: what was captured.
        target: for which.
        size: class of its number of instructions.
        file: the capture.
    """

    workload: Workload
    target: str
    size: int
    file: Path

    @property
    def name(self) -> str:
        """``WORKLOAD-TARGET``."""
        return self.file.stem


def candidates(folder: Path) -> list[Candidate]:
    """The captures of the benchmark in a folder; those of another program than the catalogue's are told on stderr."""
    store, found = CaptureStore(folder), []
    for workload in BENCHMARK:
        for target in TARGETS:
            file = store.path(workload.name, target)
            if not file.exists():
                continue
            capture = load_capture(file)
            if (capture.function, capture.target) != (workload.reference, target) or capture.scoped_vmem_kib:
                print(f"passed over: {file} is of {capture.function} for {capture.target}", file=sys.stderr)
                continue
            length = capture.before_msa.count(" = ")
            found.append(Candidate(workload, target, sum(length >= size for size in SIZES), file))
    return found


def choose(pool: Iterable[Candidate], seed: int) -> list[Candidate]:
    """A balanced choice, in the order of names; fewer than the quotas where there are not enough."""
    shuffled = sorted(pool, key=lambda candidate: candidate.name)
    random.Random(seed).shuffle(shuffled)
    chosen: list[Candidate] = []
    for split in SPLITS:
        able = [candidate for candidate in shuffled if split_of(candidate.workload.family) == split]
        before = len(chosen)
        while able and len(chosen) - before < QUOTAS[split]:
            best = min(able, key=_rarity(chosen, before))
            able.remove(best)
            chosen.append(best)
    return sorted(chosen, key=lambda candidate: candidate.name)


def _rarity(chosen: list[Candidate], before: int) -> Callable[[Candidate], tuple[int, ...]]:
    """What makes a candidate worse than others: how often its program, target and size are there already."""
    programs = Counter(one.workload.name for one in chosen)
    of_split = Counter(one.target for one in chosen[before:])
    targets = Counter(one.target for one in chosen)
    sizes = Counter(one.size for one in chosen)
    return lambda one: (
        programs[one.workload.name],
        of_split[one.target],
        targets[one.target],
        sizes[one.size],
    )


def ship(chosen: list[Candidate], folder: Path, seed: int) -> list[Entry]:
    """Write the problem files and their index into ``folder``, instead of those that are there."""
    entries = []
    for candidate in chosen:
        content = compact(load_capture(candidate.file), candidate.workload)
        save_problem(content, folder / f"{candidate.name}{SUFFIX}")
        entries.append(
            Entry(
                name=candidate.name,
                workload=candidate.workload.name,
                family=candidate.workload.family,
                phase=candidate.workload.phase,
                target=candidate.target,
                split=split_of(candidate.workload.family),
                instructions=len(content.problem.instructions),
            )
        )
        print(f"{candidate.name}: {entries[-1].instructions} instructions", file=sys.stderr, flush=True)
    value = {"format": FORMAT, "version": VERSION, "seed": seed, "problems": [asdict(entry) for entry in entries]}
    write_atomically(folder / INDEX, (json.dumps(value, indent=1) + "\n").encode())
    for file in folder.glob(f"*{SUFFIX}"):
        if file.stem not in {entry.name for entry in entries}:
            file.unlink()
    return entries


def leaks(entries: Iterable[Entry], folder: Path) -> list[str]:
    """Pairs of problems on different sides of the split that are the same program, or nearly; one line each."""
    contents = [(entry, load_problem(folder / f"{entry.name}{SUFFIX}")) for entry in entries]
    programs = [(entry, content, runs(content.problem)) for entry, content in contents]
    found = []
    for (one, first, its), (other, second, others) in combinations(programs, 2):
        if one.split == other.split:
            continue
        alike = likeness(its, others)
        if one.family == other.family:
            found.append(f"{one.name} ({one.split}) and {other.name} ({other.split}): one family")
        elif first.module_sha256 == second.module_sha256:
            found.append(f"{one.name} ({one.split}) and {other.name} ({other.split}): one module")
        elif first.problem.fingerprint == second.problem.fingerprint or alike >= LIMIT:
            found.append(f"{one.name} ({one.split}) and {other.name} ({other.split}): {alike:.0%} of their runs agree")
    return found


def main() -> int:
    """Command line; 0 if the set is complete and leaks nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    try:
        chosen = choose(candidates(options.captures), options.seed)
        entries = ship(chosen, options.out, options.seed)
        wrong = leaks(entries, options.out)
    except MallocgameError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    missing = [workload.name for workload in BENCHMARK if workload.name not in {entry.workload for entry in entries}]
    if missing:
        wrong.append(f"no capture of {', '.join(missing)}")
    wrong += [
        f"{split}: {count} of {QUOTAS[split]} problems"
        for split, count in Counter(dict.fromkeys(SPLITS, 0) | Counter(entry.split for entry in entries)).items()
        if count < QUOTAS[split]
    ]
    for line in wrong:
        print(line)
    for what in ("split", "target", "phase"):
        print(f"{what}: {dict(Counter(getattr(entry, what) for entry in entries))}")
    size = sum(file.stat().st_size for file in options.out.glob(f"*{SUFFIX}"))
    print(f"{len(entries)} problems of {len({entry.family for entry in entries})} families, {size} bytes")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
