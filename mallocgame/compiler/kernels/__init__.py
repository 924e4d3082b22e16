"""What a Mosaic kernel costs, read from its own module."""
