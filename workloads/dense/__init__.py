"""Matrix products and dense networks."""
