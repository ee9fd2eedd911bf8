"""Evaluation: figures that compare images."""
