"""Networks that classify images as real or fake."""
