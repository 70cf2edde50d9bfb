"""Power at a direct-current position, from an INA260 on the I²C bus."""
