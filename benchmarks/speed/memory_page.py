"""How large the page of ``mallocgame memory`` is, and how soon it can be used: in headless Chromium.

    python -m benchmarks.speed.memory_page [FILE] [--buffers 5000] [--loads 5] [--out FOLDER]
                                           [--screenshot docs/memory.png]

FILE is what ``mallocgame memory`` takes: by default a capture of the tests. A second row is a made-up program of
--buffers buffers: a fifth of them arguments, the others temporaries that come and go. Columns: instructions, buffers,
bytes of the file, seconds to make it, then as ``benchmarks.speed.page``. The screenshot has the pointer on the largest
temporary of FILE.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.speed.chromium import Browser
from benchmarks.speed.page import HEADER, WINDOW, measure
from mallocgame.programs.placed import load_placed
from mallocgame.report.memory import Buffer, MemoryUse, Peak, SpaceUse, memory_use
from mallocgame.report.memory.course import Course, Courses, Held, courses_of
from mallocgame.report.memory.page_data import of_page
from mallocgame.report.memory.use import Kind
from mallocgame.report.page import to_html
from mallocgame.system.progress import silent

DEFAULT = Path(__file__).parents[2] / "tests" / "kept" / "data" / "tiny-scan.mgz"
MIB = 2**20
ROOM = 300
"""Temporaries at once, at most."""


def made_up(count: int, rng: random.Random) -> tuple[MemoryUse, Courses]:
    """A program of so many buffers: temporaries of up to a MiB, each in the first of ``ROOM`` places that is free."""
    times, arguments = count, count // 5
    held = [_held(f"argument.{n}", "argument", (0, times - 1), MIB // 8, n * MIB // 8) for n in range(arguments)]
    bottom, free = arguments * MIB // 8, [0] * ROOM
    while len(held) < count:
        start = (len(held) - arguments) * times // (count - arguments)
        place = next(place for place, after in enumerate(free) if after <= start)
        end = min(times - 1, start + rng.randrange(1, ROOM))
        free[place] = end + 1
        size = rng.randrange(MIB // 8, MIB)
        held.append(_held(f"fusion.{len(held)}", "temporary", (start, end), size, bottom + place * MIB))
    live = [0] * times
    for one in held:
        start, end = one.buffer.live or (0, 0)
        for time in range(start, end + 1):
            live[time] += one.buffer.size
    time = live.index(max(live))
    there = [one.buffer for one in held if one.buffer.live and one.buffer.live[0] <= time <= one.buffer.live[1]]
    there.sort(key=lambda buffer: -buffer.size)
    total = bottom + ROOM * MIB
    peak = Peak(0, time, f"step.{time}", tuple(there), total - live[time])
    use = MemoryUse("made_up", "v5e", (SpaceUse("HBM", 0, total, 16 * 2**30),), None, (peak,), ())
    course = Course(0, tuple(held), tuple(live))
    return use, Courses(tuple(f"step.{time}" for time in range(times)), (), (course,))


def _held(name: str, kind: Kind, live: tuple[int, int], size: int, offset: int) -> Held:
    number = len(name) + offset // MIB
    shape = f"bf16[{size // 256},128]{{1,0:T(8,128)(2,1)}}"
    what, source = f"jit(step)/layer_{number % 48}/dot_general", f"model/layers.py:{number % 400}"
    return Held(Buffer(name, kind, shape, "bf16", size, size, "fusion", what, source, live), offset, ())


_LARGEST = """(() => {
  const temporaries = PANELS[0].boxes.filter((box) => DATA.kinds[box.is] === "temporary");
  const box = temporaries.reduce((one, other) => (other.size > one.size ? other : one));
  const {left, top} = byId("chart").getBoundingClientRect();
  return [left + across((box.start + box.end + 1) / 2), top + up(0, box.offset + box.size / 2)];
})()"""


def picture(page: Path, out: Path) -> None:
    """What one sees of a page at first, with the pointer on a buffer."""
    with Browser(*WINDOW) as browser:
        browser.open(page)
        browser.settle()
        browser.mouse("mouseMoved", *browser.evaluate(_LARGEST))
        browser.settle()
        out.write_bytes(browser.screenshot())


def row(name: str, use: MemoryUse, courses: Courses, folder: Path, loads: int) -> str:
    """Make the page of a program and measure it."""
    start = monotonic()
    data = to_html(of_page(use, courses, name), "memory").encode()
    seconds = monotonic() - start
    page = folder / f"{name}.html"
    page.write_bytes(data)
    found = measure(page, loads, None)
    count = sum(len(course.held) for course in courses.memories)
    return f"{name:24}  {len(courses.instructions):5}  {count:7}  {len(data):9}  {seconds:7.2f}  {found}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--buffers", type=int, default=5000)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        program = load_placed(options.file, None, module=None, progress=silent)
        use = memory_use(program)
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"page                      instr  buffers      bytes  seconds  {HEADER}")
        name = options.file.name.split(".")[0]
        print(row(name, use, courses_of(program, use), folder, options.loads), flush=True)
        print(row("made-up", *made_up(options.buffers, random.Random(0)), folder, options.loads))
        if options.screenshot is not None:
            picture(folder / f"{name}.html", options.screenshot)


if __name__ == "__main__":
    main()
