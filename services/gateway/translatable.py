"""Marks texts for translation where they stand, long before anybody knows the language."""


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for a text to be translated later
    """`text`, marked for the catalogue."""
    return text
