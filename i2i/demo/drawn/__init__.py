"""Portraits drawn from a seed by numpy alone, each character in two manners."""
