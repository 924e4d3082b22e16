"""A residual network, data parallel."""

from __future__ import annotations

import jax

from workloads import Built
from workloads.sharded.placement import mesh, place
from workloads.vision.resnet import ResNet, training

BATCH, DEVICES = 128, 8


def data_parallel_resnet_train() -> Built:
    """One step of a ResNet of one bottleneck a stage, 16 images on each of 8 devices; what is trained is donated.

    Statistics of batch norm are those of the whole batch.
    """
    devices = mesh(data=DEVICES)
    train, (weights, velocity, statistics, images, labels) = training(ResNet((1, 1, 1, 1)), BATCH)
    model = (place(tree, devices) for tree in (weights, velocity, statistics))
    return jax.jit(train, donate_argnums=(0, 1, 2)), (*model, *place((images, labels), devices, "data"))
