"""What a final text shows, kept in a capture, against texts read by eye; calibrating with a made-up compiler."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import load_capture, save_capture
from mallocgame.models.cycles.products import products_of
from mallocgame.models.cycles.table import CycleTable
from mallocgame.models.replay.observe import Observation, observation_of, observations_of, to_text
from mallocgame.optimizer.calibrate import calibrate, interpolation_errors
from mallocgame.problem.build import build_problem
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from tests.bench.fake import STORED, FakeCompiler
from tests.models.replay.texts import ENTRY, PREFETCHED, TARGET, module, problem
from xla_dump_parser import parse_hlo

TINY = Path(__file__).parents[2] / "parser" / "data"


def test_masks_and_cycles_of_a_text() -> None:
    """a writes fast (bit 1); n reads and writes fast; t likewise; b reads a in fast memory (bit 0), its 0 is none."""
    seen = observation_of(problem(module(ENTRY)), module(PREFETCHED))
    assert dict(zip("xwasntbr", seen.masks, strict=True)) == {
        "x": 0, "w": 0, "a": 0b10, "s": 0, "n": 0b11, "t": 0b11, "b": 0b001, "r": 0b010,
    }  # fmt: skip
    assert seen.cycles == (None, None, 3, None, None, None, None, None)


def test_kept_and_read_back() -> None:
    toy = problem(module(ENTRY))
    seen = observation_of(toy, module(PREFETCHED))
    assert observations_of(to_text([seen, seen]), toy) == (seen, seen)
    assert observations_of(to_text([]), toy) == ()


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[1]", "[[[0], [null], []]]", "[[[0], [null]]]", "[[[0, -1], [1, 2]]]", "[[[0, 4611686018427387904], "
     "[1, 2]]]", "[[[0, true], [1, 2]]]", "[[[0, 1], [1, 2.5]]]", "[[[0, 1], [1, 10000000000000000]]]"],
)  # fmt: skip
def test_damaged_observations_are_refused(text: str) -> None:
    whole = problem(module(ENTRY))
    two = replace(whole, instructions=whole.instructions[:2])
    assert observations_of("[[[0, 1], [1, null]]]", two) == (Observation((0, 1), (1, None)),)
    with pytest.raises(BadInputError, match="observed"):
        observations_of(text, two)


FUSED = """HloModule toy, is_scheduled=true

%inner (p: f32[8,8]) -> f32[8,8] {
  %p = f32[8,8]{1,0} parameter(0)
  ROOT %d = f32[8,8]{1,0} dot(%p, %p), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%outer (p: f32[8,8]) -> f32[8,8] {
  %p = f32[8,8]{1,0} parameter(0)
  ROOT %f = f32[8,8]{1,0} fusion(%p), kind=kOutput, calls=%inner
}

%loop (p: f32[8,8]) -> f32[8,8] {
  %p = f32[8,8]{1,0} parameter(0)
  ROOT %n = f32[8,8]{1,0} negate(%p)
}

ENTRY %main (x: f32[8,8]) -> f32[8,8] {
  %x = f32[8,8]{1,0} parameter(0)
  %product = f32[8,8]{1,0} fusion(%x), kind=kOutput, calls=%outer
  %sum = f32[8,8]{1,0} fusion(%product), kind=kLoop, calls=%loop
  ROOT %bare = f32[8,8]{1,0} convolution(%sum, %x), dim_labels=bf_io->bf
}
"""


def test_products_are_found_in_fusions_of_fusions() -> None:
    text = parse_hlo(FUSED)
    built = build_problem(text, TARGET)
    names = {built.instructions[time].name for time in products_of(built, text)}
    assert names == {"product", "bare"}


@pytest.fixture(scope="module")
def tiny() -> Capture:
    return load_capture(STORED)


def test_a_capture_knows_its_own_cycles(tiny: Capture) -> None:
    own = observation_of(tiny.problem(), parse_hlo(tiny.final))
    table = tiny.cycles()
    assert any(count is not None for count in own.cycles)
    for time, (mask, count) in enumerate(zip(own.masks, own.cycles, strict=True)):
        assert table.cycles(time, mask) == (None if tiny.problem().instructions[time].free else count)
    assert table is not tiny.cycles()


def test_calibrating_keeps_what_every_compile_shows(tiny: Capture, tmp_path: Path) -> None:
    """The made-up compiler gives XLA's default each time: nothing new, no error. The second compile fails."""
    fake = FakeCompiler(tiny, wrong={2: CompilerRefusedError("no")})
    told: list[str] = []
    known = calibrate(tiny, 4, compile=fake, progress=told.append)
    own = observation_of(tiny.problem(), parse_hlo(tiny.final))
    assert observations_of(known.observed, tiny.problem()) == (own, own, own)
    assert fake.asked[0].options["xla_msa_enable"] == "false"
    assert "xla_tpu_msa_tensor_overrides" in fake.asked[2].options
    assert len({str(request.options) for request in fake.asked}) == 4
    assert "left out: no" in told
    assert interpolation_errors(known) == (0.0, 0.0, 0.0)
    save_capture(known, tmp_path / "known.mgz")
    assert load_capture(tmp_path / "known.mgz") == known
    assert interpolation_errors(tiny) == ()


def test_an_error_is_that_of_a_prediction_without_the_plan(tiny: Capture) -> None:
    """One instruction takes far longer under a placement that no other compile shows."""
    toy = tiny.problem()
    own = observation_of(toy, parse_hlo(tiny.final))
    time = max(range(len(own.cycles)), key=lambda at: own.cycles[at] or 0)
    fast = Observation(
        tuple(3 if at == time else 0 for at in range(len(own.masks))),
        tuple(4_000_000 if at == time else None for at in range(len(own.masks))),
    )
    (error,) = interpolation_errors(replace(tiny, observed=to_text([fast])))
    expected = _cycles_in_all(tiny.cycles(), fast) / _cycles_in_all(_seen(tiny, fast), fast) - 1
    assert error == pytest.approx(expected, rel=1e-2)
    assert -1 < error < -0.5


def _seen(capture: Capture, seen: Observation) -> CycleTable:
    table = capture.cycles()
    table.observe(seen.masks, seen.cycles)
    return table


def _cycles_in_all(table: CycleTable, seen: Observation) -> float:
    return sum(table.cycles(time, mask) or 0.0 for time, mask in enumerate(seen.masks))
