"""A station's settings and hand-made snapshots."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.controller.model import Settings, Snapshot
from services.core.config.load import parse_station
from services.core.events import Event, EventStatus
from services.core.goals import Goal, GoalKind, Method
from services.core.readings import BatteryReading, Observed, PowerReading, RelayState

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
STATION = parse_station((Path(__file__).parents[3] / "config" / "station.yaml").read_text(encoding="utf-8"))
SETTINGS = Settings.of(STATION)


def fresh(value):
    return Observed(value, 0.0)


def snapshot(*, load_w=200.0, p1_on=True, p2_on=False, soc_pct=80.0, ac_output_on=True, charge_w=0.0, grid_v=230.0, **changes):
    """Everything fresh and well, unless told otherwise."""
    whole = Snapshot(
        monotonic_s=1000.0,
        preferences=STATION.preferences.preferences(),
        p1=fresh(PowerReading(load_w if p1_on else 0.0, grid_v)),
        p2=fresh(PowerReading(charge_w, grid_v)),
        p3=fresh(PowerReading(0.0 if p1_on else load_w)),
        p4=fresh(PowerReading(0.0)),
        battery=fresh(BatteryReading(soc_pct=soc_pct, ac_output_on=ac_output_on, eco_mode=False)),
        p1_relay=fresh(RelayState(p1_on)),
        p2_relay=fresh(RelayState(p2_on)),
    )
    return replace(whole, **changes)


def an_event(*, start=NOW, hours=4.0, goal=None, status=EventStatus.ONGOING, event_id="e1"):
    return Event(
        id=event_id,
        revision=0,
        start=start,
        end=start + timedelta(hours=hours),
        goal=goal or Goal(GoalKind.MINIMIZE),
        methods=(Method.REPLACEMENT,),
        priority=0,
        status=status,
    )


@pytest.fixture
def settings():
    return SETTINGS
