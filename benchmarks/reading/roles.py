"""Are the roles that ``mallocgame memory`` gives arguments those that their names say?

    python -m benchmarks.reading.roles CAPTURE...

Of training steps whose arguments are named as in ``NAMED``, such as the catalogue's. The names are taken out of the
text before the roles are told, so that these are told by what the program does. Bytes of arguments of the same role,
of another one, and not known; those that differ are listed. Exit code 1 where one has another role.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mallocgame.compiler.capture_file import load_capture
from mallocgame.report.memory.arguments import Arguments
from mallocgame.report.memory.flow import Flow
from mallocgame.report.memory.graph import Graph, number_of_parameter
from mallocgame.report.memory.lives import Lives
from mallocgame.report.memory.passes import op_name_of
from mallocgame.report.memory.use import Role
from mallocgame.report.units import size
from xla_dump_parser import ArrayShape, padded_bytes, parse_hlo

WEIGHTS, STATE = ("weights", "params", "layers", "ws"), ("velocity", "means", "squares", "opt_state", "count")
NAMED: dict[str, Role] = {
    **dict.fromkeys(WEIGHTS, "weights"),
    **dict.fromkeys(STATE, "optimizer state"),
    **dict.fromkeys(
        ("x", "y", "batch", "images", "labels", "inputs", "wanted", "tokens", "statistics"), "other inputs"
    ),
}
"""By the first word of an argument's path. Statistics: running means, which the forward pass makes anew."""

NAME = re.compile(r"( parameter\(\d+\)[^\n]*), metadata=\{op_name=\"[^\n]*?\"\}")
WORD = re.compile(r"\w+")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what differs, and the sums."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading.roles")
    parser.add_argument("captures", nargs="+", type=Path)
    sums: Counter[str] = Counter()
    programs = 0
    for path in parser.parse_args(arguments).captures:
        found = list(compared(load_capture(path).final))
        programs += bool(found)
        for name, said, told, bytes in found:
            answer = "same" if said == told else "not known" if told == "not known" else "another"
            sums[answer] += bytes
            if answer != "same":
                print(f"{path}: {name} ({size(bytes)}) is {said}, told {told}")
    shares = ", ".join(f"{answer} {size(bytes)}" for answer, bytes in sums.most_common())
    print(f"{programs} training steps, arguments by bytes: {shares}")
    return int(sums["another"] > 0)


def compared(final: str) -> Iterator[tuple[str, Role, Role, int]]:
    """(path, role by name, role by what the program does, bytes) of each named argument of a training step."""
    named = {number_of_parameter(step): op_name_of(step) for step in parse_hlo(final).entry.instructions}
    module = parse_hlo(NAME.sub(r"\1", final))
    lives = Lives(module)
    told = Arguments(module, lives, Flow(Graph(lives.schedule, lives.dataflow, module)))
    for step in module.entry.instructions if told.trains else ():
        number = number_of_parameter(step)
        word = WORD.match(named.get(number, "")) if step.opcode == "parameter" else None
        said = None if word is None else NAMED.get(word[0])
        if number is not None and said is not None and isinstance(step.shape, ArrayShape):
            yield named[number], said, told.role(number), padded_bytes(step.shape)


if __name__ == "__main__":
    sys.exit(main())
