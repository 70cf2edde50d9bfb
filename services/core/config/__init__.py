"""The station's configuration: its schema, and how its text becomes a checked value."""
