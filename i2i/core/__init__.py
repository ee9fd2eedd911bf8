"""Kinds, registry, factories, plugins and contracts; imports no torch."""
