"""Augmentations in front of discriminators."""
