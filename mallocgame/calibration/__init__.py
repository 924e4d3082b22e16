"""E as a table: the emitter's cycles of each instruction over the placements of its operands and outputs."""

from mallocgame.calibration.observe import masks_of, observe_final
from mallocgame.calibration.sites import plan_masks, sites_of
from mallocgame.calibration.table import CycleTable, TableArrays

__all__ = ["CycleTable", "TableArrays", "masks_of", "observe_final", "plan_masks", "sites_of"]
