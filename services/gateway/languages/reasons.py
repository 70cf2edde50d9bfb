"""What the controller says, in another language: found by its code, its figures kept. What has no translation stays in English."""

import re
from collections.abc import Callable
from functools import cache

from services.gateway.languages.reason_patterns import PATTERNS


@cache
def _matcher(pattern: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in pattern.split("{}")), re.DOTALL)


def in_words(code: str, text: str, gettext: Callable[[str], str]) -> str:
    """The reason `text` of that code as `gettext` would say it; `text` itself where that cannot be done."""
    pattern = PATTERNS.get(code)
    if pattern is None or (found := _matcher(pattern).fullmatch(text)) is None:
        return text
    translated = gettext(pattern)
    if translated.count("{}") != len(found.groups()):
        return text
    # One reason may stand in another, such as the one that waits for the relays' rest.
    return translated.format(*(uncoded(value, gettext) for value in found.groups()))


def uncoded(value: str, gettext: Callable[[str], str]) -> str:
    """The same for a reason that came without its code, as in a report or within another one."""
    if " " not in value:
        return value
    said = (in_words(code, value, gettext) for code in PATTERNS if PATTERNS[code][:2] != "{}")
    return next((one for one in said if one != value), value)
