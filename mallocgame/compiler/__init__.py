"""Compiling with libtpu: captures and their verification. libtpu runs in child processes only."""

from mallocgame.compiler.capture import Capture, capture, recapture
from mallocgame.compiler.capture_file import is_capture, load_capture, save_capture
from mallocgame.compiler.child import Limits
from mallocgame.compiler.failures import OverrideRefusedError
from mallocgame.compiler.verification import Miss, Relaxed, Row, Verification
from mallocgame.compiler.verify import verify

__all__ = [
    "Capture",
    "Limits",
    "Miss",
    "OverrideRefusedError",
    "Relaxed",
    "Row",
    "Verification",
    "capture",
    "is_capture",
    "load_capture",
    "recapture",
    "save_capture",
    "verify",
]
