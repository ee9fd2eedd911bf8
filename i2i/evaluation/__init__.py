"""Metrics that compare images, and hooks that apply them to a run."""
