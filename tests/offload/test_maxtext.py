"""MaxText's words: ready policies as moves of the names that a model has, and lines of its configuration."""

from __future__ import annotations

from mallocgame.offload.maxtext import configuration, presets
from mallocgame.offload.policy import NamedMoves

NAMES = ["decoder_layer_input", "query_proj", "key_proj", "value_proj", "out_proj", "mlpwi_0", "mlpwi_1", "mlpwo"]


def test_presets() -> None:
    found = presets(NAMES)
    kept = {label: moves.names("keep") for label, moves in found.items()}
    assert kept["MaxText's save_qkv_proj"] == ["query_proj", "key_proj", "value_proj"]
    assert kept["MaxText's save_dot_except_mlpwi"] == ["query_proj", "key_proj", "value_proj", "out_proj", "mlpwo"]
    # Without context among the names these come to the same.
    assert kept["MaxText's save_dot_with_context_except_mlp, save_dot_except_mlp"] == NAMES[1:5]
    assert found["MaxText's qkv_proj_offloaded"].names("offload") == ["query_proj", "key_proj", "value_proj"]
    assert found["MaxText's full"].names("recompute") == NAMES
    assert presets(["hidden", "query_proj"]) == {}


def test_lines_of_the_configuration() -> None:
    moves = NamedMoves({"decoder_layer_input": "offload", "query_proj": "keep", "mlpwo": "recompute"})
    lines = {"decoder_layer_input": "offload", "query_proj": "device", "mlpwo": "remat"}
    assert configuration(moves) == {"remat_policy": "custom", **lines}
    assert configuration(NamedMoves({"decoder_layer_input": "keep", "mine": "keep"})) == {}
    assert configuration(NamedMoves(None)) == {}
