"""What `sps check-config` tells of the policy for normal days, and of what a cycle costs."""

from datetime import UTC, datetime

from services.core.battery import Battery
from services.core.config.policy import NormalPolicy
from services.core.config.station import Station
from services.core.tariff import Tariff, ahead
from services.core.wear import Wear, break_even, wear_per_kwh

SAMPLES = (datetime(2027, 1, 13, 12, tzinfo=UTC), datetime(2027, 1, 16, 12, tzinfo=UTC), datetime(2027, 7, 14, 12, tzinfo=UTC))
"""A winter weekday, a winter Saturday, and a summer weekday."""


def policy_lines(station: Station) -> list[str]:
    """The policy, the preferences that bound it, and its economics."""
    normal, chosen = station.normal, station.preferences
    lines = [f"normal days: policy {normal.policy.value}"]
    if chosen.quiet_hours is not None:
        lines.append(f"  nothing is charged from {chosen.quiet_hours.begin:%H:%M} to {chosen.quiet_hours.end:%H:%M} (quiet_hours)")
    battery = _battery(station)
    wear = normal.wear.wear() if normal.wear is not None else None
    currency = normal.tariff.currency if normal.tariff is not None else ""
    if wear is not None:
        lines.append(
            f"  wear: {wear_per_kwh(wear, battery):.3f} {currency} for each kWh that the battery delivers".replace("  for", " for")
        )
        if normal.policy is NormalPolicy.CYCLE:
            share = max(0.0, normal.charge_to_pct - max(normal.discharge_to_pct, battery.floor_pct, chosen.backup_reserve_pct)) / 100.0
            delivered = share * battery.capacity_wh * battery.discharge_efficiency / 1000.0
            lines.append(
                f"  a daily cycle delivers {delivered:.2f} kWh and wears the battery by {delivered * wear_per_kwh(wear, battery):.3f}"
            )
    if wear is not None and normal.tariff is not None:
        lines += _prices(normal.tariff.tariff(), wear, battery, station)
    return lines


def _prices(tariff: Tariff, wear: Wear, battery: Battery, station: Station) -> list[str]:
    lines = []
    for sample, name in zip(SAMPLES, ("winter weekday", "winter Saturday", "summer weekday"), strict=True):
        spans = ahead(tariff, sample, station.zone)
        cheapest = min(span.price for span in spans)
        worth = break_even(cheapest, wear, battery)
        dear = sorted({span.price for span in spans if span.price > worth})
        verdict = f"discharges at {', '.join(f'{price:g}' for price in dear)}" if dear else "stays idle: no price is above that"
        lines.append(f"  {name}: bought at {cheapest:g}, worth delivering above {worth:.3f} {tariff.currency}".rstrip() + f"; {verdict}")
    return lines


def _battery(station: Station) -> Battery:
    box = station.battery
    return Battery(
        capacity_wh=box.capacity_wh,
        floor_pct=box.floor_pct,
        inverter_w=box.inverter_w,
        charge_w=box.charge_w,
        idle_w=box.idle_w,
        discharge_efficiency=box.discharge_efficiency,
        charge_efficiency=box.charge_efficiency,
    )
