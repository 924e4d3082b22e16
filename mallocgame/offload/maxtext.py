"""MaxText's words for an answer: its configuration has a place for each name, and ready policies of its own.

From MaxText 0.2.5 (github.com/AI-Hypercomputer/maxtext): names in ``configs/base.yml``, ready policies in
``layers/nnx_decoders.py``, ``get_remat_policy``. Nothing of it is imported: its steps are programs like others, whose
policies are taken over while they are traced.
"""

from __future__ import annotations

from collections.abc import Collection

from mallocgame.offload.policy import NamedMoves
from mallocgame.offload.problem import Move

SIGN = "decoder_layer_input"
"""A name that MaxText gives, whatever the model."""

NAMES = frozenset(
    {SIGN, "indexer_cutoff_threshold", "context", "mlpwi", "mlpwi_0", "mlpwi_1", "mlpwo", "moe_mlpwi_0", "moe_mlpwi_1",
     "moe_mlpwo", "moe_x_sorted", "moe_routing_maps", "query_proj", "key_proj", "value_proj", "kv_proj", "qkv_proj",
     "out_proj", "query_wa_proj", "kv_wa_proj", "mla_q", "mla_kv", "attention_out", "engram"}
)  # fmt: skip
"""Names that its configuration has a place for."""

_PLACES: dict[Move, str] = {"keep": "device", "offload": "offload", "recompute": "remat"}

_QKV = ("query_proj", "value_proj", "key_proj", "kv_proj")
_DOTS = (*_QKV, "qkv_proj", "out_proj")
_MINIMAL = (*_DOTS, "mlpwi_0", "mlpwi_1", "mlpwi", "mlpwo")
_PRESETS: dict[str, tuple[Move, tuple[str, ...]]] = {
    "minimal_with_context": ("keep", (*_MINIMAL, "context")),
    "minimal": ("keep", _MINIMAL),
    "minimal_with_quantization": ("keep", (*_MINIMAL, "quantization")),
    "minimal_with_context_and_quantization": ("keep", (*_MINIMAL, "context", "quantization")),
    "save_dot_with_context_except_mlp": ("keep", (*_DOTS, "context")),
    "save_dot_except_mlpwi": ("keep", (*_DOTS, "mlpwo")),
    "save_dot_except_mlp": ("keep", _DOTS),
    "save_qkv_proj": ("keep", (*_QKV, "qkv_proj")),
    "save_out_proj": ("keep", ("out_proj",)),
    "qkv_proj_offloaded": ("offload", _QKV),
    "minimal_offloaded": ("offload", _MINIMAL),
    "full": ("keep", ()),
}


def presets(names: Collection[str]) -> dict[str, NamedMoves]:
    """MaxText's ready policies as moves of these names; those that come to the same share a label.

    Args:
        names: of a program; none are given for one that is not MaxText's.
    """
    if SIGN not in names:
        return {}
    labels: dict[tuple[tuple[str, Move], ...], list[str]] = {}
    for label, (move, chosen) in _PRESETS.items():
        made: tuple[tuple[str, Move], ...] = tuple((name, move if name in chosen else "recompute") for name in names)
        labels.setdefault(made, []).append(label)
    return {f"MaxText's {', '.join(same)}": NamedMoves(dict(made)) for made, same in labels.items()}


def configuration(moves: NamedMoves) -> dict[str, str]:
    """The lines of MaxText's configuration that say the same; empty where they cannot."""
    if moves.moves is None or SIGN not in moves.moves or not NAMES.issuperset(moves.moves):
        return {}
    return {"remat_policy": "custom", **{name: _PLACES[move] for name, move in moves.moves.items()}}
