"""A text after memory space assignment, taken back to the schedule before it."""
