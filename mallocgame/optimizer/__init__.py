"""A JAX program in, compiler options out: ``mallocgame.optimize``, its answers, and the cache that keeps them."""

from mallocgame.optimizer.answer import Estimate, Optimized, load_optimized
from mallocgame.optimizer.run import optimize
from mallocgame.programs.described_devices import abstract, described_devices

__all__ = ["Estimate", "Optimized", "abstract", "described_devices", "load_optimized", "optimize"]
