"""Minimal programs on which XLA's memory space assignment loses, one cause each; docs/findings.md explains them.

Beside them are plans (``NAME.plan.json``, as ``mallocgame export`` takes them) and ``python -m
benchmarks.compiler.findings`` replays them. They are no part of the benchmark.
"""
