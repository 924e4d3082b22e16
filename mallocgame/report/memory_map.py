"""The memory map: fast memory over the schedule, one rectangle a stay, one panel a plan. Needs the extra ``report``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from mallocgame.errors import BadInputError
from mallocgame.plan import Plan, Stay
from mallocgame.problem.schema import Problem
from mallocgame.report.files import write_atomically

MIB = 2**20
_INK = "#1f2933"
_LOOP = "#eef0f3"
_COLOURS = {
    "written there by its instruction": "#3f7fbf",
    "prefetched from HBM": "#e8923a",
    "prefetch in flight": "#f6d3ac",
}
_PRODUCED, _FETCHED, _IN_FLIGHT = _COLOURS
_PANEL_INCHES = (15.0, 3.6)
_LABEL_SHARE = (0.055, 0.055)
"""A rectangle gets its tensor's name if it is at least this share of the panel's width and height."""
_LABEL_LETTERS_PER_WIDTH = 190


@dataclass(frozen=True, slots=True)
class Panel:
    """One memory map: a title, and the plan whose stays it shows."""

    title: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Part of a stay in one colour: times [start, end], closed; offset and size in bytes."""

    kind: str
    start: int
    end: int
    offset: int
    size: int
    name: str


def rectangles(problem: Problem, plan: Plan) -> tuple[Rectangle, ...]:
    """What to draw: each stay once, a prefetched one split into the flight of its copy and the rest."""
    flights = {(copy.tensor, copy.after + 1): copy.before for copy in plan.copies if copy.kind == "prefetch"}
    found = []
    for stay in plan.stays:
        landing = flights.get((stay.tensor, stay.start))
        if landing is None:
            found.append(_rectangle(problem, stay, _PRODUCED, stay.start, stay.end))
            continue
        if landing > stay.start:
            found.append(_rectangle(problem, stay, _IN_FLIGHT, stay.start, landing - 1))
        found.append(_rectangle(problem, stay, _FETCHED, min(landing, stay.end), stay.end))
    return tuple(found)


def draw_memory_map(problem: Problem, panels: Sequence[Panel], out: str | os.PathLike[str]) -> None:
    """Draw the panels, one above the other on one time axis, to ``out`` (.png, .svg or .pdf).

    Raises:
        BadInputError: matplotlib is missing, the kind of picture is unknown, or ``out`` cannot be written.
    """
    path = Path(out)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise BadInputError(f"{path}: the memory map can be drawn as .png, .svg or .pdf")
    try:
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError:
        raise BadInputError('the memory map needs matplotlib: pip install "mallocgame[report]"') from None
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width, height * len(panels) + 0.7), layout="constrained")
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for panel, axis in zip(panels, axes, strict=True):
        _draw_panel(problem, panel, axis)
    axes[-1].set_xlabel("time (instruction of the schedule)", color=_INK)
    handles: list[Any] = [Patch(color=colour, label=kind) for kind, colour in _COLOURS.items()]
    if any(computation.kind == "body" for computation in problem.computations):
        handles.append(Patch(color=_LOOP, label="inside a loop body"))
    figure.legend(handles=handles, loc="outside lower right", ncols=len(handles), frameon=False, fontsize=9)
    picture = BytesIO()
    figure.savefig(picture, format=path.suffix[1:], dpi=110)
    write_atomically(path, picture.getvalue())


def _rectangle(problem: Problem, stay: Stay, kind: str, start: int, end: int) -> Rectangle:
    tensor = problem.tensors[stay.tensor]
    return Rectangle(kind, start, end, stay.offset, tensor.size, tensor.name)


def _draw_panel(problem: Problem, panel: Panel, axis: Any) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle as Box

    horizon, capacity = len(problem.instructions), problem.target.fast_bytes / MIB
    for computation in problem.computations:
        if computation.kind == "body":
            axis.axvspan(computation.start, computation.end + 1, color=_LOOP, zorder=0)
    shapes = rectangles(problem, panel.plan)
    for kind, colour in _COLOURS.items():
        boxes = [
            Box((shape.start, shape.offset / MIB), shape.end - shape.start + 1, shape.size / MIB)
            for shape in shapes
            if shape.kind == kind
        ]
        axis.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="white", linewidth=0.35, zorder=2))
    for shape in shapes:
        _label(shape, axis, horizon, capacity)
    axis.set_xlim(0, horizon)
    axis.set_ylim(0, capacity)
    axis.set_title(panel.title, loc="left", fontsize=11, color=_INK)
    axis.set_ylabel("address (MiB)", color=_INK)
    axis.tick_params(labelsize=9, colors=_INK)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def _label(shape: Rectangle, axis: Any, horizon: int, capacity: float) -> None:
    """The tensor's name inside its rectangle, where there is room for it."""
    share = (shape.end - shape.start + 1) / horizon
    if shape.kind == _IN_FLIGHT or share < _LABEL_SHARE[0] or shape.size / MIB / capacity < _LABEL_SHARE[1]:
        return
    room = int(share * _LABEL_LETTERS_PER_WIDTH)
    name = shape.name if len(shape.name) <= room else shape.name[: room - 1] + "…"
    middle = ((shape.start + shape.end + 1) / 2, (shape.offset + shape.size / 2) / MIB)
    axis.text(*middle, name, ha="center", va="center", fontsize=7, color="white", zorder=3, parse_math=False)
