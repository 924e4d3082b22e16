"""``python -m mallocgame``."""

from mallocgame.cli import main

if __name__ == "__main__":
    main()
