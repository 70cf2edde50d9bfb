"""A simulated house: its physics, and its devices at wire level."""
