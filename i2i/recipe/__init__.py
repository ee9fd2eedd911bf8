"""Recipes: read from TOML, checked whole, written back resolved."""
