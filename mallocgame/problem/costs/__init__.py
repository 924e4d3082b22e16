"""What instructions cost: MSA's formula, logged costs, and costs from the HLO alone."""
