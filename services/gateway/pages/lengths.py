"""Lengths of time to choose from in a form."""

from datetime import timedelta

from pydantic import TypeAdapter

_ISO = TypeAdapter(timedelta)


def iso(length: timedelta) -> str:
    """As ISO 8601."""
    return str(_ISO.dump_python(length, mode="json"))


def choices(offered: tuple[timedelta, ...], chosen: timedelta | None) -> list[tuple[str, timedelta]]:
    """The lengths to choose from, the chosen one among them."""
    return [(iso(one), one) for one in sorted({*offered, *({chosen} if chosen is not None else ())})]
