"""Loss terms that a recipe weights: one method for each phase, one parameter for each output."""
