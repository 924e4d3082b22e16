"""How large the page of a plan is, and how soon it can be used: in headless Chromium.

    python -m benchmarks.speed.page [FILE] [--plan PLAN] [--time-limit 30] [--loads 5] [--out FOLDER]
                              [--screenshot docs/report.png]

FILE is what ``mallocgame solve`` takes: by default the shipped training step of a ResNet-101, whose XLA default is no
valid plan, so that the page has everything in HBM beside the plan; a capture has XLA's default, e.g. one of
``workloads.language.gpt2:gpt2_train_deep`` for v5p, of 2,965 instructions. Without --plan it is solved first. A second
row is a random program of about 5,000 instructions.

Columns: instructions, stays drawn, bytes of the file, seconds to make it, then of Chromium the median over loads of:
first paint, interactive (the script has drawn and everything answers), both in ms from the start of the navigation; one
redraw of the whole chart in ms; moving the pointer on it, and a letter typed into the search, each with what it draws,
in ms; warnings and errors on the console.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path
from statistics import median
from time import monotonic
from typing import NamedTuple

from benchmarks.speed.chromium import Browser
from mallocgame import api
from mallocgame.game import Game, Move
from mallocgame.plan.named_plan import name_plan
from mallocgame.programs.loaded import Loaded
from mallocgame.report.comparison import Comparison, compare
from mallocgame.report.rendering import render
from workloads.generator import Recipe, random_problem

DEFAULT = Path(__file__).parents[2] / "workloads" / "problems" / "resnet101-train-v5p.mgp"
RANDOM_INSTRUCTIONS = 3200
"""Of the entry; with those of its loops and branches there are about 5,000."""
WINDOW = (1360, 1310)
REDRAWS = 20
SETTLES = 50
"""Most frames to wait for, on a busy machine."""

_THERE = """["first-contentful-paint", "ready"].every((name) => performance.getEntriesByName(name).length > 0)"""

_INTERACTIVE = """(() => {
  const at = (name) => performance.getEntriesByName(name)[0].startTime;
  const loaded = performance.getEntriesByType("navigation")[0].loadEventEnd;
  return [at("first-contentful-paint"), Math.max(at("ready"), loaded)];
})()"""
_MEAN = f"""(act) => {{
  const begun = performance.now();
  for (let number = 0; number < {REDRAWS}; number += 1) act(number);
  chart.canvas.getContext("2d").getImageData(0, 0, 1, 1);
  return (performance.now() - begun) / {REDRAWS};
}}"""
_REDRAW = f"({_MEAN})(draw)"
_HOVER = f"""({_MEAN})((number) => {{
  const x = LEFT + (number / {REDRAWS}) * (chart.width - LEFT - RIGHT), y = TITLE + MAP * (0.1 + (number % 9) / 10);
  chart.hover = under(x, y);
  showTip(chart.hover, x, y);
  byId("tip").offsetWidth;
  draw();
}})"""
_SEARCH = f"""(() => {{
  const mean = ({_MEAN})((number) => {{ search("fusion".slice(0, 1 + number % 6)); draw(); }});
  clear();
  return mean;
}})()"""


class Measured(NamedTuple):
    """Milliseconds, and how many lines the page wrote to the console."""

    paint: float
    interactive: float
    redraw: float
    hover: float
    search: float
    problems: int

    def __str__(self) -> str:
        return (
            f"{self.paint:8.0f}  {self.interactive:11.0f}  {self.redraw:9.1f}  {self.hover:8.1f}  {self.search:9.1f}  "
            f"{self.problems:8}"
        )


HEADER = "paint ms  interactive  redraw ms  hover ms  search ms  console"
"""Of what is measured in Chromium."""


def measure(page: Path, loads: int, screenshot: Path | None) -> Measured:
    """Load a page several times."""
    rows, problems = [], 0
    with Browser(*WINDOW) as browser:
        for _ in range(loads):
            browser.open(page)
            for _ in range(SETTLES):
                browser.settle()
                if browser.evaluate(_THERE):
                    break
            problems += len(browser.problems)
            acts = [browser.evaluate(act) for act in (_REDRAW, _HOVER, _SEARCH)]
            rows.append([*browser.evaluate(_INTERACTIVE), *acts])
            browser.problems.clear()  # Chromium warns of reading the canvas back, which only the measure does
        if screenshot is not None:
            browser.evaluate("scrollTo(0, 0)")
            browser.settle()
            screenshot.write_bytes(browser.screenshot())
        return Measured(*map(median, zip(*rows, strict=True)), problems=problems)


def random_comparison() -> Comparison:
    """One playout of a random program beside everything in HBM."""
    problem = random_problem(0, Recipe(instructions=RANDOM_INSTRUCTIONS, fast_bytes=1 << 16))
    game, rng = Game(problem), random.Random(0)
    state = game.start()
    while not game.done(state):
        legal = sorted(game.legal(state), key=lambda move: move.value)
        state, _ = game.step(state, rng.choice([move for move in legal if move is not Move.DROP] or legal))
    plan = name_plan(problem, game.plan(state), solver="playout")
    return compare(plan, Loaded(problem, "random"))


def row(name: str, comparison: Comparison, folder: Path, loads: int, screenshot: Path | None) -> str:
    """Make the page of a comparison and measure it."""
    start = monotonic()
    data = render(comparison, "html", f"{name}.json")
    seconds = monotonic() - start
    page = folder / f"{name}.html"
    page.write_bytes(data)
    found = measure(page, loads, screenshot)
    stays = sum(len(side.plan.stays) for side in (comparison.before, comparison.after))
    return f"{name:24}  {len(comparison.problem.instructions):5}  {stays:6}  {len(data):9}  {seconds:7.2f}  {found}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--plan", type=Path)
    parser.add_argument("--time-limit", type=float, default=30.0)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--screenshot", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        plan = options.plan or folder / "plan.json"
        if options.plan is None:
            api.solve(options.file, objective="both", time_limit=options.time_limit, out=plan)
        start = monotonic()
        reported = api.report(plan, options.file, out=folder / "page.html")
        print(f"mallocgame report, reading and replaying included: {monotonic() - start:.1f} s")
        print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
        print(f"page                      instr   stays      bytes  seconds  {HEADER}")
        name = options.file.name.split(".")[0]
        print(row(name, reported.comparison, folder, options.loads, options.screenshot), flush=True)
        print(row("random", random_comparison(), folder, options.loads, None))


if __name__ == "__main__":
    main()
