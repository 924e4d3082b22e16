"""Models of text and other sequences."""
