"""Real models to capture: a registry that knows names and imports JAX only when a model is built.

A workload is a function without arguments that returns ``(function, args)``: what to compile, and its arguments as
pytrees of ``jax.ShapeDtypeStruct`` without sharding (whoever compiles adds the device). No array is ever made. A
user's own ``MODULE:FUNCTION`` has the same contract::

    def my_model():
        return step, (jax.ShapeDtypeStruct((256, 1024), jnp.bfloat16), weights)
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Built = tuple[Callable[..., Any], tuple[Any, ...]]
"""What to compile, and its abstract arguments."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One entry of the registry.

    Attributes:
        reference: ``module:function`` of the builder.
        about: one line: model, batch, precision, inference or training.
    """

    reference: str
    about: str


_REGISTRY: dict[str, Workload] = {
    "resnet50": Workload("workloads.vision:resnet50", "ResNet-50 inference, batch 32 of 224x224, bf16"),
    "resnet50-train": Workload(
        "workloads.vision:resnet50_train", "ResNet-50 training step with momentum, batch 32, bf16 compute, f32 weights"
    ),
    "unet": Workload("workloads.vision:unet", "U-Net inference, batch 8 of 256x256, 64 to 1024 channels, bf16"),
    "gpt2": Workload("workloads.language:gpt2", "GPT-2 small body, 12 layers, d=768, batch 8 x 512 tokens, bf16"),
    "gpt2-scan": Workload("workloads.language:gpt2_scan", "the same 12 layers as one scan over stacked weights"),
    "gpt2-train": Workload(
        "workloads.language:gpt2_train", "4-layer GPT-2 training step with momentum, batch 8 x 256 tokens"
    ),
    "lstm": Workload("workloads.language:lstm", "LSTM language model, 2 layers of 1024, batch 64, scan over 64 tokens"),
    "wide-mlp": Workload("workloads.dense:wide_mlp", "16 dense layers of 4096, batch 256, bf16 inference"),
    "tiny": Workload("workloads.tiny:tiny", "four convolutions and a classifier, batch 8 of 64x64; for tests"),
    "tiny-scan": Workload("workloads.tiny:tiny_scan", "a scan over 6 dense layers and a classifier; for tests"),
}


def names() -> tuple[str, ...]:
    """Names of all workloads, in the order of the registry."""
    return tuple(_REGISTRY)


def find(name: str) -> Workload:
    """The registry's entry.

    Raises:
        KeyError: no such workload; the message lists the known ones.
    """
    if name not in _REGISTRY:
        raise KeyError(f"unknown workload {name!r}; known: {', '.join(_REGISTRY)}")
    return _REGISTRY[name]


def get(name: str) -> Callable[[], Built]:
    """The builder of a workload; importing it imports JAX.

    Raises:
        KeyError: no such workload.
    """
    module, function = find(name).reference.split(":")
    builder: Callable[[], Built] = getattr(importlib.import_module(module), function)
    return builder
