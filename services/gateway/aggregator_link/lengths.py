"""How long an event of the older form lasts: its programme says so, for the message does not."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.bus import programmes
from services.core.config.load import ConfigError
from services.core.config.station import Station

WORDS = {"csrp": "coned-csrp", "dlrp": "coned-dlrp"}
"""Which programme a word of the old form means, unless the station file says so."""


def length_of(station: Station, named: Mapping[str, str], word: str, start: datetime) -> timedelta | None:
    """The window that begins then, of the programme that `word` means, or the programme's longest; None if it means none.

    `named` is what the station file says of such words.
    """
    name = named.get(word) or WORDS.get(word.lower())
    rules = station.programme.rules if name is None or name == station.programme.name else None
    if rules is None and name is not None:
        try:
            rules = programmes.load(name)
        except ConfigError:
            rules = None
    if rules is None:
        return None
    local = start.astimezone(station.zone).strftime("%H:%M")
    for window in rules.calls.windows:
        if window[:5] == local:
            begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (window[:5], window[6:]))
            return timedelta(minutes=end - begin)
    return rules.calls.longest
