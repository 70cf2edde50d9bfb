"""The power station's own readings, to the bus."""
