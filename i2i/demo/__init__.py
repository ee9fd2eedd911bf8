"""Demonstration data that i2i draws, with ground truth and metrics."""
