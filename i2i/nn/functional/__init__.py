"""Pure tensor functions: a formula each, its shapes and its source."""
