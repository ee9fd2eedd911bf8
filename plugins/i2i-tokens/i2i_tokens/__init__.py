"""Image tokens as an i2i plugin."""
