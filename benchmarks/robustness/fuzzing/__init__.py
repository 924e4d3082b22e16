"""Fuzzing of everything that is read from files: what reads, how cases are made, and who runs them."""
