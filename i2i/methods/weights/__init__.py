"""Importers of official checkpoints: one weight map, and a table of names for each format."""
