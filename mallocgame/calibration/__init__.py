"""E as a table: the emitter's cycles of each instruction over the placements of its operands and outputs."""

from mallocgame.calibration.observe import Observation, observation_of, observations_of, observe_final
from mallocgame.calibration.products import products_of
from mallocgame.calibration.sites import plan_masks, sites_of
from mallocgame.calibration.table import CycleTable, TableArrays

__all__ = [
    "CycleTable",
    "Observation",
    "TableArrays",
    "observation_of",
    "observations_of",
    "observe_final",
    "plan_masks",
    "products_of",
    "sites_of",
]
