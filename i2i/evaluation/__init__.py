"""Evaluation: figures that compare pictures."""
