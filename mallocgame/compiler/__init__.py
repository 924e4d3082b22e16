"""Compiling with libtpu: captures, verification, export. libtpu runs in child processes only."""
