"""What the kernels of a scheduled text cost, read by a child process that has JAX: a damaged module may end it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys

from mallocgame.problem.costs.kernels import KernelCost, body_of, decode, digest_of, is_kernel
from mallocgame.problem.schedule import scheduled_computations
from mallocgame.system.errors import BadInputError
from mallocgame.system.processes import python_path
from xla_dump_parser import hlo

SECONDS = 120.0
"""After which what is not read yet stays unknown."""

_known: dict[str, KernelCost | None] = {}
"""What this process has read before, by digest; None for what could not be read."""


def kernel_costs(module: hlo.HloModule) -> dict[str, KernelCost]:
    """By digest, the cost of each kernel that could be read; nothing where JAX is not installed."""
    bodies = {
        digest_of(body): body
        for computation in scheduled_computations(module)
        for instruction in computation.instructions
        if is_kernel(instruction) and (body := body_of(instruction))
    }
    new = {digest: body for digest, body in bodies.items() if digest not in _known}
    if new and importlib.util.find_spec("jax") is not None:
        found = _read(list(new.values()))
        _known.update({digest: found.get(digest) for digest in new})
    return {digest: cost for digest in bodies if (cost := _known.get(digest)) is not None}


def _read(bodies: list[str]) -> dict[str, KernelCost]:
    """What a child says of these modules."""
    command = [sys.executable, "-m", "mallocgame.compiler.kernels.child_main", str(os.getpid())]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": python_path([os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as child:
        try:
            said, _ = child.communicate(json.dumps(bodies), SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            said, _ = child.communicate()
    costs: dict[str, KernelCost] = {}
    for line in said.splitlines():
        with contextlib.suppress(BadInputError):  # a line that the child did not end
            costs.update(decode(line, "kernels"))
    return costs
