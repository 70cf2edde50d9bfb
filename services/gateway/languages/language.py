"""Which language a visitor reads, and its catalogue of texts."""

import json
from collections.abc import Mapping
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

LOCALE = Path(__file__).parents[1] / "locale"
ENGLISH = "en"
LANGUAGES = {ENGLISH: "English", "de": "Deutsch"}
"""Every language of the page, in its own name. The texts in the code are English."""
COOKIE = "language"


def chosen(cookie: str | None, accept_language: str) -> str:
    """The language that the visitor once chose, else the one that the browser likes best, else English."""
    if cookie in LANGUAGES:
        return cookie
    liked = sorted(_liked(accept_language), key=lambda one: -one[1])
    return next((tag for tag, _ in liked if tag in LANGUAGES), ENGLISH)


def _liked(accept_language: str) -> list[tuple[str, float]]:
    found = []
    for part in accept_language[:400].split(","):
        tag, _, quality = part.strip().partition(";q=")
        try:
            share = float(quality) if quality else 1.0
        except ValueError:
            continue
        if share > 0:
            found.append((tag.split("-")[0].lower(), share))
    return found


def translations(language: str) -> NullTranslations:
    """The catalogue of `language`. Raises OSError when it was not compiled."""
    if language == ENGLISH:
        return NullTranslations()
    with (LOCALE / language / "LC_MESSAGES" / "messages.mo").open("rb") as file:
        return GNUTranslations(file)


def script_texts(language: str) -> Mapping[str, str]:
    """What the scripts say, from English. Raises OSError."""
    if language == ENGLISH:
        return {}
    texts: dict[str, str] = json.loads((LOCALE / language / "scripts.json").read_text(encoding="utf-8"))
    return texts
