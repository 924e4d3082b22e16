"""What a compile changed beside placement, so that a user knows when results may differ in the last bits."""

from __future__ import annotations

import re
from collections.abc import Iterator

from xla_dump_parser import hlo

_WINDOW = re.compile(r'"window_config"\s*:\s*\{')
_CYCLES = re.compile(r'"(?:estimated_cycles|iteration_bounds_cycles)"\s*:\s*"?\d+"?,?')
_PASSES_ON = frozenset(
    {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "copy", "copy-start", "copy-done", "async-start",
     "async-update", "async-done", "slice-start", "slice-done", "custom-call"}
)  # fmt: skip


def changes(default: hlo.HloModule, plan: hlo.HloModule) -> tuple[str, ...]:
    """Notes on what differs beside memory spaces and copies; empty where nothing does."""
    ours, theirs = dict(_computing(plan)), dict(_computing(default))
    common = ours.keys() & theirs.keys()
    other = len(ours.keys() ^ theirs.keys()) + sum(ours[name][0] != theirs[name][0] for name in common)
    tiled = sum(ours[name] != theirs[name] and ours[name][0] == theirs[name][0] for name in common)
    notes = []
    if other:
        notes.append(f"{other} computing instructions differ from XLA's default; results may differ in the last bits")
    if tiled:
        notes.append(
            f"{tiled} instructions are tiled otherwise than in XLA's default, so sums may be taken in another order; "
            "results may differ in the last bits"
        )
    return tuple(notes)


def _computing(module: hlo.HloModule) -> Iterator[tuple[str, tuple[str, str]]]:
    """(name, (opcode, tiling)) of the scheduled instructions that compute something."""
    for name in scheduled_computations(module):
        for instruction in module.computations[name].instructions:
            if instruction.opcode not in _PASSES_ON:
                yield instruction.name, (instruction.opcode, _window(instruction))


def scheduled_computations(module: hlo.HloModule) -> list[str]:
    """The entry and every body, condition, branch and callee, fused and asynchronous ones left out."""
    found = [module.entry.name]
    for name in found:
        for instruction in module.computations[name].instructions:
            if instruction.opcode in ("while", "conditional", "call"):
                found += [
                    called for called in instruction.called if called in module.computations and called not in found
                ]
    return found


def _window(instruction: hlo.Instruction) -> str:
    """The tiling in an instruction's backend_config, without the estimates."""
    config = instruction.attributes.get("backend_config", "")
    start = _WINDOW.search(config)
    if start is None:
        return ""
    depth = 0
    for place in range(start.end() - 1, len(config)):
        depth += {"{": 1, "}": -1}.get(config[place], 0)
        if depth == 0:
            return _CYCLES.sub("", config[start.start() : place + 1])
    return ""
