"""Attention over feature maps."""
