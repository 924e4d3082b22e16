"""Plans as compiler options."""

from mallocgame.export.formats import to_json, to_libtpu_init_args, to_python
from mallocgame.export.options import compiler_options

__all__ = ["compiler_options", "to_json", "to_libtpu_init_args", "to_python"]
