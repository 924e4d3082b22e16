"""The document of ``explain`` in words: paragraphs with a heading, for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mallocgame.report.comparison import PLAN
from mallocgame.report.limits import REASONS
from mallocgame.report.units import duration, percent, size

Value = Mapping[str, Any]
WIDTH = 110
SMALL = 0.01
"""Shares below this are not told."""
LEAST_CHANGE = 0.001
"""Gains and losses that are a smaller share of the time are not told."""
MOVES_TOLD = 3

_LIMITS = {
    "E": {
        "compute": "is computing, as the emitter counts it (tile windows and fast memory included)",
        "HBM": "is instructions that take as long as their own HBM bytes do",
        "links": "is collectives, for which the links between chips are the bound",
        "waiting": "is waiting for copies",
    },
    "M": {
        "compute": "is arithmetic at peak rate",
        "HBM": "is HBM traffic of instructions that memory bounds",
        "fast memory": "is fast-memory traffic of such instructions",
        "links": "is collectives, for which the links between chips are the bound",
        "waiting": "is waiting for copies",
    },
}

VERDICTS = {
    "better": "the plan is better than XLA's default",
    "better under E": "the plan is better than XLA's default under E, and worse under M, but within 2.5 %",
    "equal": "the plan is as good as XLA's default",
    "worse": "the plan is not better than XLA's default",
    "cannot tell": "it cannot be told whether the plan is better than XLA's default: it places otherwise what a "
    "kernel or collective of which nothing is known takes or gives",
}
"""In a sentence, by the word of game.md's rule."""


def explained(document: Value) -> list[str]:
    """The lines for people."""
    lines = [heading(document)]
    for title, sentences in paragraphs(document):
        lines += ["", title, *(line for sentence in sentences for line in _wrapped(sentence))]
    return lines


def heading(document: Value) -> str:
    """What is compared with what, and whether the compiler has confirmed it."""
    if document["confirmed"]:
        source = f"confirmed by libtpu {document['versions'].get('libtpu', 'of unknown version')}"
    else:
        source = "predicted: the compiler has not confirmed it"
        if document["against_default"] is not None:
            source = "predicted, for what the compiler made of it when it was found has gone"
    what = f"{document['answer']} against {document['before']}"
    return f"{document['module']} for {document['target']}: {what}, {source}"


def paragraphs(document: Value) -> list[tuple[str, list[str]]]:
    """Headings, and sentences under each; what there is nothing to say about is left out."""
    parts = [
        ("What it is worth", _worth(document)),
        ("What moved", _moved(document)),
        ("Why it pays", [sentence for model in ("E", "M") for sentence in _changes(document, model, "gains")]),
        ("What it costs", [sentence for model in ("E", "M") for sentence in _changes(document, model, "losses")]),
        ("What is left, and what bounds it", _left(document)),
        ("What was tried", [f"- {line}." for line in document["tried"]]),
    ]
    if document["answer"] != PLAN:
        parts = [(title, [it.replace(PLAN, "the answer") for it in sentences]) for title, sentences in parts]
    return [(title, sentences) for title, sentences in parts if sentences]


def _worth(document: Value) -> list[str]:
    sentences = []
    if document["against_default"] is not None:
        sentences = ["Confirmed against XLA's default:", *_figures(document["against_default"], "- ")]
        sentences.append(f"Below it stands beside {document['before']}:")
    sentences += _figures(document["figures"], "- " if sentences else "")
    if document["verdict"] is not None:
        word = VERDICTS[document["verdict"]].replace("the plan", document["answer"], 1)
        honoured = (
            f"; the compiler honours {document['honoured']} of its {document['sites']} placements and copies"
            if document["sites"]
            else ""
        )
        sentences.append(f"By the rule for both models at once {word}{honoured}.")
    elif not document["confirmed"]:
        sentences.append("These are predictions: with --verify the plan is recompiled, and what that made is shown.")
    return sentences


def _figures(by_model: Value, begins: str) -> list[str]:
    found = []
    for model in ("E", "M"):
        figures = by_model[model]
        times = f"{duration(figures['before'])} become {duration(figures['after'])}"
        line = f"{begins}Under {model}, {times} ({100 * figures['change']:+.2f} %)"
        if figures["stall_before"] or figures["stall_after"]:
            line += (
                f"; waiting for copies goes from {duration(figures['stall_before'])} to "
                f"{duration(figures['stall_after'])}"
            )
        found.append(line + ".")
    return found


def _moved(document: Value) -> list[str]:
    moved = document["moved"]
    base = document["before"]
    sentences = []
    if moved["to_fast"]["tensors"]:
        sentences.append(
            f"{_count(moved['to_fast']['tensors'], 'tensor')} ({size(moved['to_fast']['bytes'])}) "
            f"{_verb(moved['to_fast']['tensors'])} in fast memory for part of the program or all of it that "
            f"{_verb(moved['to_fast']['tensors'])} never there under {base}."
        )
    if moved["to_hbm"]["tensors"]:
        sentences.append(
            f"{_count(moved['to_hbm']['tensors'], 'tensor')} ({size(moved['to_hbm']['bytes'])}) "
            f"{'gives' if moved['to_hbm']['tensors'] == 1 else 'give'} up the place that {base} has for "
            f"{'it' if moved['to_hbm']['tensors'] == 1 else 'them'}."
        )
    if not sentences:
        sentences.append("The same tensors are in fast memory; what differs is when, and how they get there.")
    prefetches = [document[f"copies_{side}"]["prefetch"] for side in ("before", "after")]
    evictions = [document[f"copies_{side}"]["eviction"] for side in ("before", "after")]
    sentences.append(
        f"Prefetches: {prefetches[0]['copies']} ({size(prefetches[0]['bytes'])}) before, {prefetches[1]['copies']} "
        f"({size(prefetches[1]['bytes'])}) under the plan; evictions: {evictions[0]['copies']} before, "
        f"{evictions[1]['copies']} under the plan."
    )
    sentences.append(
        f"At its peak fast memory holds {size(document['peak_after'])} of {size(document['fast_bytes'])}; "
        f"{size(document['peak_before'])} before."
    )
    return sentences


def _changes(document: Value, model: str, which: str) -> list[str]:
    """The largest gains or losses under one model, those that matter."""
    total, before = document["gained" if which == "gains" else "lost"][model], document["figures"][model]["before"]
    rows = [row for row in document[which][model] if abs(row["before"] - row["after"]) >= SMALL * total]
    if not rows or total < LEAST_CHANGE * before:
        return []
    shown = sum(abs(row["before"] - row["after"]) for row in rows)
    does = "get shorter save" if which == "gains" else "get longer cost"
    share = percent(total / before)
    told = "" if len(rows) == 1 else f"; these {len(rows)} are {percent(shown / total)} of that"
    return [
        f"Under {model}, instructions that {does} {duration(total)} in all, {share} of the time before{told}:",
        *(f"- {_row(row)}" for row in rows),
    ]


def _row(row: Value) -> str:
    runs = f" ({row['runs']} runs)" if row["runs"] > 1 else ""
    times = f"{row['instruction']}{runs}: {duration(row['before'])} to {duration(row['after'])}"
    return f"{times}; {why(row)}."


def why(row: Value) -> str:
    """What changed for an instruction."""
    moves = sorted((move for move in row["moves"] if move["bytes"] > 0), key=lambda move: -move["bytes"])
    told = [move for move in moves if move["bytes"] >= SMALL * moves[0]["bytes"]]
    parts = [_move(move) for move in told[:MOVES_TOLD]]
    if len(told) > MOVES_TOLD:
        parts.append(f"{len(told) - MOVES_TOLD} more of its operands and outputs moved")
    waits = row["stall_after"] - row["stall_before"]
    if abs(waits) > SMALL * abs(row["after"] - row["before"]):
        parts.append(f"waits {duration(abs(waits))} {'longer' if waits > 0 else 'less'} for copies")
    return ", ".join(parts) or "none of its operands and outputs moved: its cycles depend on what is placed around it"


def _move(move: Value) -> str:
    memory = "fast memory" if move["memory"] == "fast" else "HBM"
    return (
        f"{move['does']} {move['tensor']} ({size(move['size'])}) {'from' if move['does'] == 'reads' else 'to'} {memory}"
    )


def _left(document: Value) -> list[str]:
    sentences = []
    for model in ("E", "M"):
        figures, limits = document["figures"][model], document["left"]["limits"][model]
        total = figures["after"]
        if not total:
            continue
        shares = [
            f"{percent(limits[limit] / total)} {words}"
            for limit, words in _LIMITS[model].items()
            if limits[limit] / total >= SMALL
        ]
        if shares:
            sentences.append(f"Of {duration(total)} under {model}, {_listed(shares)}.")
    sentences += [_bound(document, model) for model in ("E", "M")]
    sentences += _in_hbm(document)
    return sentences


def _bound(document: Value, model: str) -> str:
    figures = document["figures"][model]
    base = document["before"]
    if figures["bound"] is None:
        beats = base if figures["before"] < figures["beaten_estimate"] else "the plan"
        estimate = f"{duration(figures['beaten_estimate'])} with the cycles of XLA's own placement"
        return f"Under {model} no bound is known: {beats} beats the estimate, {estimate}."
    bound = duration(figures["bound"])
    line = f"Under M, no plan can take less than {bound}"
    if model == "E":
        line = f"Under E, {bound} is an estimated bound: it takes the cycles of XLA's own placement"
    if figures["closed"] is None:
        within = percent(max(0.0, figures["headroom"]))
        return f"{line}; {base} is within {within} of it, so there is next to nothing to gain."
    closes = f"closes {percent(figures['closed'])}" if figures["closed"] > 0 else "closes none"
    above = figures["after"] / figures["bound"] - 1
    return f"{line}; the plan {closes} of the headroom that {base} has, and is {percent(above)} above the bound."


def _in_hbm(document: Value) -> list[str]:
    left, total = document["left"], document["figures"]["M"]["after"]
    reasons = left["reasons"]
    known = sum(reasons.values())
    if not total or known / total < SMALL:
        return []
    told = sorted(
        (reason for reason in REASONS if reasons[reason] / total >= SMALL), key=lambda reason: -reasons[reason]
    )
    return [
        f"Under M, {duration(known)} of HBM time belongs to operands and outputs of instructions that memory bounds:",
        *(f"- {duration(reasons[reason])}: {REASONS[reason]}." for reason in told),
        "The largest single ones:",
        *(f"- {_site(site)}" for site in left["in_hbm"]),
    ]


def _site(site: Value) -> str:
    what = f"{site['instruction']} {site['does']} {site['tensor']} ({size(site['size'])})"
    return f"{what} in {duration(site['seconds'])}: {site['detail'] or REASONS[site['reason']]}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _verb(number: int) -> str:
    return "is" if number == 1 else "are"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def _wrapped(sentence: str) -> list[str]:
    """Lines of at most ``WIDTH`` letters; those of a list entry hang."""
    from textwrap import wrap

    hanging = "    " if sentence.startswith("- ") else "  "
    return wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent=hanging, break_long_words=False)
