"""One file a way to an I²C bus."""
