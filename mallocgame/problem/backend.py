"""Which of XLA's backends compiled an HLO text, as far as the text shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from xla_dump_parser import hlo
from xla_dump_parser.shapes import walk_shape

Backend = Literal["GPU", "CPU"]

_MARKS: dict[Backend, re.Pattern[str]] = {
    "GPU": re.compile(
        r"fingerprint_before_lhs|\"(?:operation_queue_id|wait_on_operation_queues|force_earliest_schedule"
        r"|(?:gemm|fusion|cudnn_\w+|collective|bitcast|custom_call)_backend_config)\"|__(?:cu|triton|gpu|nccl|custom_fusion)"
        r"|\"(?:cu|hip|roc)(?:blas|dnn|fft|rand|solver|sparse)?[_$]|\"triton|mosaic_gpu|python_gpu_callback|xla\.gpu"
    ),
    "CPU": re.compile(
        r"\"outer_dimension_partitions\"|\"onednn_\w+_config\"|__(?:onednn|ynn|xnn|eigen|cpu)|\"(?:lapack|blas)_|xla\.cpu"
    ),
}
"""What the header, backend configurations and targets of custom calls have of a backend other than TPUs'."""


def backend_of(module: hlo.HloModule, computations: Iterable[hlo.Computation]) -> Backend | None:
    """The backend that compiled a module, if its header or some instruction of these computations shows another than a
    TPU's; else None.

    Raises:
        ParseError: a part of the text cannot be read.
    """
    texts = [module.header.get("frontend_attributes", "")]
    for computation in computations:
        for step in computation.instructions:
            texts += (step.attributes.get(name, "") for name in ("backend_config", "custom_call_target"))
    return marked(texts)


def marked(texts: Iterable[str]) -> Backend | None:
    """The backend other than a TPU's that texts have a mark of: attributes as they stand, names in their quotes."""
    found = list(texts)
    return next((name for name, mark in _MARKS.items() if any(map(mark.search, found))), None)


def is_untiled(computations: Iterable[hlo.Computation]) -> bool:
    """Whether there are arrays with dimensions and none is laid out in tiles, as all of a TPU's program are."""
    arrays = (array for body in computations for step in body.instructions for _, array in walk_shape(step.shape))
    tiled = [bool(array.layout and array.layout.tiles) for array in arrays if array.dims]
    return bool(tiled) and not any(tiled)
