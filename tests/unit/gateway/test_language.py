"""Languages: whose is chosen, that every text is translated, and that reasons keep their figures."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.controller import reasons as controller
from services.gateway.languages.language import ENGLISH, LANGUAGES, LOCALE, chosen, translations
from services.gateway.languages.reason_patterns import PATTERNS
from services.gateway.languages.reasons import in_words, uncoded
from services.gateway.languages.words import Words
from tests import texts

OTHERS = [code for code in LANGUAGES if code != ENGLISH]
GERMAN = translations("de").gettext


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        (None, "", "en"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr-FR,fr;q=0.9,de;q=0.5,en;q=0.7", "en"),
        (None, "fr, de;q=0", "en"),
        (None, "en;q=0.1,de;q=nonsense", "en"),
        ("de", "en", "de"),
        ("en", "de", "en"),
        ("xx'; drop", "de", "de"),
    ],
)
def test_the_cookie_counts_before_what_the_browser_likes(cookie: str | None, header: str, expected: str) -> None:
    assert chosen(cookie, header) == expected


@pytest.mark.parametrize("code", OTHERS)
def test_every_text_is_translated_and_none_is_left_over(code: str) -> None:
    wanted = {message.id for message in texts.template() if message.id}
    kept = {message.id: message.string for message in texts.catalogue(code) if message.id}
    assert wanted - kept.keys() == set(), "new texts: make texts, then translate them in messages.po"
    assert kept.keys() - wanted == set(), "texts that are gone: make texts"
    assert [text for text, said in kept.items() if not said] == []


@pytest.mark.parametrize("code", OTHERS)
def test_what_is_served_is_what_the_catalogue_says(code: str) -> None:
    found = texts.catalogue(code)
    assert texts.po(code).with_suffix(".mo").read_bytes() == texts.mo_bytes(found), "make texts"
    assert (LOCALE / code / "scripts.json").read_bytes() == texts.script_bytes(found), "make texts"


@pytest.mark.parametrize("code", OTHERS)
def test_no_translation_loses_or_invents_a_value(code: str) -> None:
    values = re.compile(r"%\(\w+\)s|\{\w*\}")
    for message in texts.catalogue(code):
        assert sorted(values.findall(str(message.id))) == sorted(values.findall(str(message.string))), message.id


def test_the_patterns_are_the_controllers_own_words() -> None:
    said = {code: re.sub(r"\{:[^}]*\}", "{}", text) for code, text in controller._WORDS.items()}
    assert said == PATTERNS, "services/gateway/languages/reason_patterns.py follows services/controller/reasons.py; then make texts"


def test_a_reason_is_said_in_german_with_its_figures() -> None:
    reason = controller.Reason("holding_part", (457.0, 490.0, 42.0, timedelta(minutes=30)))
    assert in_words(reason.code, reason.text(UTC), GERMAN) == "Ereignis: hält 457 von 490 W; Batterie bei 42 %, noch 30 min"


def test_a_reason_within_a_reason_is_said_in_german_too() -> None:
    inner = controller.Reason("resting", (67.0,))
    outer = controller.Reason("dwell", (inner, timedelta(minutes=4)))
    assert in_words("dwell", outer.text(UTC), GERMAN) == "ruht bei 67 %: wartet 4 min (Mindestzeit zwischen zwei Schaltungen)"


@pytest.mark.parametrize("code", PATTERNS)
def test_every_reason_is_recognised_by_its_own_pattern(code: str) -> None:
    filled = PATTERNS[code].replace("{}", "1")
    assert in_words(code, filled, GERMAN) == GERMAN(PATTERNS[code]).replace("{}", "1")


@pytest.mark.parametrize(("code", "text"), [("resting", "no longer these words"), ("of_a_later_version", "something new"), ("resting", "")])
def test_what_is_not_recognised_stays_english(code: str, text: str) -> None:
    assert in_words(code, text, GERMAN) == text


def test_a_reason_without_its_code_is_recognised_by_its_words() -> None:
    assert uncoded("event: battery at 85 %, 4 h left, holding 67 W", GERMAN) == "Ereignis: Batterie bei 85 %, noch 4 h, hält 67 W"
    assert uncoded("because I say so", GERMAN) == "because I say so"


def test_figures_and_times_read_as_the_language_writes_them() -> None:
    zone = ZoneInfo("Europe/Paris")
    at = datetime(2026, 11, 23, 6, 43, tzinfo=UTC)
    english, german = Words("en", zone, translations("en")), Words("de", zone, translations("de"))
    assert (english.watts(1234), german.watts(1234)) == ("1.23 kW", "1,23 kW")
    assert (english.watts(-0.4), english.watts(None)) == ("0 W", "\N{EN DASH}")
    assert english.watts(-12) == "\N{MINUS SIGN}12 W"
    assert (english.moment(at), german.moment(at)) == ("Mon 23 Nov 07:43", "Mo 23. Nov 07:43")
    assert english.period(at, at + timedelta(hours=20)) == "Mon 23 Nov 07:43 \N{EN DASH} Tue 24 Nov 03:43"
    assert (english.watt_hours(8.25), english.watt_hours(12345), german.watt_hours(12345)) == ("8.2 Wh", "12.3 kWh", "12,3 kWh")
    assert [english.span(s) for s in (45, 240, 4200, -5)] == ["45 s", "4 min", "1 h 10 min", "0 s"]
