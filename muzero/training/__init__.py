"""The training job: self-play on many problems at once, prioritised replay, reanalyse, updates, checkpoints."""
