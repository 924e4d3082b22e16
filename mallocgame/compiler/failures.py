"""What a failed compile says, as typed errors of one line."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from mallocgame.plan.init_args import VARIABLE
from mallocgame.system.errors import BadInputError, CompilerRefusedError
from xla_dump_parser.out_of_memory import says_out_of_memory

_MAX_MESSAGE = 600

_REFUSAL = re.compile(
    r"FAILED_PRECONDITION: MSA strict (?P<timing>timing )?override (?:failed|unsatisfied) for instruction "
    r"'(?P<instruction>[^']*)' operand (?P<operand>\d+)(?:, shape .*?)?"
    r"(?:, defining instruction '(?P<defining>[^']*)')?: (?P<reason>.*?)"
    r"(?: \(requested schedule time: [^)]*\))?$"
)
_CHECK = re.compile(r"^F\d{4} .*?\] (?:RAW: )?(Check failed: .*)$", re.MULTILINE)
_FATAL = re.compile(r"^F\d{4} .*?\] (.*)$", re.MULTILINE)
_BACK_END = re.compile(r"^(LLVM ERROR: .*)$", re.MULTILINE)
_BAD_FLAG = re.compile(r"^ERROR: ((?:Unknown command line flag|Illegal value) .*)$", re.MULTILINE)
_WAY_OUT = {"xla_tpu_msa_tensor_overrides": "install libtpu >= 0.0.50"}
_FLAG = f"if it is a flag of the process, set it in {VARIABLE}"
_VALUE = re.compile(r"hlo value: <\d+ (?P<name>[^ >{]+)(?:\{(?P<index>[\d,]*)\})?")


class OverrideRefusedError(CompilerRefusedError):
    """The compiler cannot do what a strict tensor override asks for.

    Attributes:
        instruction: the using instruction that the compiler names, or None.
        operand: operand number of that use.
        defining: the instruction that defines the tensor, or None where the compiler does not say.
        index: tuple index of the tensor at its definition, or None where the compiler does not say.
        reason: the compiler's words.
        seconds: that the compile took until then, where who compiled keeps that.
    """

    seconds: float | None = None

    def __init__(
        self,
        instruction: str | None,
        operand: int,
        defining: str | None,
        reason: str,
        index: tuple[int, ...] | None = None,
    ) -> None:
        where = f"{instruction} operand {operand}" if instruction is not None else str(defining)
        super().__init__(f"the compiler refused an override for {where}: {reason}")
        self.instruction = instruction
        self.operand = operand
        self.defining = defining
        self.index = index
        self.reason = reason


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """The texts of a compile that ended before code was generated.

    Attributes:
        target: that it was for.
        lowered: StableHLO text of what was compiled.
        optimized: HLO after memory space assignment.
        buffer_assignment: the buffer-assignment text.
        memory_usage: the memory-usage-report text.
    """

    target: str
    lowered: str
    optimized: str
    buffer_assignment: str
    memory_usage: str


class OutOfMemoryError(CompilerRefusedError):
    """The program needs more of a memory than there is.

    Attributes:
        left: what the compile left behind; None where it ended before there was a buffer assignment.
    """

    left: LeftBehind | None = None


def parse_refusal(message: str) -> OverrideRefusedError | None:
    """The typed refusal in a compiler's error message, or None where it is about something else."""
    line = next((line for line in message.splitlines() if "FAILED_PRECONDITION: MSA strict" in line), "")
    found = _REFUSAL.search(line.strip())
    if found is None:
        return None
    return OverrideRefusedError(found["instruction"], int(found["operand"]), found["defining"], _short(found["reason"]))


def raise_failure(returncode: int, result: Mapping[str, Any], log: str) -> NoReturn:
    """Turn a child's exit status (negative: minus a signal), its result and its log into one error.

    Raises:
        BadInputError, CompilerRefusedError: as ``compile_in_child`` tells.
    """
    kind, message = result.get("error"), str(result.get("message", ""))
    if kind == "input":
        raise BadInputError(_short(message))
    if kind == "jax":
        raise CompilerRefusedError(_short(message))
    if kind == "compiler":
        raise _refusal(message)
    if returncode < 0:
        raise _death(-returncode, log)
    flag = _BAD_FLAG.search(log)
    if flag is not None:
        raise CompilerRefusedError(f"libtpu refused a flag of {VARIABLE}: {_short(flag[1])}")
    raise CompilerRefusedError(f"the compiling process ended with status {returncode}: {_last_line(log)}")


def _refusal(message: str) -> CompilerRefusedError:
    refused = parse_refusal(message)
    if refused is not None:
        return refused
    option = re.search(r"No such compile option: '?([\w.-]+)'?", message)
    if option is not None:
        return CompilerRefusedError(f"this libtpu has no compiler option {option[1]}; {_WAY_OUT.get(option[1], _FLAG)}")
    refusal = OutOfMemoryError if says_out_of_memory(message) else CompilerRefusedError
    return refusal(f"the compiler refused: {_short(message)}")


def _death(number: int, log: str) -> CompilerRefusedError:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = str(number)
    found = _CHECK.search(log) or _FATAL.search(log) or _BACK_END.search(log)
    said = found[1] if found else _last_line(log)
    value = _VALUE.search(said)
    if value is not None:
        index = tuple(int(part) for part in (value["index"] or "").split(",") if part)
        return OverrideRefusedError(None, 0, value["name"], f"compiler died of {name}: {_short(said)}", index)
    return CompilerRefusedError(f"the compiler died of {name}: {_short(said)}")


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return _short(lines[-1]) if lines else "it said nothing"


def _short(text: str) -> str:
    """One line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + " ..."
