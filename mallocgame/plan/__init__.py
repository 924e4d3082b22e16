"""A plan: what it says, its files, the options that a compiler is given, what is wrong with it, how it is judged."""
