"""Demonstration data that i2i draws itself, and measures against its ground truth."""
