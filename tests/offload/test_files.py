"""Files of plans and of links: there and back, and what is damaged is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mallocgame import api
from mallocgame.offload.links import LINKS, get_link, read_link
from mallocgame.offload.moves_file import MovesFile, is_moves_file, load_moves, save_moves
from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.run import budget_bytes
from mallocgame.problem.chips import GPU_EXPOSED
from mallocgame.problem.target_file import PRODUCT, MeasuredTarget, Rate, save_target
from mallocgame.problem.targets import TARGETS
from mallocgame.system.errors import BadInputError

CONTENT = MovesFile(
    "my.module:training", "v5e", 1000, NamedMoves({"x": "keep", "y": "offload"}), {}, {"jax": "0.10.2"}, 900, 0.25
)


READY = NamedMoves(None, "dots_saveable")


@pytest.mark.parametrize("moves", [CONTENT.moves, NamedMoves(None), READY, NamedMoves(None, "as written")])
@pytest.mark.parametrize("further", [{}, {"everywhere": True, "state": ("1.mu",), "batch": 8}])
def test_a_plan_comes_back_as_it_was(moves: NamedMoves, further: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    content = MovesFile(**{**CONTENT.__dict__, "moves": moves, **further})
    save_moves(content, path)
    assert json.loads(path.read_text())["version"] == (2 if further or moves.ready else 1)
    assert is_moves_file(path)
    assert load_moves(path) == content
    python = api.export(path, "python")
    assert python == content.to_python()
    assert moves.to_python() in python
    assert ("# In host memory: 1.mu." in python) == bool(further)
    compile(python, "answer", "exec")
    with pytest.raises(BadInputError, match="use --format python"):
        api.export(path, "libtpu-init-args")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("moves", {"x": "burn"}, "moves.x: expected 'keep' or 'offload' or 'recompute', found 'burn'"),
        ("version", 3, "make it again"),
        ("budget", -1, "budget: expected an integer"),
        ("seconds", "long", "seconds: expected a number"),
        ("more", 1, "unknown key 'more'"),
    ],
)
def test_a_damaged_plan_is_refused(key: str, value: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_moves(CONTENT, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(BadInputError, match=said):
        load_moves(path)


def test_links() -> None:
    assert {"H100 SXM", "H200", "A100", "L4", *TARGETS} == set(LINKS)
    for link in LINKS.values():
        assert link.both == link.to_host + link.from_host
        assert link.source
    with pytest.raises(BadInputError, match="unknown device 'TRS-80'"):
        get_link("TRS-80")


def test_a_measured_link(tmp_path: Path) -> None:
    path = tmp_path / "link.json"
    measured = {"name": "here", "device_bytes": 100, "to_host": 20e9, "from_host": 25e9, "both": 30e9, "flops": 1e12}
    measured["exposed"] = 0.25
    path.write_text(json.dumps({**measured, "bandwidth": 1e12, "source": "measured"}))
    assert (read_link(path).both, read_link(path).exposed) == (30e9, 0.25)
    path.write_text(json.dumps({**measured, "bandwidth": 0, "source": "measured"}))
    with pytest.raises(BadInputError, match="every rate has to be more than 0"):
        read_link(path)


RATES = (
    Rate("device read and write", 2000, 0.001, 0.1, 9),
    Rate(PRODUCT.format(side=100), 0, 0.002, 0.1, 9),
    Rate("to pinned_host", 1000, 0.01, 0.1, 9),
    Rate("from pinned_host", 1000, 0.02, 0.1, 9),
    Rate("to and from pinned_host", 2000, 0.025, 0.1, 9),
)


@pytest.mark.parametrize(("device", "size"), [("NVIDIA H100", 700), ("TPU v5e", TARGETS["v5e"].hbm_bytes)])
def test_a_calibration_is_a_link(device: str, size: int, tmp_path: Path) -> None:
    target = replace(TARGETS["v5e"], fast_bytes=700)
    found = MeasuredTarget(target, (), device, {}, RATES)
    save_target(found, tmp_path / "here.json")
    link = read_link(tmp_path / "here.json")
    assert (link.name, link.device_bytes) == (device, size)
    # 1000 bytes in 10 and 20 ms, 2000 in 25 ms; 2 * 100^3 operations in 2 ms; 2000 bytes in 1 ms.
    assert [link.to_host, link.from_host, link.both] == pytest.approx([1e5, 5e4, 8e4])
    assert link.exposed == (0.0 if device.startswith("TPU") else GPU_EXPOSED)
    assert [link.flops, link.bandwidth] == pytest.approx([1e9, 2e6])
    for missing, said in ((1, "'product of matrices' was not"), (4, "'to and from pinned_host' was not measured")):
        save_target(replace(found, rates=RATES[:missing] + RATES[missing + 1 :]), tmp_path / "here.json")
        with pytest.raises(BadInputError, match=said):
            read_link(tmp_path / "here.json")


@pytest.mark.parametrize(("text", "expected"), [("50%", 500), ("12.5 %", 125), ("700", 700)])
def test_budgets(text: str, expected: int) -> None:
    assert budget_bytes(text, 1000) == expected


@pytest.mark.parametrize("text", ["", "0", "0%", "half", "-5", "1e9", "50 percent"])
def test_no_budgets(text: str) -> None:
    with pytest.raises(BadInputError, match="is no budget"):
        budget_bytes(text, 1000)
