"""Values as they may leave: each is let through by its kind, and is None otherwise."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from services.core.events import ID_PATTERN, EventStatus

LIMIT = 1e15
"""Beyond any figure of a household; also keeps infinities, NaN and endless whole numbers out."""
_WORD = re.compile(r"[a-z0-9_-]{1,40}")


def put(found: dict[str, Any], name: str, value: object) -> None:
    """Put `value` in, unless it is None."""
    if value is not None:
        found[name] = value


def as_mapping(value: object) -> Mapping[str, Any]:
    """The mapping, or an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> Sequence[Any]:
    """The list, or an empty one."""
    return value if isinstance(value, (list, tuple)) else ()


def as_number(value: object) -> float | None:
    """The number, or None. A truth value is none, nor is what no figure of a household reaches."""
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and -LIMIT < value < LIMIT else None


def as_share(value: object) -> float | None:
    """The number from 0 to 1, or None."""
    number = as_number(value)
    return number if number is not None and 0 <= number <= 1 else None


def as_whole(value: object) -> int | None:
    """The whole number that is not negative, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**31 else None


def as_word(value: object) -> str | None:
    """The short plain word, or None: no sentence passes."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def as_event_id(value: object) -> str | None:
    """The id of an event, or None."""
    return value if isinstance(value, str) and ID_PATTERN.fullmatch(value) else None


def as_status(value: object) -> EventStatus | None:
    """The status of an event, or None."""
    return EventStatus(value) if isinstance(value, str) and value in set(EventStatus) else None


def as_time(value: object) -> datetime | None:
    """The instant, or None."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if moment is None or moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def as_text(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
