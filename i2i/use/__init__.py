"""Use of trained runs: loading, translation, tiling."""
