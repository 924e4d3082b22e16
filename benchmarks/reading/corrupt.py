"""One corrupt byte at each position of three small real dumps: every case is read or refused in one clear line.

    python -m benchmarks.reading.corrupt

At each position the byte is replaced twice: by one out of a list of characters that mean something in HLO text, taken
in turn, and by itself with one bit flipped. Every case is read whole: all computations, shapes, attributes, called
computations, users, backend configurations, source lines. Exit code 1 if a case ends in anything but a module or a
ParseError whose text is one line with a place, or takes more than a second of processor time.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from pathlib import Path
from time import process_time

from xla_dump_parser import HloModule, ParseError, SourceLines, format_shape, padded_bytes, parse_hlo, walk_shape
from xla_dump_parser.text import decode_text

DATA = Path(__file__).parents[2] / "tests" / "parser" / "data"
TEXTS = ("small_v5e_before_msa", "small_v4lite_final", "small_cpu_final")
SECONDS_LIMIT = 5.0

_BYTES = b'{}()[]"\\,=%:#*/<>-.0 9aZ_\n\r\t\x00\xff\xc3'
_PLACE = re.compile(r"[^\n]+:\d+:\d+: [^\n]+")


def read_whole(module: HloModule) -> int:
    """Everything that can be asked of a module; the number of instructions."""
    count = 0
    _ = module.header, module.is_scheduled
    lines = SourceLines(module)
    for computation in module.computations.values():
        _ = computation.root, computation.users, computation.by_name
        for instruction in computation.instructions:
            _ = instruction.called, instruction.backend_config, format_shape(instruction.shape)
            _ = lines.of(instruction), [padded_bytes(array) for _, array in walk_shape(instruction.shape)]
            count += 1
    return count


def corruptions(raw: bytes) -> list[bytes]:
    """The corrupt texts, two a position."""
    cases: list[bytes] = []
    for position, byte in enumerate(raw):
        turn = _BYTES[position % len(_BYTES)]
        others = (turn if turn != byte else 0x7F, byte ^ (1 << position % 8))
        cases += [raw[:position] + bytes((other,)) + raw[position + 1 :] for other in others]
    return cases


def check(case: bytes) -> str:
    """``"read"``, ``"refused"``, or what went wrong."""
    start = process_time()
    try:
        read_whole(parse_hlo(decode_text(case, "corrupt.txt"), "corrupt.txt"))
        outcome = "read"
    except ParseError as error:
        outcome = "refused" if _PLACE.fullmatch(str(error)) else f"not one line with a place: {str(error)!r}"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    return outcome if process_time() - start < SECONDS_LIMIT else f"took {process_time() - start:.1f} s"


def main() -> int:
    """Check every case and print the counts."""
    outcomes: Counter[str] = Counter()
    for name in TEXTS:
        raw = gzip.decompress((DATA / f"{name}.txt.gz").read_bytes())
        start = process_time()
        found = Counter(check(case) for case in corruptions(raw))
        outcomes += found
        print(
            f"{name:<22} {len(raw):6d} bytes {sum(found.values()):6d} cases, {process_time() - start:5.1f} s",
            flush=True,
        )
    failed = {outcome: count for outcome, count in outcomes.items() if outcome not in ("read", "refused")}
    for outcome, count in failed.items():
        print(f"{count:6d} x {outcome}")
    print(
        f"{sum(outcomes.values())} cases: {outcomes['read']} read, {outcomes['refused']} refused in one line,", end=" "
    )
    print(f"{sum(failed.values())} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
