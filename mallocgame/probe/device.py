"""What a measurement was made on: the device, its clocks, the machine's load, versions."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from importlib import metadata
from typing import Any

PACKAGES = ("jax", "jaxlib", "libtpu", "jax-cuda12-plugin", "jax-cuda13-plugin", "mallocgame")
"""Versions of these are recorded, as far as they are installed."""

ENVIRONMENT = ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "JAX_PLATFORMS")
"""Variables that change what is measured."""

CLOCK_SECONDS = 10.0
GPU_FIELDS = ("clocks.sm", "clocks.mem", "temperature.gpu", "power.draw", "clocks_event_reasons.active")


def describe_device(devices: Sequence[Any]) -> dict[str, Any]:
    """Of JAX's devices the first, which is measured: plain values, for JSON.

    Returns:
        ``platform`` (cpu, gpu, tpu), ``kind`` (as JAX names it), ``count`` of devices, ``memories`` (kinds that the
        device addresses), ``memory_bytes`` (None where JAX does not say), ``runtime``, ``versions``, ``environment``.
    """
    device = devices[0]
    statistics = device.memory_stats() if device.platform != "cpu" else None
    return {
        "platform": device.platform,
        "kind": device.device_kind,
        "count": len(devices),
        "memories": [memory.kind for memory in device.addressable_memories()],
        "memory_bytes": int(statistics["bytes_limit"]) if statistics and "bytes_limit" in statistics else None,
        "runtime": " ".join(str(device.client.platform_version).split())[:400],
        "versions": _versions(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }


def state(platform_name: str) -> dict[str, Any]:
    """The machine now: ``load`` (processes that want a CPU, over a minute) and ``clocks``, as far as they can be read.

    Clocks are texts with their units: MHz of each CPU, or what ``nvidia-smi`` says of each GPU. TPUs tell none.
    """
    clocks = _gpu_clocks() if platform_name in ("gpu", "cuda") else _cpu_clocks() if platform_name == "cpu" else {}
    return {"load": round(os.getloadavg()[0], 2), "clocks": clocks}


def _cpu_clocks() -> dict[str, str]:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            found = re.findall(r"^cpu MHz\s*:\s*([\d.]+)$", file.read(), re.MULTILINE)
    except OSError:
        return {}
    return {f"cpu {number}": f"{float(text):.0f} MHz" for number, text in enumerate(found)}


def _gpu_clocks() -> dict[str, str]:
    if shutil.which("nvidia-smi") is None:
        return {}
    command = ["nvidia-smi", f"--query-gpu={','.join(GPU_FIELDS)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=CLOCK_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return {}
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return {
        f"gpu {number} {field}": text.strip()
        for number, line in enumerate(lines)
        for field, text in zip(GPU_FIELDS, line.split(","), strict=False)
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
