"""The time zone that this machine is set to, as a proposal for the station's."""

from pathlib import Path
from zoneinfo import available_timezones

_UTC = {"UTC", "UCT", "GMT", "Universal", "Zulu", "Greenwich"}


def machine_timezone(environment: str | None, etc: Path = Path("/etc")) -> str | None:
    """Its IANA name; `environment` is the variable TZ.

    None where it cannot be told, and for UTC, on which a machine stands that nobody has set up.
    """
    for name in (environment, _text(etc / "timezone"), _linked(etc / "localtime")):
        zone = (name or "").strip().removeprefix(":")
        if zone in available_timezones() and zone.rpartition("/")[2] not in _UTC:
            return zone
    return None


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _linked(file: Path) -> str | None:
    """The zone in `/usr/share/zoneinfo/<zone>`, where that is what `file` leads to."""
    _, found, zone = str(file.resolve()).partition("/zoneinfo/")
    return zone if found else None
