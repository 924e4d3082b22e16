"""`solve --probe`: the model's answer against XLA's default on the device itself; the measurement decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capture_file import is_capture, load_capture
from mallocgame.plan.named_plan import NamedPlan
from mallocgame.plan.options_file import ProgramOptions
from mallocgame.probe.child import ProbeChild
from mallocgame.probe.measure import RUN_LIMIT, check_device, measure
from mallocgame.probe.programs import of_capture, with_answer
from mallocgame.system.errors import BadInputError, CompilerRefusedError, NoAnswerError
from mallocgame.system.progress import Progress

if TYPE_CHECKING:
    from mallocgame.optimizer.automatic import Automatic

TIME_LIMIT = 60.0
"""Seconds of measuring."""

MARGIN = 0.002
"""An accelerator that nobody else uses is steady to about 0.1 %, and gains are often below 1 %."""

XLA_DEFAULT = "XLA's default"


def capture_for_device(file: Path) -> Capture:
    """The capture of a file, if the device at hand is the one that it is for; found out before any search.

    Raises:
        BadInputError: the file is no capture, or for another device.
        CompilerRefusedError: JAX has no device.
    """
    if not (file.is_file() and is_capture(file)):
        raise BadInputError(f"{file}: --probe runs the program, so it needs a capture (.mgz)")
    capture = load_capture(file)
    with ProbeChild() as child:
        check_device(of_capture(capture, str(file)), child.ask("find the device", seconds=RUN_LIMIT))
    return capture


def choose_by_measuring(found: Automatic, capture: Capture, *, seed: int, progress: Progress) -> Automatic:
    """The answer if it is surely faster than XLA's default on the device at hand, else XLA's default.

    Where the two cannot be measured, the answer stays, and a note says why.
    """
    answer = found.answer
    if isinstance(answer, ProgramOptions) and answer.kind == "xla default":
        return replace(found, notes=(*found.notes, "the answer is XLA's default: there was nothing to measure"))
    default = of_capture(capture, XLA_DEFAULT)
    about = "the plan" if isinstance(answer, NamedPlan) else answer.about
    try:
        probed = measure(
            [default, with_answer(default, answer, about)],
            time_limit=TIME_LIMIT,
            margin=MARGIN,
            seed=seed,
            inputs=None,
            progress=progress,
        )
    except (CompilerRefusedError, NoAnswerError) as error:
        return replace(found, notes=(*found.notes, f"the answer was not measured: {error}"))
    if probed.best == 0:
        answer = ProgramOptions(
            kind="xla default",
            about=XLA_DEFAULT,
            module=found.loaded.problem.module,
            target=capture.target,
            fingerprint=found.loaded.problem.fingerprint,
            versions=dict(found.loaded.versions),
            options=dict(capture.options),
        )
    return replace(found, answer=answer, probed=probed)
