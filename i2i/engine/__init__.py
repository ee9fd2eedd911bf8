"""Training: phases and micro-batches, checkpoints, and the extras that watch. Nothing here knows a method."""
