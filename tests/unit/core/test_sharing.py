"""What may leave the house. A stranger's eye goes over whatever left, and looks for what was never allowed to."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.core.consent import ALWAYS, Consent, Grants, Life, changed
from services.core.preferences import SharingLevel
from services.core.sharing import FULL_COLUMNS, AnswerReason, shared, shared_rows
from services.core.sharing_fields import FIELDS, LEVELS, ON_LEVEL, RecordKind
from services.recorder.columns import NAMES

T0 = datetime(2027, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = "SECRET"

switches = st.dictionaries(st.sampled_from([one.name for one in FIELDS]), st.booleans(), max_size=4)
steps = st.tuples(st.integers(0, 200), st.sampled_from(LEVELS), switches, st.booleans())


@st.composite
def lives(draw):
    """Any sequence of choices, at any times."""
    life = Life()
    for minutes, level, switched, share_past in draw(st.lists(steps, max_size=6)):
        life = changed(life, level, switched, T0 + timedelta(minutes=10 * minutes), share_past=share_past)
    return life


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(SECRET) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.just("p1_w") | st.just("start"), inner, max_size=3)
    ),
    max_leaves=12,
)
moments = st.integers(0, 2400).map(lambda minutes: T0 + timedelta(minutes=minutes)).map(lambda t: t.isoformat())
NAMES_IN_USE = [
    *FULL_COLUMNS, "ts", "ts_ms", "id", "revision", "start", "end", "status", "reason", "field", "goal", "methods", "test", "intervals",
    "event", "baseline", "performance", "decisions", "method", "days", "refused", "baseline_wh", "reduction_wh", "avoided_wh", "covered",
    "pledge_w", "performance_factor", "final", "online", "capacity_wh", "power_w", "programme", "network", "notes", "load_wh", "import_wh",
]  # fmt: skip
records = st.dictionaries(
    st.sampled_from(NAMES_IN_USE) | st.text(max_size=6),
    anything | moments | st.dictionaries(st.sampled_from(NAMES_IN_USE), anything | moments, max_size=8),
    max_size=20,
)


@given(st.sampled_from(RecordKind), records, lives())
@settings(max_examples=400)
def test_it_is_total_and_what_leaves_is_plain_json_of_known_names(kind, record, life):
    left = shared(kind, record, Grants.of(life))
    if left is not None:
        json.dumps(left, allow_nan=False)
        assert SECRET not in json.dumps(left), "a text is let through by its form only"
        assert set(left) <= ALLOWED[kind]


ALLOWED: dict[RecordKind, set[str]] = {
    RecordKind.ANSWERS: {"v", "id", "revision", "status", "reason", "field", "ts"},
    RecordKind.EVENT: {
        "id", "revision", "start", "end", "status", "goal", "methods", "test", "baseline_method", "baseline_wh", "reduction_wh",
        "avoided_wh", "pledge_w", "performance_factor", "covered", "intervals", "final", "figures_revision",
    },
    RecordKind.HOURLY: {"start", "p1_wh", "p2_wh", "p3_wh", "p4_wh", "soc_pct", "covered"},
    RecordKind.FULL: {"ts", *FULL_COLUMNS},
    RecordKind.REGISTRATION: {"capacity_wh", "power_w", "pledge_w", "programme"},
    RecordKind.ONLINE: {"v", "online", "ts"},
}  # fmt: skip


def marked(kind: RecordKind, at: datetime) -> dict[str, Any]:
    """A good record about `at` in which each figure stands for its field, with much beside it that is nobody's business."""
    text, end = at.isoformat(), (at + HOUR).isoformat()
    secret = {"address": SECRET, "p1_w": 1, "deep": [{"soc_pct": 2, "secret": SECRET}]}
    if kind is RecordKind.FULL:
        figures = {name: float(number) for number, name in enumerate(FULL_COLUMNS, 1)}
        return {"ts_ms": int(at.timestamp() * 1000), **figures, "p5_w": 7, "wifi": SECRET, "device": secret}
    if kind is RecordKind.HOURLY:
        figures = {"p1_wh": 1, "p2_wh": 2, "p3_wh": 3, "p4_wh": 4, "soc_pct": 5, "covered": 0.6}
        return {"start": text, **figures, "load_wh": 9, "import_wh": 9, "avoided_wh": 9, "who_is_home": SECRET, "more": secret}
    if kind is RecordKind.EVENT:
        goal = {"kind": "pledge", "reduction_w": 150, "secret": SECRET}
        event = {
            "id": "e1",
            "revision": 1,
            "start": text,
            "end": end,
            "status": "ongoing",
            "status_reason": SECRET,
            "test": False,
            "goal": goal,
        }
        interval = {
            "start": text,
            "end": end,
            "baseline_wh": 100,
            "reduction_wh": 40,
            "avoided_wh": 30,
            "covered": 0.9,
            "import_wh": 60,
            "pv_wh": 5,
        }
        performance = {
            "intervals": [{**interval, "secret": secret}], "reduction_wh": 40, "avoided_wh": 30, "covered": 0.9, "performance_factor": 0.8,
            "pledge_w": 50, "final": True, "revision": 2, "notes": [SECRET], "payment": 3, "pv_wh": 5, "given_wh": 5,
        }  # fmt: skip
        baseline = {"method": "mean_of_days", "days": ["2027-06-01"], "refused": [{"day": "2027-06-02", "reason": SECRET}], "note": SECRET}
        return {
            "event": {**event, "methods": ["replacement", SECRET]},
            "baseline": baseline,
            "performance": performance,
            "decisions": [secret],
        }
    if kind is RecordKind.ANSWERS:
        return {
            "id": "e1",
            "revision": 1,
            "status": "ongoing",
            "reason": f"battery at 23 % {SECRET}",
            "field": SECRET,
            "ts": text,
            "soc_pct": 23,
        }
    if kind is RecordKind.REGISTRATION:
        return {"capacity_wh": 1152, "power_w": 1800, "pledge_w": 150, "programme": "coned-csrp", "address": SECRET, "more": secret}
    return {"online": True, "ts": text, "address": SECRET}


CARRIES: dict[RecordKind, dict[str, tuple[str, ...]]] = {
    RecordKind.ANSWERS: {"answers.choice": ("id", "status")},
    RecordKind.EVENT: {
        "event.progress": ("status",),
        "event.terms": ("goal", "methods", "test"),
        "event.baseline": ("baseline_wh", "baseline_method"),
        "event.reduction": ("reduction_wh", "avoided_wh"),
        "event.performance": ("performance_factor", "pledge_w", "covered"),
    },
    RecordKind.HOURLY: {f"hourly.{name}": (name,) for name in ("p1_wh", "p2_wh", "p3_wh", "p4_wh", "soc_pct", "covered")},
    RecordKind.FULL: {f"full.{name}": (name,) for name in FULL_COLUMNS},
    RecordKind.REGISTRATION: {f"event.{name}": (name,) for name in ("capacity_wh", "power_w", "pledge_w", "programme")},
    RecordKind.ONLINE: {"event.online": ("online",)},
}
"""Which field of the person's list stands behind which part of a record."""


def reference_may(life: Life, name: str, at: datetime, kind: RecordKind) -> bool:
    """The rule said a second time, as plainly as can be: step through the whole life and keep what is open."""
    open_from: datetime | None = None
    for consent in life.consents:
        one = ON_LEVEL[name]
        level = {"answers": 0, "event": 1, "hourly": 2, "full": 3}[one.kind.value]
        on = LEVELS.index(consent.level) >= level and consent.switches.get(name, one.default_on)
        if not on:
            open_from = None
        elif consent.share_past:
            open_from = ALWAYS
        elif open_from is None:
            open_from = consent.since
    if open_from is None:
        return False
    return kind is RecordKind.REGISTRATION or kind is RecordKind.ONLINE or at >= open_from


@given(st.sampled_from(RecordKind), st.integers(0, 400), lives())
@settings(max_examples=500)
def test_nothing_outside_the_level_leaves_by_any_record_and_all_inside_does(kind, tens_of_minutes, life):
    at = T0 + timedelta(minutes=10 * tens_of_minutes)
    left = shared(kind, marked(kind, at), Grants.of(life)) or {}
    assert SECRET not in json.dumps(left)
    for name, parts in CARRIES[kind].items():
        may = reference_may(life, name, at, kind)
        for part in parts:
            if not may:
                assert part not in left, f"{part} left although {name} was not shared"
                assert all(part not in one for one in left.get("intervals", ()))
            elif kind is not RecordKind.HOURLY or name != "hourly.covered":
                assert part in left, f"{part} was held back although {name} is shared"


@given(lives(), st.lists(st.integers(0, 400), max_size=8))
def test_rows_go_the_quick_way_and_the_slow_way_alike(life, minutes):
    grants = Grants.of(life)
    columns = ["ts_ms", *NAMES, "secret_w"]
    rows = []
    for number, minute in enumerate(minutes):
        record = marked(RecordKind.FULL, T0 + timedelta(minutes=10 * minute))
        odd = [None, float("nan"), float("inf"), True, "text", {"p1_w": 1}, 10**400][number % 7]
        rows.append([record["ts_ms"], odd, *(record[name] for name in NAMES[1:]), 9])
    slow = [left for row in rows if (left := shared(RecordKind.FULL, dict(zip(columns, row, strict=True)), grants)) is not None]
    assert shared_rows(columns, rows, grants) == slow
    assert shared_rows(columns, [[1], [], ["x"] * len(columns)], grants) == []


def at_level(level: SharingLevel, **more: Any) -> Grants:
    return Grants.of(Life((Consent(T0, level, more),)))


def test_the_journals_columns_and_the_fields_are_the_same_so_that_a_new_column_is_a_choice():
    assert FULL_COLUMNS == NAMES


def test_without_a_choice_nothing_leaves():
    for kind in RecordKind:
        assert shared(kind, marked(kind, T0), Grants.of(Life())) is None


def test_level_none_answers_and_says_no_more():
    none = at_level(SharingLevel.NONE)
    answer = shared(RecordKind.ANSWERS, marked(RecordKind.ANSWERS, T0), none)
    assert answer == {"v": 1, "id": "e1", "revision": 1, "status": "scheduled", "ts": "2027-07-01T00:00:00.000Z"}
    for kind in set(RecordKind) - {RecordKind.ANSWERS}:
        assert shared(kind, marked(kind, T0), none) is None
    done = marked(RecordKind.ANSWERS, T0) | {"status": "completed"}
    assert shared(RecordKind.ANSWERS, done, none) is None
    assert shared(RecordKind.ANSWERS, done, at_level(SharingLevel.NONE, **{"answers.choice": False})) is None


@pytest.mark.parametrize("reason", [*AnswerReason, SECRET, 7, None, ["opted_out"], "battery at 23 %"])
def test_a_reason_is_a_code_or_nothing(reason):
    answer = shared(RecordKind.ANSWERS, marked(RecordKind.ANSWERS, T0) | {"reason": reason}, at_level(SharingLevel.FULL))
    assert answer is not None
    assert answer.get("reason", "") == (reason if reason in list(AnswerReason) else "")


def test_raising_starts_from_now_and_lowering_drops_what_lies_before():
    life = Life()
    for hour, level in ((0, SharingLevel.FULL), (2, SharingLevel.NONE), (4, SharingLevel.FULL)):
        life = changed(life, level, {}, T0 + hour * HOUR)
    grants = Grants.of(life)
    leaves = [shared(RecordKind.FULL, marked(RecordKind.FULL, T0 + hour * HOUR), grants) is not None for hour in range(6)]
    assert leaves == [False, False, False, False, True, True]
    with_past = Grants.of(changed(life, SharingLevel.FULL, {}, T0 + 5 * HOUR, share_past=True))
    assert shared(RecordKind.FULL, marked(RecordKind.FULL, T0 - 1000 * HOUR), with_past) is not None


def test_a_clock_that_was_put_back_opens_nothing():
    life = changed(changed(Life(), SharingLevel.NONE, {}, T0), SharingLevel.FULL, {}, T0 - 100 * HOUR)
    assert shared(RecordKind.FULL, marked(RecordKind.FULL, T0 - HOUR), Grants.of(life)) is None


def test_the_same_choice_again_is_no_change():
    life = changed(Life(), SharingLevel.EVENT, {"event.online": False}, T0)
    assert changed(life, SharingLevel.EVENT, {"event.online": False}, T0 + HOUR) is life
    assert changed(life, SharingLevel.EVENT, {}, T0 + HOUR).epoch == 2


def test_without_figures_nothing_tells_that_an_event_is_over():
    only_terms = {one.name: one.name == "event.terms" for one in FIELDS if one.kind is RecordKind.EVENT}
    grants = Grants.of(Life((Consent(ALWAYS, SharingLevel.EVENT, only_terms, share_past=True),)))
    running = marked(RecordKind.EVENT, T0)
    over = running | {"performance": running["performance"] | {"final": True, "revision": 3}}
    over["event"] = running["event"] | {"status": "completed"}
    assert shared(RecordKind.EVENT, running, grants) == shared(RecordKind.EVENT, over, grants)
