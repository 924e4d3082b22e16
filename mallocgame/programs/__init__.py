"""What a user hands in, read into a problem or into something to compile."""
