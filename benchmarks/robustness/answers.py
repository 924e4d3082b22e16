"""Thirteen answers, and what the commands say of each from its file alone: the same figures as were confirmed?

    python -m benchmarks.robustness.answers [--out out/answers] [--only SUBSTRING]

Four are at another memory split, two are options, two were interrupted by Ctrl-C, one is of a dump folder, one of
HLO text, one for four devices, one of before answers carried their proof, one of ``mallocgame.optimize``. Each is found
by a command as a user types it, and kept in the folder; then ``explain``, ``report``, ``verify`` and ``export`` get the
answer's file and nothing else. Compared are E and M, of XLA's default and of the answer, to the last digit, and the
sites that were honoured. The answer of before has no proof: ``explain`` has to say so, and ``verify`` compiles it.
Exit code 1 where one differs.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mallocgame.plan.answer_file import load_answer
from mallocgame.plan.confirmation import Confirmation
from mallocgame.plan.named_plan import NamedPlan

ROOT = Path(__file__).parents[2]
TEXT = ROOT.parent / "shared" / "data" / "xla-benchmarks" / "diffrax.b380012920.hlo.gz"
BEFORE = ROOT / "tests" / "kept" / "data"

Kind = Literal["workload", "interrupted", "dump", "text", "optimize", "before"]


@dataclass(frozen=True)
class Asked:
    """How an answer is found.

    Attributes:
        about: what it is an example of.
        program: name of a workload, or a file.
        target: of the compiler.
        kind: how it is asked for.
        compiles: beside XLA's default.
    """

    about: str
    program: str
    target: str
    kind: Kind = "workload"
    compiles: int = 4


ASKED = (
    Asked("plan at another split", "k-means", "v5e"),
    Asked("plan at another split", "gpt2-scan", "v5p"),
    Asked("plan at another split", "llama-decode-b1", "v5p"),
    Asked("plan at another split", "dlrm", "v6e"),
    Asked("options", "heat", "v5p"),
    Asked("options", "wide-mlp", "v5p"),
    Asked("interrupted", "llama-decode-b8", "v6e", "interrupted", 8),
    Asked("interrupted", "lstm", "v4 lite", "interrupted", 8),
    Asked("dump folder", "tiny", "v5e", "dump"),
    Asked("HLO text", str(TEXT), "v4 lite", "text", 2),
    Asked("four devices", "sharded-mlp-train", "v5e"),
    Asked("optimize", "lstm", "v5p", "optimize"),
    Asked("of before", str(BEFORE / "plan-auto.json"), "v5e", "before"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each answer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness.answers")
    parser.add_argument("--out", type=Path, default=Path("out/answers"), help="folder of answers and compiles")
    parser.add_argument("--only", default="", help="part of what an answer is an example of")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    print(f"{'':22} {'program':18} {'target':8} {'answer':38} {'E, ms':>10} {'M, ms':>10}  says the same", flush=True)
    wrong = 0
    for number, asked in enumerate(ASKED):
        if given.only in asked.about:
            differ = _shown(asked, given.out.absolute() / f"{number}.json")
            wrong += bool(differ)
            print(f"{', '.join(differ) if differ else 'explain, report, verify, export'}", flush=True)
    return int(wrong > 0)


def _shown(asked: Asked, answer: Path) -> list[str]:
    """Find an answer, begin its line, and ask the commands; what they say otherwise."""
    if not answer.exists():
        _find(asked, answer)
    found = load_answer(answer)
    kept = found.confirmation
    figures = (None, None) if kept is None else (kept.answer.e_seconds, kept.answer.m_seconds)
    split = "" if kept is None or kept.scoped_vmem_kib is None else f" at {kept.scoped_vmem_kib} KiB"
    kind = "plan" if isinstance(found, NamedPlan) else found.kind
    about = f"{kind}{split}{'' if kept is None else f', {kept.verdict}'}"
    shown = " ".join(f"{'-' if seconds is None else f'{1e3 * seconds:.6f}':>10}" for seconds in figures)
    print(f"{asked.about:22} {Path(asked.program).name[:18]:18} {asked.target:8} {about:38} {shown}  ", end="")
    return _checked(answer, kind, kept)


def _checked(answer: Path, kind: str, kept: Confirmation | None) -> list[str]:
    """What the commands say otherwise than was confirmed."""
    differ = []
    explained = json.loads(_run("explain", str(answer), "--json"))
    reported = json.loads(_run("report", str(answer), "--out", str(answer.with_suffix(".html")), "--json"))
    verified = json.loads(_run("verify", str(answer), "--json"))
    if bool(json.loads(_run("export", str(answer)))) != (kind != "xla default"):
        differ.append("export")
    if kept is None:
        return [*differ, *(["explain"] if explained["confirmed"] else [])]
    rows = {row["name"]: row for row in verified["rows"]}
    for model, default, seconds in (
        ("E", kept.default.e_seconds, kept.answer.e_seconds),
        ("M", kept.default.m_seconds, kept.answer.m_seconds),
    ):
        figures = (explained["against_default"] or explained["figures"])[model]
        if (figures["before"], figures["after"]) != (default, seconds):
            differ.append(f"explain {model}")
        if (rows["xla default"][model.lower()], rows[kind][model.lower()]) != (default, seconds):
            differ.append(f"verify {model}")
    if kept.sites is not None and (verified["honoured"], verified["sites"]) != (kept.honoured, kept.sites):
        differ.append("honoured")
    if not (explained["confirmed"] and reported["confirmed"]):
        differ.append("confirmed")
    return differ


def _find(asked: Asked, answer: Path) -> None:
    budget = ("--compiles", str(asked.compiles), "--time-limit", "12", "--cache", str(answer.parent / "compiles"))
    if asked.kind == "before":
        for path in (Path(asked.program), BEFORE / "tiny.mgz"):
            (answer if path.suffix == ".json" else answer.with_name(path.name)).write_bytes(path.read_bytes())
    elif asked.kind == "optimize":
        _script(_OPTIMIZE.format(cache=str(answer.parent / "cache"), out=str(answer), **vars(asked)))
    else:
        program = answer.with_suffix(".mgz")
        if asked.kind == "text":
            program = Path(asked.program)
        elif asked.kind == "dump":
            program = answer.with_suffix(".dump")
            _script(_DUMP.format(folder=str(program), **vars(asked)))
        else:
            _run("capture", "--workload", asked.program, "--target", asked.target, "--out", str(program))
        target = () if asked.kind == "dump" else ("--target", asked.target)
        command = ("solve", str(program), *target, "--solver", "auto", *budget, "--out", str(answer))
        _interrupt(command) if asked.kind == "interrupted" else _run(*command)


_DUMP = """
import jax, mallocgame, workloads
function, arguments = workloads.get("{program}")()
lowered = jax.jit(function).lower(*mallocgame.abstract("{target}", *arguments))
lowered.compile(compiler_options={{"xla_dump_to": "{folder}", "xla_dump_hlo_as_text": True}})
"""

_OPTIMIZE = """
import jax, mallocgame, workloads
function, arguments = workloads.get("{program}")()
lowered = jax.jit(function).lower(*mallocgame.abstract("{target}", *arguments))
mallocgame.optimize(lowered, time_limit=12, compiles={compiles}, cache="{cache}").save("{out}")
"""


def _script(text: str) -> None:
    """Run a script in a process of its own."""
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True)


def _run(*arguments: str) -> str:
    """What a command prints.

    Raises:
        SystemExit: it ends with an error, which is told.
    """
    done = subprocess.run([sys.executable, "-m", "mallocgame", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"mallocgame {' '.join(arguments)}: {done.stderr.splitlines()[-1:]}")
    return done.stdout


def _interrupt(arguments: Sequence[str]) -> None:
    """Ctrl-C once a program is confirmed better."""
    command: Any = [sys.executable, "-m", "mallocgame", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.rstrip().endswith(", better"):
                process.send_signal(signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
