"""The device at hand: programs side by side, and its memories."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mallocgame.api.arguments import PathLike, check_time_limit
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import check_writable
from mallocgame.system.progress import Progress, silent

if TYPE_CHECKING:
    from mallocgame.probe.measure import Probe
    from mallocgame.problem.target_file import MeasuredTarget


def probe(
    programs: Sequence[PathLike],
    *,
    time_limit: float = 60.0,
    margin: float = 0.01,
    inputs: PathLike | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    progress: Progress | None = None,
) -> Probe:
    """Run programs on the device that JAX has, side by side, and say which is the fastest.

    Ctrl-C gives what is known so far.

    Args:
        programs: two or more, the first is what the others are compared with. Each is ``MODULE:FUNCTION`` (which
            returns (function, arguments); arrays among the arguments are used as they are), a capture, a lowered module
            (``*.mlir``), or a JSON file for the program before it: a plan, an answer of ``auto``, or compiler options.
        time_limit: seconds of measuring; compiling comes on top.
        margin: share by which a program has to differ, beyond doubt, to be called faster or slower.
        inputs: file of ``numpy.savez(path, *arrays)``: real inputs for the programs that bring none; else made up.
        seed: of made-up inputs and of the order of the runs.
        out: where to write the result with every sample.
        progress: called with one line at each step.

    Raises:
        BadInputError: a program cannot be used, is for another device, or ``out`` cannot be written.
        CompilerRefusedError: a program does not compile, or its process died.
        NoAnswerError: it does not fit on the device, or takes too long.
    """
    from mallocgame.probe.measure import measure
    from mallocgame.probe.programs import programs_of
    from mallocgame.probe.result_file import save_result

    check_time_limit(time_limit)
    if not 0 < margin < 1:
        raise BadInputError(f"the margin has to be a share between 0 and 1, not {margin}")
    if out is not None:
        check_writable(out)
    found = measure(
        programs_of(programs),
        time_limit=time_limit,
        margin=margin,
        seed=seed,
        inputs=None if inputs is None else os.path.abspath(inputs),
        progress=progress or silent,
    )
    if out is not None:
        save_result(found, out)
    return found


def calibrate(
    programs: Sequence[PathLike] = (),
    *,
    out: PathLike,
    time_limit: float = 60.0,
    inputs: PathLike | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> MeasuredTarget:
    """Measure the memories of the device that JAX has, and write a target file that ``solve`` takes as ``target``.

    Args:
        programs: as ``probe``; their instructions are timed one by one, where JAX's profiler can.
        out: the file.
        time_limit: seconds for the memories.
        inputs: as ``probe``.
        seed: of made-up inputs.
        progress: called with one line at each step.

    Raises:
        BadInputError, CompilerRefusedError, NoAnswerError: as ``probe``.
    """
    from mallocgame.probe.calibrate import calibrate as measure_target
    from mallocgame.probe.programs import programs_of
    from mallocgame.problem.target_file import save_target

    check_time_limit(time_limit)
    check_writable(out)
    found = measure_target(
        programs_of(programs),
        seconds=time_limit,
        seed=seed,
        inputs=None if inputs is None else os.path.abspath(inputs),
        progress=progress or silent,
    )
    save_target(found, out)
    return found
