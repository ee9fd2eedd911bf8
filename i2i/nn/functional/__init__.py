"""Pure functions of tensors, each with its formula, shapes and source."""
