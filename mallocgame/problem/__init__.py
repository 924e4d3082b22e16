"""From parsed dumps and a target to the problem of the game."""
