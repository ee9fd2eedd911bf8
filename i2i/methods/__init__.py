"""Translators: which images exist for a batch, and which networks make them."""
