"""The ``window={size=3x3 stride=2x2 pad=1_1x1_1 ...}`` of convolutions and window reductions."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"(\w+)=([\d_x\-]+)")
_MAX_POSITIONS = 1 << 22


@dataclass(frozen=True, slots=True)
class WindowDimension:
    """One spatial dimension of a window, as in XLA's window proto."""

    size: int = 1
    stride: int = 1
    pad_low: int = 0
    pad_high: int = 0
    base_dilation: int = 1
    window_dilation: int = 1


def parse_window(text: str) -> tuple[WindowDimension, ...]:
    """The dimensions of a window attribute; empty where the text is none."""
    fields = {name: value.split("x") for name, value in _FIELD.findall(text)}
    sizes = _integers(fields.get("size", []))
    rank = len(sizes)

    def field(name: str, default: int) -> list[int]:
        values = _integers(fields.get(name, []))
        return values if len(values) == rank else [default] * rank

    pads = [part.split("_") for part in fields.get("pad", [])]
    if len(pads) != rank or any(len(pad) != 2 for pad in pads):
        pads = [["0", "0"]] * rank
    return tuple(
        WindowDimension(*values)
        for values in zip(
            sizes,
            field("stride", 1),
            _integers([pad[0] for pad in pads]),
            _integers([pad[1] for pad in pads]),
            field("lhs_dilate", 1),
            field("rhs_dilate", 1),
            strict=True,
        )
    )


def valid_positions(dimension: WindowDimension, inputs: int, outputs: int) -> int:
    """Pairs of an output and a window element whose input element exists: not padding, not a hole of the dilation.

    As OpenXLA's hlo_cost_analysis.cc counts a convolution's work in one spatial dimension.
    """
    stride, dilation = max(dimension.stride, 1), max(dimension.base_dilation, 1)
    if inputs <= 0 or outputs <= 0 or (dimension.size * outputs > _MAX_POSITIONS and dilation > 1):
        return max(0, dimension.size * outputs)
    dilated = (inputs - 1) * dilation + 1
    total = 0
    for element in range(min(dimension.size, _MAX_POSITIONS)):
        shift = element * dimension.window_dilation - dimension.pad_low
        first = (stride - 1 - shift) // stride if shift < 0 else 0
        last = min(outputs - 1, (dilated - 1 - shift) // stride)
        if last < first:
            continue
        if dilation == 1:
            total += last - first + 1
        else:
            total += sum((shift + place * stride) % dilation == 0 for place in range(first, last + 1))
    return total


def _integers(parts: list[str]) -> list[int]:
    return [int(part) if re.fullmatch(r"-?\d{1,9}", part) else 0 for part in parts]
