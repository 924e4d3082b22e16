"""Where progress goes: lines on stderr; on a terminal what goes on is one line, with the time that it has taken."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING

from mallocgame.system.printable import printable
from mallocgame.system.progress import Stage

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

REFRESHES = 4
"""A second, of the line that lives."""


class Teller:
    """Tells a person what goes on, until it is stopped.

    Elsewhere than on a terminal each line is printed; one that says what goes on begins with the time since the start.
    """

    def __init__(self) -> None:
        self._started = monotonic()
        self._stage, self._since = "", self._started
        self._live: Live | None = None

    def __call__(self, line: str) -> None:
        """Tell one line."""
        text = printable(line)
        if sys.stderr.isatty():
            self._on_terminal(text, isinstance(line, Stage))
            return
        clock = f"[{_clock(monotonic() - self._started)}] " if isinstance(line, Stage) else ""
        print(f"{clock}{text}", file=sys.stderr, flush=True)

    def stop(self) -> None:
        """Take the line that lives away, before anything else is printed."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich__(self) -> Text:
        """The line as it is now: time since the start, that of what goes on where it began later, and what that is."""
        from rich.text import Text

        now = monotonic()
        clock = _clock(now - self._started)
        own = f"{_clock(now - self._since)} " if self._since - self._started >= 1 else ""
        return Text(f"[{clock}] {own}{self._stage}", no_wrap=True, overflow="ellipsis")

    def _on_terminal(self, text: str, is_stage: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        if is_stage:
            self._stage, self._since = text, monotonic()
            if self._live is None:
                console = Console(stderr=True)
                self._live = Live(
                    self,
                    console=console,
                    refresh_per_second=REFRESHES,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start()
            self._live.refresh()
        elif self._live is not None:
            self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    """``"1:07"``, ``"1:02:03"``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


tell = Teller()
"""Of this process."""
