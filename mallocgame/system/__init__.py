"""What all parts stand on: errors, files that are whole or not there, bounded readers, processes, machine code."""
