"""Made-up problems for tests and training: random ones, and ones whose optimum is known by construction."""

from mallocgame.generator.random_problems import random_problem
from mallocgame.generator.recipes import Recipe, tiny_recipe, varied_recipe

__all__ = ["Recipe", "random_problem", "tiny_recipe", "varied_recipe"]
