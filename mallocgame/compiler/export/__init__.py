"""Plans as compiler options, and as text for the places where users put them."""
