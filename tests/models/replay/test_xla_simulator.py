"""Our replay against the estimate that XLA's own simulator printed for the same compile (libtpu 0.0.52, v5e).

The simulator takes every operand as read from fast memory (OpenXLA simulator.cc records uses of HBM allocations too).
With that error put into our replay, both must agree; the true placements then give a larger total.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame.models.replay import Replay, replay_final
from mallocgame.models.replay.final_text import FinalText
from mallocgame.problem.build import build_problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import read_hlo, read_text
from xla_dump_parser.compile_log import parse_compile_log

DATA = Path(__file__).parent / "data"
PARSER_DATA = Path(__file__).parents[2] / "parser" / "data"


def replay(name: str, stem: Path) -> Replay:
    log = parse_compile_log(read_text(DATA / f"{name}.log.txt.gz"))
    problem = build_problem(read_hlo(f"{stem}_before_msa.txt.gz"), get_target("v5e"), log)
    return replay_final(problem, read_hlo(f"{stem}_final.txt.gz"), "M")


@pytest.mark.parametrize(
    ("name", "stem", "without_copies", "with_copies"),
    [
        ("transformer", PARSER_DATA / "v5e_transformer", 0.000660174, 0.000677153),  # 44 slices, 3 copies
        ("mlp", DATA / "mlp", 0.000698, 0.000776132),  # 16 weights of 32 MiB, each stalls
    ],
)
def test_the_simulators_estimate(
    name: str, stem: Path, without_copies: float, with_copies: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = replay(name, stem)
    monkeypatch.setattr(FinalText, "reads_fast", lambda *_: 1.0)
    result = replay(name, stem)
    assert result.total == pytest.approx(with_copies, rel=5e-5)
    assert result.total - result.stall == pytest.approx(without_copies, rel=5e-5)
    assert result.stall == pytest.approx(with_copies - without_copies, rel=1e-3)
    assert true.total > result.total
