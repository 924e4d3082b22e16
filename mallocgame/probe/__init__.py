"""Runs programs on the device at hand and says which is faster. JAX runs in a child process only."""
