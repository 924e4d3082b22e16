"""MiniMalloc's own instances, where they are beside the checkout, and tilings: packed with no room left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mallocgame.packing import Buffer, minimise, pack, read_csv, validate

INSTANCES = Path(__file__).parents[3] / "shared" / "data" / "minimalloc"


def tiling(count: int, seed: int) -> list[Buffer]:
    """Buffers that fill 400 times x 1024 bytes with nothing left: a rectangle cut in two again and again."""
    random = np.random.default_rng(seed)
    pieces = [(0, 400, 0, 1024)]
    while len(pieces) < count:
        lower, upper, low, high = pieces.pop(int(random.integers(len(pieces))))
        if random.random() < 0.5 and upper - lower > 1:
            cut = int(random.integers(lower + 1, upper))
            pieces += [(lower, cut, low, high), (cut, upper, low, high)]
        elif high - low > 1:
            cut = int(random.integers(low + 1, high))
            pieces += [(lower, upper, low, cut), (lower, upper, cut, high)]
        else:
            pieces.append((lower, upper, low, high))
    return [Buffer(str(k), lower, upper, high - low) for k, (lower, upper, low, high) in enumerate(pieces)]


@pytest.mark.parametrize("count", [20, 80, 150])
@pytest.mark.parametrize("seed", [1, 2])
def test_tilings_are_packed_without_room(count: int, seed: int) -> None:
    buffers = tiling(count, seed)
    found = pack(buffers, 1024, time_limit=20)
    assert found.status == "feasible"
    assert found.lower_bound == 1024
    assert pack(buffers, 1023).status == "infeasible"


def test_smallest_capacity_of_a_tiling() -> None:
    found = minimise(tiling(60, 3), time_limit=20)
    assert (found.status, found.capacity) == ("optimal", 1024)


@pytest.mark.parametrize("name", "ABCDEF")
def test_minimalloc(name: str) -> None:
    file = INSTANCES / f"{name}.1048576.csv"
    if not file.exists():
        pytest.skip(f"{file.name} is not here")
    buffers = read_csv(file).buffers
    found = pack(buffers, 1048576, time_limit=60)
    assert found.status == "feasible"
    assert found.offsets is not None
    assert not validate(buffers, found.offsets, 1048576)
