"""Seconds, bytes and shares as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """``"12.3 us"``: three to four digits in the unit that suits."""
    if seconds == 0:
        return "0"
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms")):
        if abs(seconds) < limit:
            return f"{seconds * factor:.4g} {unit}"
    return f"{seconds:.4g} s"


def size(count: float) -> str:
    """``"1.5 MiB"``."""
    for limit, unit in ((2**10, "B"), (2**20, "KiB"), (2**30, "MiB")):
        if abs(count) < limit:
            return f"{count / (limit // 2**10):.4g} {unit}" if unit != "B" else f"{count:.0f} B"
    return f"{count / 2**30:.4g} GiB"


def compiler_size(count: int) -> str:
    """``"496.24 MiB"``: two decimals, as the compiler's reports have them."""
    return (
        f"{count} B"
        if count < 2**10
        else next(
            f"{count / 2**power:.2f} {unit}"
            for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB"))
            if count >= 2**power
        )
    )


def percent(share: float) -> str:
    """``"12.3 %"``."""
    return f"{100 * share:.1f} %"


def change(value: float, base: float) -> str:
    """``"-1.25 %"``: how much longer than ``base``."""
    return f"{100 * (value / base - 1):+.2f} %" if base else ""
