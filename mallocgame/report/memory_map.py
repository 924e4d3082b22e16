"""The memory map: fast memory over the schedule, one rectangle a stay, one panel a plan. Needs the extra ``report``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import accumulate
from typing import Any

from mallocgame.plan.plan import Plan
from mallocgame.problem.schema import Problem
from mallocgame.system.errors import BadInputError

MIB = 2**20
_INK = "#1f2933"
_LOOP = "#eef0f3"
_COLOURS = {
    "written there by its instruction": "#3f7fbf",
    "prefetched from HBM": "#e8923a",
    "prefetch in flight": "#f6d3ac",
}
RESERVED = "reserved by instructions"
_RESERVED_COLOUR = "#b8bec7"
KINDS = tuple(_COLOURS)
"""What a rectangle shows."""
_PRODUCED, _FETCHED, _IN_FLIGHT = KINDS
_PANEL_INCHES = (15.0, 3.6)
_LABEL_SHARE = (0.055, 0.055)
"""A rectangle gets its tensor's name if it is at least this share of the panel's width and height."""
_LABEL_LETTERS_PER_WIDTH = 190
_SPARE = 1.25


Slices = Mapping[tuple[int, int], tuple[tuple[int, int], ...]]
"""(tensor, first time of its stay) -> (time that it starts after, bytes) of each slice of the prefetch."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One memory map.

    Attributes:
        title: above it.
        plan: whose stays it shows.
        slices: of the prefetches that come in several; each is drawn from its own start.
    """

    title: str
    plan: Plan
    slices: Slices = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Part of a stay, or a reservation, in one colour: times [start, end], closed; offset and size in bytes."""

    kind: str
    start: int
    end: int
    offset: int
    size: int
    name: str


def rectangles(problem: Problem, panel: Panel) -> tuple[Rectangle, ...]:
    """What to draw: each stay once, a prefetched one split into the flight of its copy and the rest."""
    flights = {(copy.tensor, copy.after + 1): copy.before for copy in panel.plan.copies if copy.kind == "prefetch"}
    found = []
    for stay in panel.plan.stays:
        tensor = problem.tensors[stay.tensor]
        landing = flights.get((stay.tensor, stay.start))
        if landing is None:
            found.append(Rectangle(_PRODUCED, stay.start, stay.end, stay.offset, tensor.size, tensor.name))
            continue
        offset = stay.offset
        for after, size in panel.slices.get((stay.tensor, stay.start), ((stay.start - 1, tensor.size),)):
            if landing > after + 1:
                found.append(Rectangle(_IN_FLIGHT, after + 1, landing - 1, offset, size, tensor.name))
            offset += size
        start = min(landing, stay.end)
        found.append(Rectangle(_FETCHED, start, stay.end, stay.offset, tensor.size, tensor.name))
    return tuple(found)


def reserved_rectangles(problem: Problem) -> tuple[Rectangle, ...]:
    """What instructions reserve for themselves; to be drawn below the stays."""
    return tuple(Rectangle(RESERVED, one.start, one.end, one.offset, one.size, "reserved") for one in problem.reserved)


def positions(problem: Problem) -> tuple[int, ...]:
    """Where each time is across the picture: parameters, tuples and the like, which take no time, have no width.

    Returns:
        One number a time and one more for the end: instructions that take time before it.
    """
    return tuple(accumulate((not instruction.free for instruction in problem.instructions), initial=0))


def memory_map(problem: Problem, panels: Sequence[Panel], kind: str) -> bytes:
    """A picture of the panels, one above the other on one time axis, as ``"png"`` or ``"svg"``.

    Raises:
        BadInputError: matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise BadInputError('the memory map needs matplotlib: pip install "mallocgame[report]"') from None
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * len(panels) + 0.7), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    across = positions(problem)
    reserved = reserved_rectangles(problem)
    drawn = [(*reserved, *rectangles(problem, panel)) for panel in panels]
    top = _height(problem, [shape for shapes in drawn for shape in shapes])
    for panel, shapes, axis in zip(panels, drawn, axes, strict=True):
        axis.set_title(panel.title, loc="left", fontsize=11, color=_INK, parse_math=False)
        _draw_panel(problem, shapes, axis, across, top)
    axes[-1].set_xlabel("time (instructions of the schedule that take time)", color=_INK)
    handles: list[Any] = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
    if reserved:
        handles.append(Patch(color=_RESERVED_COLOUR, label=RESERVED))
    if any(computation.kind == "body" for computation in problem.computations):
        handles.append(Patch(color=_LOOP, label="inside a loop body"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False, fontsize=9)
    picture = BytesIO()
    figure.savefig(picture, format=kind, dpi=110)
    return picture.getvalue()


def _height(problem: Problem, shapes: Sequence[Rectangle]) -> float:
    """MiB that the address axis shows: all of fast memory, or a little more than what is used if that is far less."""
    used = max((shape.offset + shape.size for shape in shapes), default=problem.target.fast_bytes)
    return min(problem.target.fast_bytes, _SPARE * used) / MIB


def _draw_panel(
    problem: Problem, shapes: Sequence[Rectangle], axis: Any, across: tuple[int, ...], capacity: float
) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle as Box

    for computation in problem.computations:
        if computation.kind == "body":
            axis.axvspan(across[computation.start], across[computation.end + 1], color=_LOOP, zorder=0)
    for kind, colour in ((RESERVED, _RESERVED_COLOUR), *_COLOURS.items()):
        boxes = [
            Box((across[shape.start], shape.offset / MIB), _width(shape, across), shape.size / MIB)
            for shape in shapes
            if shape.kind == kind and _width(shape, across)
        ]
        axis.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="white", linewidth=0.35, zorder=2))
    for shape in shapes:
        _label(shape, axis, across, capacity)
    axis.set_xlim(0, max(across[-1], 1))
    axis.set_ylim(0, capacity)
    axis.set_ylabel(f"address (MiB of {problem.target.fast_bytes / MIB:.0f})", color=_INK)
    axis.tick_params(labelsize=9, colors=_INK)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _width(shape: Rectangle, across: tuple[int, ...]) -> int:
    return across[shape.end + 1] - across[shape.start]


def _label(shape: Rectangle, axis: Any, across: tuple[int, ...], capacity: float) -> None:
    """The tensor's name inside its rectangle, where there is room for it."""
    share = _width(shape, across) / max(across[-1], 1)
    if shape.kind == _IN_FLIGHT or share < _LABEL_SHARE[0] or shape.size / MIB / capacity < _LABEL_SHARE[1]:
        return
    room = int(share * _LABEL_LETTERS_PER_WIDTH)
    name = shape.name if len(shape.name) <= room else shape.name[: room - 1] + "…"
    middle = (across[shape.start] + _width(shape, across) / 2, (shape.offset + shape.size / 2) / MIB)
    axis.text(*middle, name, ha="center", va="center", fontsize=7, color="white", zorder=3, parse_math=False)
