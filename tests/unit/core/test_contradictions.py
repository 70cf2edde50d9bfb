"""Preferences that contradict each other are told at once, and both fields are named."""

import pytest

from services.core.config.load import ConfigError, parse_station
from tests.support.sps import SHIPPED

TEXT = SHIPPED.read_text(encoding="utf-8")
RATES = "tariff: {rates: [{price_per_kwh: 0.1, hours: '23:00-05:00'}, {price_per_kwh: 0.3}]}"


def station(*, normal: str = "", preferences: str = ""):
    text = TEXT
    for section, lines in (("normal:", normal), ("preferences:", preferences)):
        head = next(line for line in text.splitlines() if line.startswith(section))
        fields = [line.split(":")[0].strip() for line in lines.split("\n") if line]
        kept = [line for line in text.splitlines() if not any(line.startswith(f"  {field}:") for field in fields)]
        text = "\n".join(kept).replace(head, "\n".join([head, *(f"  {line}" for line in lines.split("\n") if line)]), 1)
    return parse_station(text)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"preferences": "backup_reserve_pct: 90"}, ("preferences.backup_reserve_pct (90)", "normal.charge_to_pct (90)")),
        ({"preferences": "backup_reserve_pct: 100"}, ("preferences.backup_reserve_pct", "preferences.participation (always)")),
        ({"preferences": "participation: ask"}, ("preferences.participation (ask)", "preferences.answer_before (not set)")),
        (
            {"preferences": 'quiet_hours: "00:00-18:00"'},
            ("preferences.quiet_hours (00:00-18:00)", "normal.charge_at to normal.discharge_at (01:00-17:00)"),
        ),
        ({"preferences": 'no_event_hours: "06:00-04:00"'}, ("preferences.no_event_hours", "preferences.duration")),
        ({"normal": "policy: time_of_use"}, ("normal.policy (time_of_use)", "normal.tariff (not set)")),
        ({"normal": f"policy: time_of_use\n{RATES}"}, ("normal.policy (time_of_use)", "normal.wear (not set)")),
        (
            {"normal": f"policy: time_of_use\n{RATES}\nwear: {{price: 700}}", "preferences": 'quiet_hours: "22:00-06:00"'},
            ("preferences.quiet_hours (22:00-06:00)", "normal.tariff.rates (23:00-05:00)"),
        ),
        (
            {"normal": "policy: time_of_use\ntariff: {rates: [{price_per_kwh: 0.1}]}\nwear: {price: 700}"},
            ("normal.policy (time_of_use)", "normal.tariff.rates (one price)"),
        ),
        ({"normal": "discharge_to_pct: 95"}, ("discharge_to_pct", "charge_to_pct")),
        ({"preferences": "goal: {kind: limit, reduction_w: 150}"}, ("'limit'", "reduction_w")),
    ],
)
def test_both_fields_are_named(changes, fields):
    with pytest.raises(ConfigError) as refused:
        station(**changes)
    for field in fields:
        assert field in str(refused.value)


def test_self_consumption_without_a_panel_is_refused():
    text = TEXT.replace("policy: cycle", "policy: self_consumption", 1)
    begin, end = text.index("  p4:"), text.index("transfer_switch:")
    with pytest.raises(ConfigError, match=r"normal\.policy \(self_consumption\) and positions\.p4 \(not set\)"):
        parse_station(text[:begin] + text[end:])


@pytest.mark.parametrize(
    "changes",
    [
        {"preferences": 'quiet_hours: "22:00-07:00"\nno_event_hours: "22:00-07:00"\nmax_events_per_week: 3'},
        {"preferences": "participation: ask\nanswer_before: PT2H\nif_unanswered: accept"},
        {"normal": f"policy: time_of_use\n{RATES}\nwear: {{price: 700}}"},
        {"normal": "policy: standby", "preferences": "backup_reserve_pct: 90"},
        {"normal": "policy: self_consumption", "preferences": "backup_reserve_pct: 95"},
    ],
)
def test_what_can_be_meant_is_accepted(changes):
    station(**changes)
