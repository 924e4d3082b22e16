"""Where XLA's memory space assignment loses: minimal programs, compiled anew (docs/findings.md).

    python -m benchmarks.compiler.findings [NAME ...]

For each program: XLA's default; where that loses for another finding's reason too, the default without that reason;
options that mend it, where some do; and the plan that is kept beside the program. Each is compiled by the installed
libtpu, read back and replayed under E and M. Ratios are XLA's default / row. Exit code 1 if a mend or a plan is not
better any more, by the rule of the benchmark, than the default and than the default without the other reason. A plan
is for one schedule: other versions of the compiler may refuse it, which counts as not better; the options have no such
limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mallocgame.compiler.capture import Capture
from mallocgame.compiler.capturing import capture
from mallocgame.compiler.child import compile_in_child
from mallocgame.compiler.confirm import confirm
from mallocgame.compiler.verification import Row, replayed
from mallocgame.compiler.verify import verify
from mallocgame.compiler.versions import installed_versions
from mallocgame.plan.plan_file import load_plan
from mallocgame.plan.verdict import verdict
from mallocgame.system.errors import MallocgameError
from xla_dump_parser import ParseError, parse_hlo

PLANS = Path(__file__).parents[2] / "workloads" / "findings"
PROGRAMS = "workloads.findings.programs"

NO_CROSS_PROGRAM: Mapping[str, str] = {"xla_msa_max_cross_program_prefetches": "0"}


@dataclass(frozen=True, slots=True)
class Finding:
    """A program on which XLA's default loses.

    Attributes:
        name: as users type it.
        target: e.g. ``"v5e"``.
        cause: in one line.
        without: options that take another finding's reason out of the default; none if empty.
        mend: options that take this reason out, those of ``without`` included; empty where no option does.
    """

    name: str
    target: str
    cause: str
    without: Mapping[str, str] = field(default_factory=dict)
    mend: Mapping[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """``MODULE:FUNCTION`` of the builder."""
        return f"{PROGRAMS}:{self.name.replace('-', '_')}"

    @property
    def plan(self) -> Path:
        """The plan file."""
        return PLANS / f"{self.name}.plan.json"


FINDINGS: tuple[Finding, ...] = (
    Finding(
        "loop-weight",
        "v5e",
        "a prefetch for a while has to be hidden by what comes before the while, however often the loop saves it",
    ),
    Finding(
        "late-weights",
        "v5e",
        "a prefetch starts twice its copy time before the use, also where memory-bound instructions fill that time",
        without=NO_CROSS_PROGRAM,
        mend={**NO_CROSS_PROGRAM, "xla_msa_preferred_overlap_to_async_copy_ratio": "1000"},
    ),
    Finding(
        "cross-program",
        "v4 lite",
        "the largest parameter is prefetched across programs, whatever else its bytes could serve",
        mend=NO_CROSS_PROGRAM,
    ),
    Finding(
        "greedy-order",
        "v4 lite",
        "buffers are placed by benefit / sqrt(size), which does not count for how long they take their bytes",
        without=NO_CROSS_PROGRAM,
        mend={
            **NO_CROSS_PROGRAM,
            "xla_tpu_msa_sort_order_overrides": 'overrides{hlo_position_matcher{instruction_name_regex:"large[.]1"}'
            "override_options{assign_last:true}}",
        },
    ),
    Finding(
        "late-state",
        "v5p",
        "what a loop carries stays in HBM if the first use in the body is later than the longest allowed interval",
        mend={"xla_msa_max_overlap_to_mem_size_async_copy_ratio": "1000"},
    ),
    Finding(
        "conv-kernel",
        "v5p",
        "the benefit of a prefetch does not know that the fusion gets other windows and more cycles",
        mend={
            **NO_CROSS_PROGRAM,
            "xla_tpu_msa_tensor_overrides": 'overrides{hlo_position_matcher{instruction_name_regex:"second[.]1"}'
            "keep_in_default_memory{}}",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One compiled form of a program.

    Attributes:
        label: what it is.
        row: its figures.
        better: whether it beats every row that it is compared with; None for those that it is compared with.
    """

    label: str
    row: Row
    better: bool | None


def results(finding: Finding) -> Iterator[Result]:
    """Compile and replay: XLA's default first, then as in the module's docstring.

    Raises:
        BadInputError: the plan is for another program or schedule.
        CompilerRefusedError, NoAnswerError: a compile failed.
    """
    kept = capture(finding.program, None, finding.target)
    default = replayed("xla default", kept.problem(), parse_hlo(kept.final, "final of XLA's default"), kept.peak_hbm)
    yield Result("XLA's default", default, None)
    references = [default]
    if finding.without:
        references.append(_with_options(kept, finding.without))
        yield Result("without another reason", references[-1], None)
    if finding.mend:
        row = _with_options(kept, finding.mend)
        yield Result("with options that mend it", row, _beats(row, references))
    verification = verify(load_plan(finding.plan), kept, msa_off=False)
    row = verification.rows[-1]
    yield Result(f"plan, honoured {verification.honoured}/{verification.sites}", row, _beats(row, references))


def main(arguments: Sequence[str] | None = None) -> int:
    names = [finding.name for finding in FINDINGS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compiler.findings")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all of them if none is given: {', '.join(names)}")
    wanted = parser.parse_args(arguments).names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"unknown finding {unknown[0]!r}; known: {', '.join(names)}")
    if not same_versions():
        print(
            f"plans are for {_text(load_plan(FINDINGS[0].plan).versions)}, installed are {_text(installed_versions())}"
        )
    chosen = [finding for finding in FINDINGS if not wanted or finding.name in wanted]
    lost = [finding.name for finding in chosen if not _run(finding)]
    print(f"{len(chosen) - len(lost)} of {len(chosen)} better" + (f"; not: {', '.join(lost)}" if lost else ""))
    return int(bool(lost))


def same_versions() -> bool:
    """Whether the plans were made with the installed jax, jaxlib and libtpu."""
    installed = installed_versions()
    return all(load_plan(finding.plan).versions.items() >= installed.items() for finding in FINDINGS)


def _text(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {versions.get(name)}" for name in ("jax", "jaxlib", "libtpu"))


def _run(finding: Finding) -> bool:
    """Whether everything that should be better is."""
    print(f"{finding.name}, {finding.target}: {finding.cause}", flush=True)
    for label, options in (("without another reason", finding.without), ("with options that mend it", finding.mend)):
        if options:
            print(f"  {label}: " + " ".join(f"{name}={value}" for name, value in options.items()))
    default: Row | None = None
    good = True
    try:
        for result in results(finding):
            default = default or result.row
            print(_line(result, default), flush=True)
            good &= result.better is not False
    except (MallocgameError, ParseError) as error:
        print(f"  {type(error).__name__}: {error}", flush=True)
        return False
    return good


def _with_options(kept: Capture, options: Mapping[str, str]) -> Row:
    """The captured program compiled with more options."""
    return confirm(kept, "global flags", {**kept.options, **options}, compile_in_child).row


def _beats(row: Row, references: Sequence[Row]) -> bool:
    return all(verdict(row, reference) == "better" for reference in references)


def _line(result: Result, default: Row) -> str:
    row = result.row
    words = {None: "", True: "  better", False: "  NOT BETTER"}[result.better]
    return (
        f"  {result.label:26} "
        f"E {1e6 * row.e_seconds:8.2f} us (stall {1e6 * row.e_stall:6.2f}) x{default.e_seconds / row.e_seconds:.4f}  "
        f"M {1e6 * row.m_seconds:8.2f} us (stall {1e6 * row.m_stall:6.2f}) x{default.m_seconds / row.m_seconds:.4f}"
        f"{words}"
    )


if __name__ == "__main__":
    sys.exit(main())
