"""Frozen networks whose features losses and translators compare."""
