"""Plans under change in native code: the times of both models, incrementally, and annealing over them."""
