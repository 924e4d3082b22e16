"""What a user reads: a plan beside XLA's default as a page, pictures, a trace and words."""
