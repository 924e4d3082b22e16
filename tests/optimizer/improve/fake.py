"""A compiler whose times are known, and the loop against it."""

from __future__ import annotations

from mallocgame.compiler.child import Compiled, Limits, Request
from mallocgame.compiler.export.options import TENSOR_OVERRIDES
from mallocgame.optimizer.improve import Improved, improve
from mallocgame.optimizer.knowledge.choice import Choice
from mallocgame.plan.compiler_options import SCOPED_VMEM
from tests.bench.scan import a_capture, compiled

FASTER = {"49152": 40_000, "65536": 50_000, "32768": 10_000}
"""Cycles that a split saves of 150,000."""

OFF = "xla_msa_enable"
SLICES = "xla_tpu_sliced_prefetch_max_slices"


class Fake:
    """150,000 cycles; splits and plans save some, MSA off costs some."""

    def __init__(self, plan_saves: int = 20_000) -> None:
        self.asked: list[dict[str, str]] = []
        self.plan_saves = plan_saves

    def __call__(self, request: Request, limits: Limits | None = None) -> Compiled:
        options = dict(request.options)
        self.asked.append(options)
        saved = FASTER.get(options.get(SCOPED_VMEM, ""), 0)
        saved += self.plan_saves * (TENSOR_OVERRIDES in options) - 30_000 * (OFF in options)
        return compiled(request, 150_000 - saved)


def improved(fake: Fake, compiles: int = 8, without: tuple[str, ...] = (), choice: Choice | None = None) -> Improved:
    return improve(a_capture(), compile=fake, time_limit=1.0, compiles=compiles, without=without, choice=choice)


def splits_of(fake: Fake) -> list[str]:
    return [options[SCOPED_VMEM] for options in fake.asked if options.keys() == {SCOPED_VMEM}]
