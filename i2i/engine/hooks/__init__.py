"""Built-in hooks of training: console, log, sample grids, trackers, diagnostics, best checkpoints."""
