"""Made-up problems for tests and training: random ones, and ones whose optimum is known by construction."""

from mallocgame.generator.known import KINDS, Known, KnownRecipe, known_optimum, varied_known_recipe
from mallocgame.generator.random_problems import random_problem
from mallocgame.generator.recipes import Recipe, tiny_recipe, varied_recipe

__all__ = [
    "KINDS",
    "Known",
    "KnownRecipe",
    "Recipe",
    "known_optimum",
    "random_problem",
    "tiny_recipe",
    "varied_known_recipe",
    "varied_recipe",
]
