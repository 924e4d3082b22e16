"""A small scheduled program, and what a command left behind."""

from __future__ import annotations

from dataclasses import dataclass

TILED = "{1,0:T(8,128)(2,1)}"
BIG = f"bf16[1024,1024]{TILED}"

PROGRAM = f"""HloModule small, is_scheduled=true, entry_computation_layout={{({BIG}, {BIG}, {BIG})->{BIG}}}

ENTRY %main.1 (x: bf16[1024,1024], w: bf16[1024,1024], v: bf16[1024,1024]) -> bf16[1024,1024] {{
  %x = {BIG} parameter(0)
  %w = {BIG} parameter(1)
  %v = {BIG} parameter(2)
  %add.1 = {BIG} add(%x, %w)
  %multiply.1 = {BIG} multiply(%add.1, %v)
  %subtract.1 = {BIG} subtract(%multiply.1, %add.1)
  ROOT %add.2 = {BIG} add(%subtract.1, %w)
}}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of a failed command; fails the test if it is not exactly that."""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("mallocgame: error: ")]
        assert len(lines) == 1
        assert self.err.splitlines()[-1] == lines[0]
        assert self.out == ""
        return lines[0].removeprefix("mallocgame: error: ")
