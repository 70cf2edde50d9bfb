"""Before an event: as late as is safe, as full as the sun allows, and never in the hours that are someone else's."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.controller import upcoming
from services.controller.decide import decide
from services.controller.flags import noted
from services.controller.model import Learned, Memory
from services.core.charge_curve import ChargeCurve
from services.core.event_book import Book
from services.core.events import CHARGED_IN_ADJUSTMENT, EventStatus
from services.core.modes import CHARGES, Mode
from services.core.pv_forecast import PvHour
from services.core.quiet import Span, parse_hours
from tests.unit.controller.conftest import NOW, SETTINGS, STATION, an_event, snapshot

HOUR = timedelta(hours=1)
PREFERENCES = STATION.preferences.preferences()
MEASURED = ChargeCurve(power_w=(700.0,) * 20, seconds=(3600.0,) * 20, wh_per_pct=11.52 / 0.93, wh_spread=0.0)


def ahead(hours, **changes):
    return replace(an_event(start=NOW + timedelta(hours=hours), status=EventStatus.UPCOMING), **changes)


def run(event, *, soc_pct=60.0, memory=None, preferences=PREFERENCES, settings=SETTINGS, now=NOW, **changes):
    seen = snapshot(soc_pct=soc_pct, event=event, preferences=preferences, **changes)
    memory = memory if memory is not None else Memory()
    charging = memory.mode in CHARGES
    if charging:
        seen = replace(snapshot(soc_pct=soc_pct, event=event, preferences=preferences, p2_on=True, charge_w=700.0, **changes))
    return decide(seen, memory, settings, now)


def begins_before_start(memory, *, soc_pct=60.0, settings=SETTINGS, preferences=PREFERENCES):
    """How long before the event the charge begins, to the minute."""
    start = NOW + 12 * HOUR
    event = replace(ahead(0), start=start, end=start + 4 * HOUR)
    for minutes in range(12 * 60, 0, -1):
        now = start - timedelta(minutes=minutes)
        if decide(snapshot(soc_pct=soc_pct, event=event, preferences=preferences), memory, settings, now).mode in CHARGES:
            return minutes
    return 0


NO_ADJUSTMENT = replace(SETTINGS, control=SETTINGS.control.model_copy(update={"adjustment_length": timedelta(0)}))


def test_the_more_was_measured_the_later_the_charge_begins_and_a_spread_brings_it_forward():
    # From 20 %, so that much more than the spare minutes is charged.
    unmeasured = begins_before_start(Memory(), soc_pct=25, settings=NO_ADJUSTMENT)
    flat = Memory(learned=Learned(curve=MEASURED))
    measured = begins_before_start(flat, soc_pct=25, settings=NO_ADJUSTMENT)
    wavering = Memory(learned=Learned(curve=MEASURED._replace(square_w2=(200.0**2,) * 20)))
    spread = begins_before_start(wavering, soc_pct=25, settings=NO_ADJUSTMENT)
    needed = 0.75 * 1152 / 0.93 / 700 * 60
    assert needed < measured < spread
    assert measured < unmeasured
    assert measured < 1.2 * needed


def test_with_little_time_it_charges_at_once():
    assert run(ahead(0.5)).mode is Mode.GRID_AND_CHARGE


def test_with_much_time_it_waits_and_says_until_when():
    decision = run(ahead(6), settings=NO_ADJUSTMENT)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, "waiting_to_charge")
    assert decision.next_change is not None
    assert NOW < decision.next_change < NOW + 6 * HOUR


def test_nothing_is_charged_in_quiet_hours_and_enough_is_charged_before_them():
    # The event starts at 06:00 local, in the middle of them.
    quiet = replace(PREFERENCES, quiet_hours=parse_hours("22:00-07:00"))
    start = NOW.replace(hour=4) + 24 * HOUR
    event = replace(ahead(0), start=start, end=start + 4 * HOUR)
    charged = [
        start - timedelta(minutes=m)
        for m in range(20 * 60, 0, -5)
        if run(event, preferences=quiet, now=start - timedelta(minutes=m)).mode in CHARGES
    ]
    assert charged, "it has to charge before the quiet hours"
    assert all(not parse_hours("22:00-07:00").holds(at, SETTINGS.zone) for at in charged)
    assert charged[-1] >= start - 8 * HOUR - timedelta(minutes=10), "as late as they allow"
    assert upcoming.lead(quiet, SETTINGS) >= start - charged[0], "the event must govern by then"


def test_nothing_is_charged_inside_another_event():
    event = ahead(1)
    busy = (Span(NOW.timestamp() - 60, NOW.timestamp() + 1800),)
    assert run(event).mode in CHARGES
    decision = run(event, busy=busy)
    assert (decision.mode, decision.reason.code) == (Mode.GRID, "busy_before_event")


@pytest.mark.parametrize(("hours", "soc_pct", "code"), [(3, 60, "sparing_adjustment"), (3, 20, "charging_in_adjustment")])
def test_the_adjustment_window_is_spared_where_the_time_after_it_suffices(hours, soc_pct, code):
    # Three hours before the start is in the middle of the two that begin four hours before.
    decision = run(ahead(hours), soc_pct=soc_pct)
    assert decision.reason.code == code


def test_before_the_window_it_charges_what_does_not_fit_after_it():
    event = ahead(4.1)
    assert run(event, soc_pct=20).mode in CHARGES
    assert run(event, soc_pct=90).reason.code == "waiting_to_charge"


def test_charging_in_the_window_flags_the_settlement_once():
    event = ahead(3)
    book = Book().with_event(event)
    decision = run(event, soc_pct=20)
    flagged = noted(book, decision, SETTINGS, NOW)
    assert flagged.events["e1"].flags == (CHARGED_IN_ADJUSTMENT,)
    assert noted(flagged, decision, SETTINGS, NOW) is flagged
    assert noted(book, run(event, soc_pct=99), SETTINGS, NOW) is book
    outside = run(ahead(1), soc_pct=20)
    assert noted(Book().with_event(ahead(1)), outside, SETTINGS, NOW).events["e1"].flags == ()


def test_room_is_left_for_the_sun_that_can_be_relied_upon():
    sunny = Learned(pv_by_hour_wh=(100.0,) * 24)
    changeable = Learned(pv_by_hour_wh=(100.0,) * 24, pv_spread_wh=(90.0,) * 24)
    full = run(ahead(3), soc_pct=80, memory=Memory(learned=sunny))
    assert full.reason.code == "full_for_event"
    assert run(ahead(3), soc_pct=80, memory=Memory(learned=changeable)).reason.code != "full_for_event"
    hour = int(NOW.timestamp()) // 3600
    dark = {hour + i: PvHour(0.0, 0.0) for i in range(24)}
    assert run(ahead(3), soc_pct=80, memory=Memory(learned=sunny), forecast=dark).reason.code != "full_for_event"


def test_a_pending_event_that_will_be_accepted_is_prepared_for():
    decision = run(ahead(0.5, status=EventStatus.PENDING))
    assert (decision.phase, decision.mode) == ("upcoming", Mode.GRID_AND_CHARGE)


def test_a_box_that_needs_long_is_taken_over_earlier():
    huge = replace(SETTINGS, battery=replace(SETTINGS.battery, capacity_wh=4000.0))
    assert upcoming.lead(PREFERENCES, huge) > upcoming.lead(PREFERENCES, SETTINGS)
