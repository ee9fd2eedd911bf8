"""Terms that a recipe may weigh: a method per phase, a parameter per output."""
