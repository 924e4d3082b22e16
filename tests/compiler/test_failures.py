"""Errors of the compiler as typed refusals; the messages are real ones of libtpu 0.0.52."""

from __future__ import annotations

import pytest

from mallocgame.compiler.failures import OutOfMemoryError, OverrideRefusedError, parse_refusal, raise_failure
from mallocgame.system.errors import BadInputError, CompilerRefusedError

PLACEMENT = (
    "FAILED_PRECONDITION: MSA strict override failed for instruction 'while.2' operand 0, shape (s32[], "
    "bf16[512,512]), defining instruction 'copy.11': Out of alternate memory / spatial placement conflict "
    "(requested schedule time: n/a)"
)
TIMING = (
    "FAILED_PRECONDITION: MSA strict timing override unsatisfied for instruction 'fusion.9' operand 1, shape "
    "bf16[4096,4096]: scheduled prefetch time (0) does not match requested prefetch time (20)"
)
CHECK = (
    "I1122 14:53:55.1 8208 algorithm.cc:1] something\n"
    "F1122 14:53:55.141302    8208 algorithm.cc:8563] Check failed: required_assignment.memory_space_and_offset_equal( "
    "existing_required_assignment.value()) Failed to add required assignment due to a conflict. hlo value: <76 b.1>\n"
    "    @     0x7f  (unknown)\n"
)


def test_placement_refusal() -> None:
    refusal = parse_refusal(PLACEMENT)
    assert refusal is not None
    assert (refusal.instruction, refusal.operand, refusal.defining) == ("while.2", 0, "copy.11")
    assert refusal.reason == "Out of alternate memory / spatial placement conflict"
    assert refusal.exit_code == 4


BACK_END = """LLVM ERROR: Not enough space for TILESPMEM spill: FrameIndex = 141
*** SIGABRT received by PID 14168 (TID 14221) on cpu 1, si_code=-6, from PID 14168; stack trace: ***
I1122 19:24:25.123134   14221 process_state.cc:1428] RAW: FailureSignalHandler() exiting
"""
"""From the workload ppo on v5p, libtpu 0.0.52, shortened."""


def test_timing_refusal() -> None:
    refusal = parse_refusal("Traceback\n" + TIMING + "\nmore")
    assert refusal is not None
    assert (refusal.instruction, refusal.operand, refusal.defining) == ("fusion.9", 1, None)
    assert refusal.reason == "scheduled prefetch time (0) does not match requested prefetch time (20)"


@pytest.mark.parametrize(
    ("returncode", "result", "log", "kind", "words"),
    [
        (1, {"error": "compiler", "message": PLACEMENT}, "", OverrideRefusedError, "while.2 operand 0"),
        (-6, {}, CHECK, OverrideRefusedError, "b.1: compiler died of SIGABRT: Check failed"),
        (-6, {}, BACK_END, CompilerRefusedError, "died of SIGABRT: LLVM ERROR: Not enough space for TILESPMEM spill"),
        (-11, {}, "", CompilerRefusedError, "died of SIGSEGV"),
        (3, {}, "a\nlast words\n\n", CompilerRefusedError, "status 3: last words"),
        (1, {"error": "input", "message": "m:f: ValueError: a\nb"}, "", BadInputError, "m:f: ValueError: a b"),
        (
            1,
            {
                "error": "compiler",
                "message": "INVALID_ARGUMENT: No such compile option: 'xla_tpu_msa_tensor_overrides'",
            },
            "",
            CompilerRefusedError,
            "no compiler option xla_tpu_msa_tensor_overrides; install libtpu >= 0.0.50",
        ),
        (
            1,
            {"error": "compiler", "message": "INVALID_ARGUMENT: No such compile option: 'xla_sc_disjoint_spmem'"},
            "",
            CompilerRefusedError,
            "no compiler option xla_sc_disjoint_spmem; if it is a flag of the process, set it in LIBTPU_INIT_ARGS",
        ),
        (
            1,
            {},
            "I1 a\nERROR: Unknown command line flag 'xla_b'. Did you mean: xla_c ?\nlast words\n",
            CompilerRefusedError,
            "libtpu refused a flag of LIBTPU_INIT_ARGS: Unknown command line flag 'xla_b'. Did you mean: xla_c ?",
        ),
        (1, {"error": "compiler", "message": "x" * 5000}, "", CompilerRefusedError, "x ..."),
    ],
)
def test_every_failure_is_one_line(
    returncode: int, result: dict[str, str], log: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        raise_failure(returncode, result, log)
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_a_died_check_names_the_tensor() -> None:
    with pytest.raises(OverrideRefusedError) as caught:
        raise_failure(-6, {}, CHECK.replace("b.1>", "while.2{1} (phi)>"))
    assert (caught.value.defining, caught.value.index) == ("while.2", (1,))


def test_a_program_that_does_not_fit_is_told_apart() -> None:
    said = "RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory required for HLO "
    message = f"{said}temporaries (17.00G) exceeds available HBM (15.75G). HLO module: jit_step."
    with pytest.raises(OutOfMemoryError, match="the compiler refused: RESOURCE_EXHAUSTED") as raised:
        raise_failure(1, {"error": "compiler", "message": message}, "")
    assert raised.value.left is None
    with pytest.raises(CompilerRefusedError) as other:
        raise_failure(1, {"error": "compiler", "message": "INTERNAL: something else"}, "")
    assert not isinstance(other.value, OutOfMemoryError)
