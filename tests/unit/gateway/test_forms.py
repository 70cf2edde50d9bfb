"""Forms and spans as pure functions: whatever is typed, the answer is a section, or a complaint beside a field."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from services.core.config.policy import PreferencesSection
from services.core.sharing_fields import FIELDS
from services.gateway.pages import events, history, preference_forms, sharing
from services.gateway.pages.lengths import iso

WORDS = ("", "always", "ask", "pledge", "limit", "minimize", "PT1H", "22:00", "24:00", "1e400", "-1", "nan", "decline")
TYPED = st.one_of(st.sampled_from(WORDS), st.text())
ZONE = ZoneInfo("Europe/Paris")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@given(st.dictionaries(st.sampled_from(sorted(preference_forms.ANSWERING | preference_forms.BATTERY)), TYPED))
def test_whatever_is_typed_is_a_section_or_a_complaint(typed: dict[str, str]) -> None:
    for read in (preference_forms.answering, preference_forms.battery):
        section, errors = read(typed)
        assert (section is None) == bool(errors)
        assert set(errors) <= {*preference_forms.WRONG, "form"}


@given(st.dictionaries(st.sampled_from(sorted(events.FIELDS)), TYPED))
def test_whatever_is_typed_for_an_event_is_a_command_or_a_complaint(typed: dict[str, str]) -> None:
    kept, values, errors = events.read(FormData(typed))
    assert set(errors) <= {*events.WRONG, "form"}
    assert errors or values["goal"]["kind"] == kept["goal"]


def test_what_a_form_shows_is_what_it_saves() -> None:
    chosen = PreferencesSection.model_validate(
        {
            "participation": "ask", "answer_before": "PT90M", "if_unanswered": "accept", "max_events_per_week": 3,
            "no_event_hours": "22:00-07:00", "quiet_hours": "23:00-05:30", "duration": "PT3H", "backup_reserve_pct": 32.5,
            "goal": {"kind": "limit", "import_w": 120},
        }
    )  # fmt: skip
    answered, wrong = preference_forms.answering(preference_forms.typed_answering(chosen, iso))
    kept, also_wrong = preference_forms.battery(preference_forms.typed_battery(chosen))
    assert (wrong, also_wrong) == ({}, {})
    assert answered is not None
    assert kept is not None
    both = {name: getattr(answered, name) for name in answered.model_fields_set} | {n: getattr(kept, n) for n in kept.model_fields_set}
    assert chosen.model_copy(update=both) == chosen


def test_switches_are_what_differs_from_the_level() -> None:
    every = frozenset(one.name for one in FIELDS)
    assert sharing.switches_of(frozenset(one.name for one in FIELDS if one.default_on)) == {}
    assert sharing.switches_of(every - {"event.capacity_wh"}) == {"event.capacity_wh": False}


@pytest.mark.parametrize(
    ("quick", "first", "last", "length"),
    [
        (None, "", "", timedelta(days=1)),
        ("week", "", "", timedelta(days=7)),
        ("century", "", "", timedelta(days=1)),
        (None, "2026-10-25", "2026-10-25", timedelta(hours=25)),
        (None, "2026-11-28", "2026-11-28", timedelta(hours=13)),
    ],
)
def test_a_span_is_local_days_and_ends_now(quick: str | None, first: str, last: str, length: timedelta) -> None:
    span = history.span_of(quick, first, last, NOW, ZONE)
    assert span.errors == {}
    assert span.end.astimezone(UTC) - span.start.astimezone(UTC) == length


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_span_raises(first: str, last: str) -> None:
    span = history.span_of(None, first, last, NOW, ZONE)
    assert span.start < span.end
