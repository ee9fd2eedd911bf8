"""Networks that paint images."""
