"""The offload game in figures: `python -m benchmarks.device.offload`.

First random problems: plans validated on many, and on small ones the exact solver's against all plans there are. Then
two training steps at budgets of 100, 75, 50 and 35 % of what XLA's default needs, compiled for v5e ahead of time: XLA's
default, its rematerialisation, full checkpointing, everything named offloaded, and `mallocgame fit`. Finished
compiles are kept, so that the same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from mallocgame import api
from mallocgame.cli.answers.fitted import of_read_back
from mallocgame.offload import judge
from mallocgame.offload.candidates import Candidate
from mallocgame.offload.confirm import Confirmed
from mallocgame.offload.solve import solve
from mallocgame.report.table import plain_table
from mallocgame.report.units import duration, size
from mallocgame.system.files import write_atomically
from tests.offload.made_problems import all_plans, random_problem

PROGRAMS = (
    "workloads.offload.transformer:unrolled_transformer",
    "workloads.offload.convolutional:unrolled_convolutional",
)
BUDGETS = ("100%", "75%", "50%", "35%")
TARGET = "v5e"
OTHERS = ("xla default", "xla rematerialisation", "full checkpointing", "all named offloaded")
HEADER = ("budget", *OTHERS, "ours", "its device memory", "its moves")


def random_problems(count: int, enumerated: int) -> list[str]:
    """Lines about random problems: how many plans hold, and how many exact answers are the best of all plans."""
    solved = held = 0
    for seed in range(count):
        problem, budget = random_problem(seed, 4 + seed % 17, 1 + seed % 9, (2.0, 1.5, 1.0)[seed % 3])
        solution = solve(problem, budget, solver="local", time_limit=0.4, seed=seed)
        if solution.plan is not None:
            solved += 1
            held += not judge.faults(problem, solution.plan, budget)
    lines = [
        f"{count} random problems: {solved} plans, {held} of them hold, the budget included; {count - solved} without"
    ]
    best = infeasible = 0
    for seed in range(enumerated):
        problem, budget = random_problem(seed, 6, 2)
        plans = (plan for plan in all_plans(problem) if not judge.faults(problem, plan, budget))
        least = min((judge.replay(problem, plan).seconds for plan in plans), default=None)
        solution = solve(problem, budget, solver="exact", time_limit=60.0)
        if least is None:
            infeasible += solution.status == "infeasible"
        elif solution.judged is not None and solution.status == "optimal":
            best += abs(solution.judged.seconds - least) <= 1e-9 * least
    lines.append(
        f"{enumerated} small ones by enumeration: {best} optimal, {infeasible} infeasible, as the exact solver says"
    )
    return lines


def row(budget: str, confirmed: Confirmed) -> dict[str, Any]:
    """One budget of one program."""
    by_label = {candidate.label: candidate for candidate in confirmed.candidates}
    others = {label: _figures(by_label.get(label), confirmed.budget) for label in OTHERS}
    answer = confirmed.answer
    ours = _figures(answer, confirmed.budget)
    rivals = [figures["seconds_m"] for figures in others.values() if figures is not None and figures["fits"]]
    return {
        "budget": budget,
        "bytes": confirmed.budget,
        "others": others,
        "ours": ours,
        "ours_is": None if answer is None else answer.label,
        "moves": None if answer is None or answer.moves.moves is None else dict(answer.moves.moves),
        "proven_infeasible": confirmed.proven_infeasible,
        "never_slower": not rivals or (ours is not None and ours["seconds_m"] <= min(rivals)),
    }


def _figures(candidate: Candidate | None, budget: int) -> dict[str, Any] | None:
    if candidate is None or candidate.read is None:
        return None
    return {"fits": candidate.fits(budget), **of_read_back(candidate.read)}


def _cell(figures: dict[str, Any] | None) -> str:
    if figures is None:
        return "-"
    return duration(figures["seconds_m"]) if figures["fits"] else f"needs {size(figures['device_bytes'])}"


def _table(program: str, rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for found in rows:
        ours = found["ours"]
        moves = found["moves"] or {}
        told = ", ".join(
            f"{move} {sum(made == move for made in moves.values())}" for move in dict.fromkeys(moves.values())
        )
        lines.append(
            (
                f"{found['budget']} = {size(found['bytes'])}",
                *(_cell(found["others"][label]) for label in OTHERS),
                _cell(ours) if ours else ("infeasible" if found["proven_infeasible"] else "-"),
                size(ours["device_bytes"]) if ours else "",
                f"{found['ours_is']}{': ' + told if told else ''}",
            )
        )
    return plain_table(f"{program} for {TARGET}, M of a step", HEADER, lines)


def main() -> int:
    """Print the figures, and write them to ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--random", type=int, default=1000, help="random problems")
    parser.add_argument("--enumerated", type=int, default=40, help="of these, small ones to enumerate")
    parser.add_argument("--compiles", type=int, default=16, help="for each program and budget")
    parser.add_argument("--programs", nargs="*", default=list(PROGRAMS))
    parser.add_argument("--budgets", nargs="*", default=list(BUDGETS))
    parser.add_argument("--cache", default="out/compiles")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/offload.json"))
    chosen = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # tracing needs no device
    lines = random_problems(chosen.random, chosen.enumerated)
    print("\n".join(lines), flush=True)
    tables: dict[str, list[dict[str, Any]]] = {}
    for program in chosen.programs:
        rows = tables.setdefault(program, [])
        for budget in chosen.budgets:
            found = api.fit(
                program,
                target=TARGET,
                budget=budget,
                compiles=chosen.compiles,
                cache=chosen.cache,
                progress=lambda line: print(line, file=sys.stderr, flush=True),
            )
            assert found.confirmed is not None, "v5e has a compiler"
            rows.append(row(budget, found.confirmed))
        print("\n".join(["", *_table(program, rows)]), flush=True)
    document = {"random": lines, "target": TARGET, "tables": tables}
    write_atomically(chosen.out, (json.dumps(document, indent=1) + "\n").encode())
    return 0 if all(found["never_slower"] for rows in tables.values() for found in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
