"""What fills a program's memory: bytes by memory and kind, what is live at the peak, and what to do about it."""

from mallocgame.report.memory.measure import memory_use
from mallocgame.report.memory.refused import use_of_message
from mallocgame.report.memory.use import Buffer, Finding, Keeper, Kinds, MemoryUse, Peak, SpaceUse

__all__ = ["Buffer", "Finding", "Keeper", "Kinds", "MemoryUse", "Peak", "SpaceUse", "memory_use", "use_of_message"]
