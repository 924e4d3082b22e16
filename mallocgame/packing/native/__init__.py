"""The exact search and first fit in machine code. `calls` is what Python uses; it loads no numba."""
