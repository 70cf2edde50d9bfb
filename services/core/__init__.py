"""What the system knows. Pure: no I/O, no clock, no MQTT, no global state."""
