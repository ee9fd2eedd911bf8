"""Training: steps of phases and micro-batches, checkpoints and hooks, independent of the method."""
