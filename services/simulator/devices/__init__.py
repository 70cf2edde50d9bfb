"""The devices of the simulated house as they answer on the wire."""
