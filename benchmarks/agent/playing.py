"""The agent beside the other solvers, at equal time for each program, on the shipped problems.

    python -m benchmarks.agent.playing [--seconds 10] [--splits validation test | train] [--names NAME ...] [--seed 0]
        [--agent FILE] [--out out/agent/rows.jsonl] [--methods random greedy ...]

A score is the share of (everything in HBM - best known) that a method's plan saves under M on a program; best known is
the best of all methods, of XLA's default and of a local search of ``--reference`` seconds. Native code is compiled
before the clock starts, and so is what JAX compiles for a size of programs; how long that took is told apart. Rows are
kept as they come, one line each; the same command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

from mallocgame.bench.statistics import arithmetic_mean
from mallocgame.game.rules import Game
from mallocgame.plan.plan import Plan
from mallocgame.plan.problem_file import Default
from mallocgame.problem.schema import Problem
from mallocgame.solvers import solve
from mallocgame.solvers.annealing.warm_up import compile_native
from mallocgame.solvers.base import all_hbm_seconds
from mallocgame.system.errors import NoAnswerError
from workloads import problems

RANDOM, DEFAULT, POLICY, SEARCH, LOCAL = "random", "xla default", "policy", "policy + search", "local"
BOTH = "both"
"""Half of the time policy + search, then local search from its plan, as `auto` has them."""
METHODS = (RANDOM, DEFAULT, "greedy", POLICY, SEARCH, LOCAL, BOTH, "exact")
REFERENCE = "reference"
EQUAL = 1e-6
"""Share of everything in HBM by which two plans may differ and still be equally good."""

Row = dict[str, Any]


def played_at_random(problem: Problem, seconds: float, seed: int) -> tuple[float, int]:
    """Seconds under M of the best of many episodes of random legal moves, and how many there were."""
    game, rng, start = Game(problem), random.Random(seed), monotonic()
    best, episodes = all_hbm_seconds(problem), 0
    while True:
        state = game.start()
        while not game.done(state):
            if monotonic() - start >= seconds:
                return best, episodes
            state, _ = game.step(state, rng.choice(sorted(game.legal(state), key=lambda move: move.value)))
        best, episodes = min(best, game.total(state)), episodes + 1


class Players:
    """The agent's two ways to play; compiles before the clock starts."""

    def __init__(self, file: Path | None) -> None:
        from muzero import SHIPPED
        from muzero.agent_file import load_agent
        from muzero.answer.compiled import keep_compiled

        keep_compiled()
        self.agent = load_agent(file or SHIPPED)
        self.warm: set[tuple[object, str]] = set()

    def __call__(
        self, problem: Problem, method: str, seconds: float, seed: int, default: Default | None
    ) -> tuple[Plan, Row]:
        """A plan, and: seconds under M, episodes, the best-of-n curve, seconds of compiling if its size was new."""
        from mallocgame.game.program import Program
        from muzero.answer import AnswerOptions, answer
        from muzero.environment import size_class_of
        from muzero.search import SearchOptions, Variant

        variant = Variant.POLICY_ALONE if method == POLICY else Variant.EXACT_RULES
        search = SearchOptions(variant)
        size = size_class_of(Program(problem)), method
        start = monotonic()
        if size not in self.warm:
            answer(problem, self.agent, AnswerOptions(time_limit=0.0, seed=seed, search=search))
            self.warm.add(size)
        compiling = monotonic() - start
        known = []
        if default is not None:
            with suppress(NoAnswerError):
                known.append(solve(problem, "xla", seconds, seed, default=default).plan)
        options = AnswerOptions(time_limit=seconds, seed=seed, search=search)
        found = answer(problem, self.agent, options, known=known)
        curve = [[best.episodes, best.seconds, round(best.after, 3)] for best in found.curve]
        told = {"seconds": found.seconds, "episodes": found.episodes, "compiling": round(compiling, 1), "curve": curve}
        return found.plan, told


def row_of(name: str, method: str, given: argparse.Namespace, players: Callable[[], Players]) -> Row:
    """One method on one program."""
    file = problems.load(name)
    problem, start = file.problem, monotonic()
    row: Row = {"problem": name, "method": method, "seed": given.seed, "limit": given.seconds}
    if method == RANDOM:
        row["seconds"], row["episodes"] = played_at_random(problem, given.seconds, given.seed)
    elif method in (POLICY, SEARCH):
        row |= players()(problem, method, given.seconds, given.seed, file.default)[1]
    elif method == BOTH:
        plan, played = players()(problem, SEARCH, given.seconds / 2, given.seed, file.default)
        found = solve(problem, LOCAL, given.seconds / 2, given.seed, start=plan)
        row |= {"seconds": found.seconds_under_m, "status": found.status, "played": played["seconds"]}
    else:
        solver = {DEFAULT: "xla", REFERENCE: LOCAL}.get(method, method)
        limit = given.reference if method == REFERENCE else given.seconds
        try:
            found = solve(problem, solver, limit, given.seed, default=file.default)
            row |= {"seconds": found.seconds_under_m, "status": found.status}
        except NoAnswerError as error:
            row |= {"seconds": all_hbm_seconds(problem), "status": f"everything in HBM: {error}"}
    return row | {"spent": round(monotonic() - start, 2), "hbm": all_hbm_seconds(problem)}


def scores(rows: Sequence[Row], names: Sequence[str]) -> dict[str, dict[str, float]]:
    """Method -> program -> share of what is known to be possible that its plan saves; 1 where nothing is."""
    by: dict[str, dict[str, float]] = {}
    for name in names:
        own = [row for row in rows if row["problem"] == name]
        hbm, best = own[0]["hbm"], min(row["seconds"] for row in own)
        possible = hbm - best
        for row in own:
            share = (hbm - row["seconds"]) / possible if possible > EQUAL * hbm else 1.0
            by.setdefault(row["method"], {})[name] = share
    return by


def tell(rows: Sequence[Row], methods: Sequence[str]) -> None:
    """The table of all programs, and the lines of each split."""
    entries = {entry.name: entry for entry in problems.index()}
    done = {name for name in entries if {row["method"] for row in rows if row["problem"] == name} >= {*methods}}
    by = scores(rows, sorted(done))
    print(f"{'share of (HBM - best known)':36}" + "".join(f"{method:>17}" for method in methods))
    for name in sorted(done, key=lambda name: (entries[name].split, name)):
        shares = "".join(f"{by[method][name]:17.4f}" for method in methods)
        print(f"{name:26}{entries[name].split:10}{shares}")
    for split in ("train", "validation", "test"):
        names = [name for name in sorted(done) if entries[name].split == split]
        if not names:
            continue
        print(f"\n{split}: {len(names)} programs" + (" (the agent was trained on them)" if split == "train" else ""))
        for method in methods:
            found = arithmetic_mean([by[method][name] for name in names])
            print(f"  {method:18}{found.mean:7.4f} [{found.low:7.4f}, {found.high:7.4f}]")
        for who in {POLICY, SEARCH} & {*methods}:
            for other in {"greedy", DEFAULT} & {*methods}:
                compared(by, who, other, names)
        if {BOTH, LOCAL} <= {*methods}:
            compared(by, BOTH, LOCAL, names)


def compared(by: dict[str, dict[str, float]], who: str, other: str, names: Sequence[str]) -> None:
    """On how many programs one method is above another."""
    above = sum(by[who][name] > by[other][name] + EQUAL for name in names)
    equal = sum(abs(by[who][name] - by[other][name]) <= EQUAL for name in names)
    print(f"  {who} above {other}: {above} of {len(names)} = {above / len(names):.0%}, equal on {equal}")


def main() -> int:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--reference", type=float, default=30.0)
    parser.add_argument("--splits", nargs="*", default=["validation", "test"])
    parser.add_argument("--names", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--agent", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/agent/rows.jsonl"))
    given = parser.parse_args()
    compile_native()
    made: list[Players] = []

    def players() -> Players:
        if not made:
            made.append(Players(given.agent))
        return made[0]

    given.out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    names = given.names or [entry.name for entry in problems.index() if entry.split in given.splits]
    for name in names:
        for method in (*given.methods, REFERENCE):
            key = {"problem": name, "method": method, "seed": given.seed, "limit": given.seconds}
            if any(key.items() <= row.items() for row in rows):
                continue
            rows.append(row_of(name, method, given, players))
            with given.out.open("a") as lines:
                print(json.dumps(rows[-1]), file=lines, flush=True)
            print(f"{name}: {method}: {rows[-1]['seconds'] * 1e3:.6g} ms", file=sys.stderr, flush=True)
    tell([row for row in rows if (row["seed"], row["limit"]) == (given.seed, given.seconds)], given.methods)
    return 0


if __name__ == "__main__":
    sys.exit(main())
