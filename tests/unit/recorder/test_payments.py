"""What an event is paid, what is unusual about it, and what late readings change."""

from datetime import UTC, datetime

import pytest

from services.bus.messages.events import EventPerformance
from services.bus.programmes import enrolled, load
from services.core.config.enrolment import Enrolment
from services.recorder import payments, reckoning
from services.recorder.payments import unusual
from tests.unit.recorder.test_reckoning import GAP_S, START, event


@pytest.fixture
def coned(station):
    return enrolled(station.model_copy(update={"programme": Enrolment(name="coned-csrp", pledge_w=100), "timezone": "America/New_York"}))


AT = datetime(2026, 7, 1, 18, tzinfo=UTC)  # a Wednesday, 14:00 in New York


def settled_of(one, baseline, history, station):
    return reckoning.performance(one, baseline, one.end, history, GAP_S, ts=AT, final=True, station=station)


def revised(figures, before):
    return payments.revised(figures, before)


def test_an_event_is_settled_by_its_programme(coned, history, fill) -> None:
    # Ten days of 100 W; in the event's two hours 20 W, and 80 W from the battery: 80 W of 100 W pledged, 0.16 kWh at 1 $.
    fill("2026-06-20T00:00", 11 * 1440 + 18 * 60, lambda i: {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0})
    fill("2026-07-01T18:00", 180, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
    one = event(start=AT)
    baseline = reckoning.baseline(one, AT, coned, history, GAP_S)
    assert (baseline.method, baseline.programme, len(baseline.days)) == ("coned_average_day", "coned-csrp", 5)
    assert "performance_factor" in baseline.recall
    final = settled_of(one, baseline, history, coned)
    assert (final.reduction_wh, final.performance_factor, final.payment, final.currency) == (160.0, 0.8, 0.16, "USD")
    assert (final.given_wh, final.notes, final.revision) == (160.0, (), 0)


def test_what_the_programme_would_not_have_called_is_noted(coned) -> None:
    programme = load("coned-csrp")
    assert unusual(event(start=AT, hours=4), programme, coned) == ()
    winter = unusual(event(start=AT.replace(month=1, day=10, hour=17), hours=6), programme, coned)
    assert [word in " ".join(winter) for word in ("outside of the season", "on weekdays only", "4 h at most", "outside of the hours")] == [
        True
    ] * 4


def test_late_readings_make_a_revision_that_says_what_changed(station, history, fill, journal) -> None:
    fill("2026-06-20T00:00", 11 * 1440 + 14 * 60, lambda i: {"p1_w": 100.0, "p2_w": 0.0, "p3_w": 0.0, "p4_w": 0.0})
    fill("2026-07-01T14:00", 90, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
    baseline = reckoning.baseline(event(), START, station, history, GAP_S)

    def settled():
        return settled_of(event(), baseline, history, station)

    before = settled()
    assert before.reduction_wh is None  # half of the second hour is not known
    assert revised(settled(), before) is None
    fill("2026-07-01T15:30", 60, lambda i: {"p1_w": 20.0, "p2_w": 0.0, "p3_w": 80.0, "p4_w": 0.0})
    revision = revised(settled(), before)
    assert (revision.revision, revision.reduction_wh) == (1, 160.0)
    assert revision.changed[0].startswith("covered ")
    assert "reduction unknown → 160.0 Wh" in revision.changed
    assert revised(settled(), revision) is None


def test_readings_that_were_dropped_with_age_revise_nothing(station, history, fill) -> None:
    whole = EventPerformance.model_validate(
        {"ts": START, "event_id": "e", "final": True, "intervals": [], "avoided_wh": 5, "reduction_wh": 5, "covered": 1.0}
    )
    assert revised(whole.model_copy(update={"covered": 0.2, "avoided_wh": None}), whole) is None
    assert revised(whole.model_copy(update={"avoided_wh": 5.01}), whole) is None  # rounding
