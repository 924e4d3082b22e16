"""Programs partitioned over several devices."""
