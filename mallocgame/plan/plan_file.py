"""Plan files: a named plan as one JSON file, written atomically and read without trust."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mallocgame.plan.confirmation import confirmation_from_json, confirmation_to_json
from mallocgame.plan.named_plan import NamedPlan, NamedTensor, NamedUse, Option, check_plan, name_plan
from mallocgame.plan.plan import Copy, Plan, Stay
from mallocgame.problem.schedule import MAX_INSTRUCTIONS
from mallocgame.problem.schema import Reservation, ShapeIndex
from mallocgame.system import checked_json as checked
from mallocgame.system.errors import BadInputError
from mallocgame.system.files import write_atomically

__all__ = ["NamedPlan", "NamedTensor", "NamedUse", "Option", "check_plan", "load_plan", "name_plan", "save_plan"]

FORMAT = "mallocgame-plan"
VERSION = 3
_NEW_KEYS: Mapping[int, Mapping[str, object]] = {1: {"order": [], "reach": None}, 2: {"reach": None}}
"""The versions before, with what their files do not have."""

MAX_FILE_BYTES = 256 * 2**20

MAX_FAST_BYTES = 2**36
"""Where a stay may end: beyond the fast memory of any accelerator, and small enough for sums in 64 bits."""


def save_plan(named: NamedPlan, path: str | os.PathLike[str]) -> None:
    """Write ``named`` to ``path`` atomically: readers see the old file or the whole new one.

    Raises:
        BadInputError: ``named`` holds what the loader would refuse, or ``path`` cannot be written.
    """
    value = plan_to_json(named)
    target = Path(path)
    if plan_from_json(value, str(target)) != named:
        raise BadInputError(f"{target}: this plan cannot be written without loss")
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    write_atomically(target, (text + "\n").encode())


def load_plan(path: str | os.PathLike[str]) -> NamedPlan:
    """Read a plan file; nothing in it is trusted.

    Raises:
        BadInputError: it cannot be read, is not a plan of this format and version, or contradicts itself.
    """
    return plan_from_json(checked.read_json(path, MAX_FILE_BYTES), str(path))


def plan_to_json(named: NamedPlan) -> dict[str, Any]:
    """As a file holds it. Fast definitions and uses stand in the tensors only, so that they cannot contradict."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "fingerprint": named.fingerprint,
        "module": named.module,
        "target": named.target,
        "solver": named.solver,
        "seed": named.seed,
        "options": dict(named.options),
        "versions": dict(named.versions),
        "scoped_vmem_kib": named.scoped_vmem_kib,
        "order": list(named.order),
        "reach": named.plan.reach,
        "stays": [[stay.tensor, stay.start, stay.end, stay.offset] for stay in named.plan.stays],
        "copies": [[copy.tensor, copy.kind, copy.after, copy.before] for copy in named.plan.copies],
        "tensors": [_tensor_to_json(tensor) for tensor in named.tensors],
        **(
            {"reserved": [[one.start, one.end, one.offset, one.size] for one in named.reserved]}
            if named.reserved
            else {}
        ),
        **({} if named.confirmation is None else {"confirmation": confirmation_to_json(named.confirmation)}),
        **({"tiers": [list(tier) for tier in named.tiers]} if named.tiers else {}),
    }


def _tensor_to_json(tensor: NamedTensor) -> dict[str, Any]:
    uses = [
        {
            "instruction": use.instruction,
            "operands": [[number, list(index)] for number, index in use.operands],
            "fast": use.fast,
            "copy_after": use.copy_after,
            "copy_after_instruction": use.copy_after_instruction,
            "time": use.time,
            **({"far": True} if use.far else {}),
            **({"loop": True} if use.loop else {}),
        }
        for use in tensor.uses
    ]
    return {
        "id": tensor.id,
        "instruction": tensor.instruction,
        "index": list(tensor.index),
        "size": tensor.size,
        "group": tensor.group,
        "fast_definition": tensor.fast_definition,
        "uses": uses,
        **({"hinted": True} if tensor.hinted else {}),
    }


_KEYS = (
    "format", "version", "fingerprint", "module", "target", "solver", "seed", "options", "versions",
    "scoped_vmem_kib", "order", "reach", "stays", "copies", "tensors", "reserved", "confirmation", "tiers",
)  # fmt: skip


def plan_from_json(value: object, source: str) -> NamedPlan:
    """The plan that ``value`` says; nothing in it is trusted.

    Raises:
        BadInputError: it is no plan of this format and version, or contradicts itself; ``source`` begins the message.
    """
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise BadInputError(f'{source}: not a plan file (it has no "format": "{FORMAT}")')
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version not in (*_NEW_KEYS, VERSION):
        raise checked.bad(f"{source}: version of the plan format", str(VERSION), version)
    absent: dict[str, object] = {"reserved": [], "confirmation": None, "tiers": []}
    top = checked.record({**absent, **_NEW_KEYS.get(version, {}), **value}, source, _KEYS)
    tensors = checked.each(_tensor)(top["tensors"], f"{source}: tensors")
    _check_tensors(tensors, source)
    fingerprint = checked.name(top["fingerprint"], f"{source}: fingerprint")
    plan = Plan(
        fingerprint=fingerprint,
        fast_definitions=frozenset(tensor.id for tensor in tensors if tensor.fast_definition),
        fast_uses=frozenset(
            (tensor.id, number) for tensor in tensors for number, use in enumerate(tensor.uses) if use.fast
        ),
        stays=checked.each(_stay)(top["stays"], f"{source}: stays"),
        copies=checked.each(_copy)(top["copies"], f"{source}: copies"),
        reach=checked.optional(checked.non_negative)(top["reach"], f"{source}: reach"),
    )
    _check_plan(plan, tensors, source)
    return NamedPlan(
        fingerprint=fingerprint,
        module=checked.text(top["module"], f"{source}: module"),
        target=checked.text(top["target"], f"{source}: target"),
        solver=checked.text(top["solver"], f"{source}: solver"),
        seed=checked.natural(top["seed"], f"{source}: seed"),
        plan=plan,
        tensors=tensors,
        options=checked.mapping(checked.scalar)(top["options"], f"{source}: options"),
        versions=checked.mapping(checked.text)(top["versions"], f"{source}: versions"),
        scoped_vmem_kib=checked.optional(checked.natural)(top["scoped_vmem_kib"], f"{source}: scoped_vmem_kib"),
        order=checked.each(checked.natural)(top["order"], f"{source}: order"),
        reserved=checked.each(_reservation)(top["reserved"], f"{source}: reserved"),
        confirmation=checked.optional(confirmation_from_json)(top["confirmation"], f"{source}: confirmation"),
        tiers=checked.each(checked.each(checked.natural))(top["tiers"], f"{source}: tiers"),
    )


def _tensor(value: object, where: str) -> NamedTensor:
    keys = ("id", "instruction", "index", "size", "group", "fast_definition", "uses", "hinted")
    fields = checked.record({"hinted": False, **value} if isinstance(value, dict) else value, where, keys)
    return NamedTensor(
        id=checked.natural(fields["id"], f"{where}.id"),
        instruction=checked.name(fields["instruction"], f"{where}.instruction"),
        index=_index(fields["index"], f"{where}.index"),
        size=checked.natural(fields["size"], f"{where}.size"),
        group=checked.natural(fields["group"], f"{where}.group"),
        fast_definition=checked.boolean(fields["fast_definition"], f"{where}.fast_definition"),
        uses=checked.each(_use)(fields["uses"], f"{where}.uses"),
        hinted=checked.boolean(fields["hinted"], f"{where}.hinted"),
    )


def _use(value: object, where: str) -> NamedUse:
    keys = ("instruction", "operands", "fast", "copy_after", "copy_after_instruction", "time", "far", "loop")
    fields = checked.record({"far": False, "loop": False, **value} if isinstance(value, dict) else value, where, keys)
    after = checked.optional(checked.natural)(fields["copy_after"], f"{where}.copy_after")
    instruction = checked.optional(checked.name)(fields["copy_after_instruction"], f"{where}.copy_after_instruction")
    if (after is None) != (instruction is None):
        raise BadInputError(f"{where}: copy_after and copy_after_instruction go together")
    return NamedUse(
        instruction=checked.name(fields["instruction"], f"{where}.instruction"),
        operands=checked.each(_operand)(fields["operands"], f"{where}.operands"),
        fast=checked.boolean(fields["fast"], f"{where}.fast"),
        copy_after=after,
        copy_after_instruction=instruction,
        time=_time(fields["time"], f"{where}.time"),
        far=checked.boolean(fields["far"], f"{where}.far"),
        loop=checked.boolean(fields["loop"], f"{where}.loop"),
    )


_index = checked.each(checked.natural)


def _operand(value: object, where: str) -> tuple[int, ShapeIndex]:
    number, index = checked.row(value, where, 2)
    return checked.natural(number, f"{where}[0]"), _index(index, f"{where}[1]")


def _time(value: object, where: str) -> int:
    time = checked.natural(value, where)
    if time >= MAX_INSTRUCTIONS:
        raise checked.bad(where, f"a time of a schedule, less than {MAX_INSTRUCTIONS}", value)
    return time


def _stay(value: object, where: str) -> Stay:
    tensor, start, end, offset = checked.row(value, where, 4)
    stay = Stay(checked.natural(tensor, where), _time(start, where), _time(end, where), checked.natural(offset, where))
    if stay.start > stay.end:
        raise BadInputError(f"{where}: starts at {stay.start}, after its end {stay.end}")
    return stay


def _reservation(value: object, where: str) -> Reservation:
    start, end, offset, size = checked.row(value, where, 4)
    one = Reservation(
        _time(start, where), _time(end, where), checked.natural(offset, where), checked.natural(size, where)
    )
    if one.start > one.end or one.offset + one.size > MAX_FAST_BYTES:
        raise BadInputError(f"{where}: ends before it starts, or at a byte that no fast memory has")
    return one


def _copy(value: object, where: str) -> Copy:
    tensor, kind, after, before = checked.row(value, where, 4)
    if kind not in ("prefetch", "eviction"):
        raise checked.bad(where, '"prefetch" or "eviction"', kind)
    copy = Copy(
        tensor=checked.natural(tensor, where),
        kind=kind,
        after=_time(after, where),
        before=_time(before, where),
    )
    if copy.after >= copy.before:
        raise BadInputError(f"{where}: starts after {copy.after}, is waited for before {copy.before}")
    return copy


def _check_tensors(tensors: tuple[NamedTensor, ...], source: str) -> None:
    positions = set()
    for number, tensor in enumerate(tensors):
        if tensor.id != number:
            raise BadInputError(f"{source}: tensors[{number}].id is {tensor.id}, expected {number}")
        positions.add((tensor.instruction, tensor.index))
    if len(positions) != len(tensors):
        raise BadInputError(f"{source}: two tensors have the same defining instruction and index")


def _check_plan(plan: Plan, tensors: tuple[NamedTensor, ...], source: str) -> None:
    if list(plan.stays) != sorted(set(plan.stays)):
        raise BadInputError(f"{source}: stays are not in ascending order, each once")
    starts = [copy.after for copy in plan.copies]
    if starts != sorted(starts) or len(set(plan.copies)) != len(plan.copies):
        raise BadInputError(f"{source}: copies are not in the order of their starts, each once")
    for tensor_id in (*(stay.tensor for stay in plan.stays), *(copy.tensor for copy in plan.copies)):
        if tensor_id >= len(tensors):
            raise BadInputError(f"{source}: a stay or copy of tensor {tensor_id}, but there are {len(tensors)} tensors")
    for number, stay in enumerate(plan.stays):
        end = stay.offset + tensors[stay.tensor].size
        if end > MAX_FAST_BYTES:
            raise BadInputError(f"{source}: stays[{number}] ends at byte {end}, which no fast memory has")
    prefetches = {(copy.tensor, copy.after) for copy in plan.copies if copy.kind == "prefetch"}
    for tensor in tensors:
        for number, use in enumerate(tensor.uses):
            if use.copy_after is not None and (tensor.id, use.copy_after) not in prefetches:
                where = f"tensors[{tensor.id}].uses[{number}]"
                raise BadInputError(
                    f"{source}: {where}.copy_after {use.copy_after} is no start of a prefetch in copies"
                )
