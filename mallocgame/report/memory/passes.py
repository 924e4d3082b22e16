"""Which part of a training step an instruction is of, by the ``op_name`` that JAX gives it."""

from __future__ import annotations

import re
from typing import Literal

from xla_dump_parser.hlo import ArrayShape, Instruction

Pass = Literal["forward", "backward", "recomputed", "outside"]
"""Recomputed: of the forward pass, done again in the backward pass. Outside: of neither, such as an optimizer's update;
all of a program that takes no gradient."""

_OP_NAME = re.compile(r'op_name="((?:[^"\\]|\\.)*)"')
_ESCAPED = re.compile(r"\\(.)")
_BACKWARD = re.compile(r"\btranspose\((?:\w+\()*jvp\(")
_FORWARD = re.compile(r"\bjvp\(")
_RECOMPUTED = re.compile(r"/rematted_computation(?:/|\Z)")


def op_name_of(step: Instruction) -> str:
    """The ``op_name`` of an instruction; empty without. Of an entry parameter it is the argument's path."""
    found = _OP_NAME.search(step.attributes.get("metadata", ""))
    return "" if found is None else _ESCAPED.sub(r"\1", found[1])


def pass_of(op_name: str) -> Pass | None:
    """What an instruction of this name is of; None without a name.

    JAX writes the transformations that a traced function went through into its names: ``jvp(...)`` is the forward pass
    of a gradient, ``transpose(jvp(...))`` its backward pass, and ``rematted_computation`` in it what ``jax.checkpoint``
    does again.
    """
    if not op_name:
        return None
    if _BACKWARD.search(op_name):
        return "recomputed" if _RECOMPUTED.search(op_name) else "backward"
    return "forward" if _FORWARD.search(op_name) else "outside"


def has_gradients(shape: ArrayShape) -> bool:
    """Whether arrays of this type have gradients: floating-point and complex ones."""
    return shape.dtype.startswith(("f", "bf", "c"))
