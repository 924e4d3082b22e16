"""A JAX program in, compiler options out: ``mallocgame.optimize``, its answers, and the cache that keeps them."""

from mallocgame.optimizing.answer import Estimate, Optimized, load_optimized
from mallocgame.optimizing.described import abstract, described_devices
from mallocgame.optimizing.run import optimize

__all__ = ["Estimate", "Optimized", "abstract", "described_devices", "load_optimized", "optimize"]
