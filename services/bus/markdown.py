"""What the generated pages have in common."""


def cell(text: str) -> str:
    """`text` in one cell of a table: on one line, and nothing in it taken for markup, but for code between backticks."""
    parts = " ".join(text.split()).replace("|", "\\|").split("`")
    return "`".join(part.replace("<", "&lt;") if i % 2 == 0 else part for i, part in enumerate(parts))
