"""Networks and training steps of reinforcement learning."""
