"""Everything that README and docs show of the rows, made anew: ``docs/gains.svg`` and the figures between marks.

    python -m benchmarks.showing.figures [--check]

``--check`` writes nothing; exit code 1 if something is not what the rows say. The site's page of results is made when
the site is built, so it needs no command.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks.showing.gains import ROOT, read_gains
from benchmarks.showing.picture import picture
from benchmarks.showing.quoted import pages, quotes_of, quotes_of_suites, renewed
from mallocgame.system.files import write_atomically

PICTURE = ROOT / "docs" / "gains.svg"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, say what would change")
    check = parser.parse_args(arguments).check
    gains = read_gains()
    quotes = quotes_of(gains) | quotes_of_suites()
    made = {path: renewed(path.read_text(encoding="utf-8"), quotes, str(path)) for path in pages()}
    made[PICTURE] = picture(gains)
    stale = [path for path, text in made.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'is not what the rows say' if check else 'written'}")
        if not check:
            write_atomically(path, made[path].encode())
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
