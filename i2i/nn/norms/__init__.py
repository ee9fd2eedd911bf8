"""Normalization layers, plain and adaptive."""
