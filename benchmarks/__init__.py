"""Measurements, in folders by the question that they answer; README.md lists them."""
