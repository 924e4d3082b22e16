"""E as a table: the emitter's cycles of each instruction over the placements of its operands and outputs."""
