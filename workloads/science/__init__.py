"""Scientific programs."""
