"""Cells of a CSV file that people open in a spreadsheet."""


def safe(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula: what a message says is data."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
