"""Whether buffers that are well-formed one by one make a problem together."""

from __future__ import annotations

from collections.abc import Sequence

from mallocgame.packing.buffer import LARGEST, Buffer
from mallocgame.packing.validate import validate
from mallocgame.system.errors import BadInputError


def check_together(buffers: Sequence[Buffer], capacity: int | None = None) -> None:
    """Refuse a problem whose buffers are well-formed one by one but not together.

    Raises:
        BadInputError: an id twice, sizes that overflow, a capacity out of range, or fixed offsets that cannot be.
    """
    seen: set[str] = set()
    for buffer in buffers:
        if buffer.id in seen:
            raise BadInputError(f"two buffers have the id {buffer.id!r}")
        seen.add(buffer.id)
    if sum(buffer.size + buffer.alignment for buffer in buffers) >= LARGEST:
        raise BadInputError("the sum of all sizes and alignments is out of range")
    if capacity is not None and not 0 <= capacity < LARGEST:
        raise BadInputError(f"capacity {capacity} is out of range")
    fixed = {buffer: buffer.offset for buffer in buffers if buffer.offset is not None}
    violations = validate(tuple(fixed), tuple(fixed.values()), LARGEST)
    if violations:
        raise BadInputError(f"the fixed offsets clash whatever the capacity: {violations[0].message}")
