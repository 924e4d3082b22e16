"""What instructions cost: MSA's formula, logged costs, and costs from the HLO alone."""

from __future__ import annotations

from mallocgame.costs.analytic import AnalyticCosts
from mallocgame.costs.cost import Cost
from mallocgame.costs.elapsed import m_elapsed
from mallocgame.costs.logged import logged_cost

__all__ = ["AnalyticCosts", "Cost", "logged_cost", "m_elapsed"]
