"""Progress: one line that lives on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys

import pytest

from mallocgame.cli.progress import Teller
from mallocgame.system.progress import Stage, within

SCRIPT = """
import time
from mallocgame.cli.progress import Teller
from mallocgame.system.progress import Stage
tell = Teller()
tell("target v5e")
tell(Stage("compile 1 of 8"))
time.sleep(1.3)
tell("plan 1: \\x1b[2J better")
tell(Stage("compile 2 of 8 [bold] " + "x" * 300))
tell.stop()
print("the answer")
"""


def test_elsewhere_each_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    tell = Teller()
    tell("target v5e")
    tell(Stage("compiling"))
    within("gpt2", tell)(Stage("compiling"))
    within("gpt2", tell)("done")
    tell.stop()
    assert stream.getvalue() == "target v5e\n[0:00] compiling\n[0:00] gpt2: compiling\ngpt2: done\n"


def test_on_a_terminal_what_goes_on_is_one_line_with_its_time() -> None:
    screen = on_terminal(SCRIPT)
    assert "target v5e\r\n" in screen
    lives = [line for line in re.split(r"\r|\n", plain(screen)) if line.startswith("[")]
    assert lives[0] == "[0:00] compile 1 of 8"
    assert "[0:01] compile 1 of 8" in lives
    assert lives[-1].startswith("[0:01] 0:00 compile 2 of 8 [bold] xxx")
    assert len(lives[-1]) == 80
    # What has happened stays, and obeys nothing; what goes on is wiped away before the answer.
    assert "plan 1: ?[2J better" in plain(screen)
    assert re.search(r"\x1b\[2K[^\n]*the answer", screen.rpartition("compile 2 of 8")[2], re.DOTALL)


def on_terminal(script: str) -> str:
    """What a terminal of 80 columns is told."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-c", script], stdout=follower, stderr=follower, env=environment) as child:
        os.close(follower)
        shown = b""
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
    os.close(leader)
    assert child.returncode == 0, shown
    return shown.decode()


def plain(screen: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen)
