"""The commands, a file each: its arguments, the call of ``mallocgame.api``, and what it prints."""
