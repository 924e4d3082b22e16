"""Kinds of FILE, a module each; ``mallocgame.programs.loading`` has what a reader is, and their list."""
