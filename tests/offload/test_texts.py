"""What is read from texts of the compiler, against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from mallocgame import api
from mallocgame.compiler.child import Compiled
from mallocgame.offload.compiled import read_back
from mallocgame.offload.links import get_link
from mallocgame.offload.module_problem import gpu_target, module_problem
from mallocgame.problem.build import build_problem
from mallocgame.problem.targets import get_target
from xla_dump_parser import parse_hlo

ARRAY = "f32[1024,1024]{1,0:T(8,128)}"
HOST = "f32[1024,1024]{1,0:T(8,128)S(5)}"
FINAL = f"""HloModule made, is_scheduled=true

ENTRY %main (p: f32[1024,1024]) -> f32[1024,1024] {{
  %p = {ARRAY} parameter(0)
  %out-start = ({HOST}, {ARRAY}, u32[]{{:S(2)}}) copy-start(%p)
  %add = {ARRAY} add(%p, %p)
  %out-done = {HOST} copy-done(%out-start)
  %back-start = ({ARRAY}, {HOST}, u32[]{{:S(2)}}) copy-start(%out-done)
  %back-done = {ARRAY} copy-done(%back-start)
  ROOT %multiply = {ARRAY} multiply(%back-done, %add)
}}
"""
ASSIGNMENT = f"""BufferAssignment:
allocation 0: size 4194304, parameter 0, shape |f32[1024,1024]| at ShapeIndex {{}}:
 value: <1 p @0> (size=4194304,offset=0): {ARRAY}
allocation 1: size 4194304, color 5, preallocated-temp:
 value: <2 out-done @0> (size=4194304,offset=0): {HOST}
"""
USAGE = "Memory Space: default (color=0)\nTotal bytes: 12582912 (12.00MiB)\n"


def test_host_copies_are_read_back_and_waited_for() -> None:
    target, link = get_target("v5e"), get_link("v5e")
    compiled = Compiled("", "", FINAL, ASSIGNMENT, USAGE, "", {}, 0.0, 0, "v5e:1x1")
    found = read_back(compiled, target, link)
    size = 4 * 2**20
    assert (found.device_bytes, found.host_bytes, found.to_host, found.from_host) == (3 * size, size, size, size)
    assert found.copies == 2
    # Two reads or one read of p, and a write, in HBM; the way out overlaps with the first, the way back with nothing.
    one, other = 2 * size / target.hbm_bandwidth, 3 * size / target.hbm_bandwidth
    first = pytest.approx(found.seconds["M"] - found.stalls["M"], rel=1e-9)
    assert first in (one + other, 2 * other)
    add = found.seconds["M"] - found.stalls["M"] - other
    assert found.stalls["M"] == pytest.approx(2 * size / link.to_host - add, rel=1e-9)


MODULE = """HloModule gpu, is_scheduled=true

ENTRY %main (p: f32[1024,1024], q: f32[1024,1024]) -> f32[1024,1024] {
  %p = f32[1024,1024]{1,0} parameter(0)
  %q = f32[1024,1024]{1,0} parameter(1)
  %early = f32[1024,1024]{1,0} add(%p, %q)
  %a = f32[1024,1024]{1,0} multiply(%q, %q)
  %b = f32[1024,1024]{1,0} multiply(%a, %q)
  %c = f32[1024,1024]{1,0} multiply(%b, %q)
  %d = f32[1024,1024]{1,0} multiply(%c, %q)
  ROOT %late = f32[1024,1024]{1,0} add(%d, %early)
}
"""


def test_the_problem_of_a_gpu_module() -> None:
    link = get_link("H100 SXM")
    problem = module_problem(build_problem(parse_hlo(MODULE), gpu_target(link)), link)
    early = next(tensor for tensor in problem.tensors if tensor.name == "early")
    ((start, end),) = early.gaps
    assert early.size == 4 * 2**20
    assert end - start >= 2
    assert problem.steps[end].seconds == pytest.approx(3 * early.size / link.bandwidth)
    between = problem.steps[start + 1 : end]
    # Each of the four products reads two arrays (one where both are the same) and writes one.
    assert sum(step.seconds for step in between) >= 3 * 3 * early.size / link.bandwidth


def test_a_file_gives_what_offloading_could_do(tmp_path: Path) -> None:
    path = tmp_path / "module.hlo"
    path.write_text(MODULE)
    found = api.fit(str(path), target="H100 SXM", budget="100%", solver="local", time_limit=1.0)
    assert found.answer is None
    assert found.solution is not None
    assert found.solution.judged is not None
    assert found.solution.judged.peak <= found.budget


@pytest.mark.libtpu
def test_the_compiler_confirms_a_plan(tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    reference = "workloads.offload.convolutional:tiny_convolutional"
    found = api.fit(
        reference,
        target="v5e",
        budget="100%",
        solver="local",
        time_limit=2.0,
        compiles=5,
        out=out,
        cache=tmp_path / "c",
    )
    assert found.confirmed is not None
    by_label = {candidate.label: candidate.read for candidate in found.confirmed.candidates}
    offloaded = by_label["all named offloaded"]
    assert offloaded is not None
    # Three blocks with three residuals of 2 x 16 x 16 x 16 bf16, channels padded to 128 lanes.
    assert offloaded.to_host == offloaded.from_host > 0
    assert offloaded.host_bytes > 0
    default = by_label["xla default"]
    assert default is not None
    assert (default.to_host, default.host_bytes) == (0, 0)
    assert found.answer is not None
    assert found.answer.device_bytes <= found.budget == default.device_bytes
    verified = api.verify_fit(out, reference, cache=tmp_path / "c")
    assert verified.fits
    assert verified.plan.device_bytes == found.answer.device_bytes
