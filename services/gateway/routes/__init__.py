"""The HTTP routes: one file a subject, each with a function that builds its router."""
