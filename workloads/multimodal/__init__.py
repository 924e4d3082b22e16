"""Models of sound, and of images with text."""
