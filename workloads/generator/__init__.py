"""Made-up problems for tests and training: random ones, and ones whose optimum is known by construction."""

from workloads.generator.known import Known, known_optimum
from workloads.generator.known_recipe import KINDS, KnownRecipe, varied_known_recipe
from workloads.generator.links import with_links
from workloads.generator.random_problems import random_problem
from workloads.generator.recipes import Recipe, tiny_recipe, varied_recipe
from workloads.generator.reservations import with_reservations

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
    "with_links",
    "with_reservations",
]
