"""The offload game: which tensors of a program leave device memory for the host, and when (docs/fit.md)."""
