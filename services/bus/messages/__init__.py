"""The messages on the bus, as frozen pydantic models: one file a subject."""
