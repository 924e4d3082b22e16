"""The loop with a compiler that is made up: what it learns, what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.cli import main
from mallocgame.compiler.child import Request
from mallocgame.compiler.stages import Lowering
from mallocgame.offload import compiling
from mallocgame.offload.candidates import CompileMoves
from mallocgame.offload.compiled import ReadBack
from mallocgame.offload.confirm import MOST_HBM, Confirmed, confirm, modelled_bytes
from mallocgame.offload.links import get_link
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import OffloadProblem, Recipe, Step, Tensor, check_problem
from mallocgame.offload.program import Training
from mallocgame.offload.run import Fitted
from mallocgame.programs.environment import flag_notes
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.offload.made_problems import link

# Forward makes a, b and c of 10 bytes in steps 0 to 2; backward uses c, b, a in steps 4 to 6.
PROBLEM = OffloadProblem(
    "p",
    "made up",
    link(to_host=10.0, from_host=10.0, both=20.0),
    tuple(Step(str(time), 2.0, 0) for time in range(7)),
    tuple(
        Tensor(name, 10, at, 6 - at, ((at, 6 - at),), Recipe(0.5, ()) if name != "a" else None, decided_as=name)
        for at, name in enumerate("abc")
    ),
)
check_problem(PROBLEM)


def compiler(padding: int, seen: list[NamedMoves]) -> CompileMoves:
    """Needs ``padding`` bytes more than what is kept; the default 40 bytes more and twice the time."""

    def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        seen.append(moves)
        if MOST_HBM in options:
            raise CompilerRefusedError("RESOURCE_EXHAUSTED")
        held = 30 + 40 if moves.moves is None else 10 * len(moves.names("keep"))
        again = 0.5 * len(moves.names("recompute"))
        seconds = 28.0 if moves.moves is None else 14.0 + again + 0.1 * len(moves.names("offload"))
        offloaded = 10 * len(moves.names("offload"))
        both = {"E": seconds, "M": seconds}
        return ReadBack(held + padding, offloaded, offloaded, offloaded, 0, both, {"E": 0.0, "M": 0.0})  # type: ignore[arg-type]

    return compile


def run(
    budget: int, padding: int, seen: list[NamedMoves], compiles: int = 9, compile: CompileMoves | None = None
) -> Confirmed:
    return confirm(
        PROBLEM,
        lambda default: budget,
        compile or compiler(padding, seen),
        solver="local",
        time_limit=2.0,
        seed=0,
        compiles=compiles,
        progress=lambda line: None,
    )


def test_a_plan_beats_the_default_where_both_fit() -> None:
    found = run(100, 0, [])
    assert found.answer is not None
    assert found.answer.moves == NamedMoves({"a": "keep", "b": "keep", "c": "keep"})
    assert found.answer.read is not None
    assert found.answer.read.seconds["M"] == 14.0


def test_what_the_compiler_needs_more_is_taken_off_the_budget() -> None:
    seen: list[NamedMoves] = []
    found = run(27, 5, seen)
    # By the model two tensors fit into 27 bytes; the compiler needs 5 more for any plan.
    assert found.answer is not None
    assert found.answer.read is not None
    assert found.answer.read.device_bytes <= 27
    assert sum(move == "keep" for move in (found.answer.moves.moves or {}).values()) == 2
    # The default twice: as it is, and rematerialised.
    assert len(seen) == len({str(moves) for moves in seen}) + 1


@pytest.mark.parametrize(
    ("seen", "bytes_"),
    [
        ([], 70),
        ([(10, 30)], 50),  # 20 more than the model's
        ([(50, 110)], 10),  # 60 more
        ([(50, 110), (10, 30)], 30),  # half of the way between
        ([(50, 110), (10, 30), (40, 70)], 40),
        ([(50, 110), (10, 30), (40, 90)], 20),  # two thirds of the way to 40, halved: there is a second miss
        ([(50, 110), (10, 30), (5, 90)], 30),  # less by the model than what fits: of another kind
        ([(10, 90)], 0),
    ],
)
def test_bytes_of_the_model_for_a_budget(seen: list[tuple[int, int]], bytes_: int) -> None:
    assert modelled_bytes(70, seen) == bytes_


def test_nothing_fits_and_that_is_proven_only_by_the_exact_solver() -> None:
    found = run(4, 5, [])
    assert found.answer is None
    assert not found.proven_infeasible
    refused = [candidate.label for candidate in found.candidates if candidate.read is None]
    assert refused == ["xla rematerialisation", "all named offloaded, xla rematerialisation"]


def test_what_no_plan_reaches_is_left_to_xla() -> None:
    plain = compiler(5, [])

    def compile(moves: NamedMoves, options: Mapping[str, str]) -> ReadBack:
        read = plain(moves, {})
        if MOST_HBM not in options or moves.moves is None:
            return read
        return replace(read, device_bytes=4)

    found = run(4, 5, [], compile=compile)
    assert found.answer is not None
    assert found.answer.label == "all named offloaded, xla rematerialisation"
    assert found.answer.options == {MOST_HBM: "1"}


def test_plans_leave_compiles_for_what_they_are_compared_with() -> None:
    found = run(27, 5, [], compiles=6)
    assert [candidate.label for candidate in found.candidates] == [
        "xla default",
        "full checkpointing",
        "all named kept",
        "all named offloaded",
        "plan",
        "xla rematerialisation",
    ]


def test_the_budget_of_compiles_is_kept() -> None:
    seen: list[NamedMoves] = []
    run(27, 5, seen, compiles=2)
    assert len(seen) == 2


def test_a_plan_that_fits_by_the_model_alone_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(27, 9, [], compiles=2)  # two of 10 bytes by the model, and 9 more for the compiler
    assert (found.answer, found.solution is not None and found.solution.plan is not None) == (None, True)
    whole = Fitted(None, found.problem, found.budget, found.solution, found)
    monkeypatch.setattr(api, "fit", lambda *_, **__: whole)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "made:up", "--target", "v5e", "--budget", "27"])
    assert ended.value.code == 3
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "mallocgame: error: made:up: no program was found that fits into 27 B (no proof); "
        "29 B is the smallest budget that fits, by plan\n"
    )


def test_it_compiles_under_the_flags_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As ``capture`` does; what is about files is left out, and all of it is told."""
    asked: list[Request] = []

    class Cache:
        def __init__(self, _: object) -> None: ...

        def __call__(self, request: Request) -> None:
            asked.append(request)
            raise BadInputError("enough")

    monkeypatch.setattr("mallocgame.compiler.cache.CompileCache", Cache)
    monkeypatch.setattr(compiling, "lower_training", lambda *_: Lowering("module @f {}", "v5e", "v5e:1x1", {}))
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--xla_a=1 --xla_dump_to=/x -xla_b 2")
    compile = compiling.compiler_of(Training("f", lambda _: (None, ())), False, "v5e", get_link("v5e"), tmp_path)
    with pytest.raises(BadInputError, match="enough"):
        compile(NamedMoves(None), {})
    assert asked[0].init_args == ("--xla_a=1", "-xla_b", "2")
    assert flag_notes({"LIBTPU_INIT_ARGS": "--xla_a=1 --xla_dump_to=/x"}) == (
        "compiled with LIBTPU_INIT_ARGS='--xla_a=1'",
        "left out of LIBTPU_INIT_ARGS, about files or the log: xla_dump_to",
    )
