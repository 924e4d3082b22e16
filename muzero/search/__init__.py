"""Search with mctx: from positions to moves."""

from muzero.search.environment import MOVES, Environment, batched
from muzero.search.forced import advance, decide
from muzero.search.options import SearchOptions, Variant
from muzero.search.search import SearchResult, search

__all__ = ["MOVES", "Environment", "SearchOptions", "SearchResult", "Variant", "advance", "batched", "decide", "search"]
