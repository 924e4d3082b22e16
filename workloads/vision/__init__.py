"""Convolutional networks and other models of images."""
