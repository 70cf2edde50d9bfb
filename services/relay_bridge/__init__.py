"""Relays with power sensors, over HTTP, to and from the bus."""
