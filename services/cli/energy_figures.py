"""What `sps energy` tells: gathered from the recorder, and put into words, tables, JSON and CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

from services.cli.exits import fail
from services.cli.recorder_link import ask
from services.cli.spans import midnight
from services.core.energy import Energy
from services.core.energy_account import FLOWS, Account, Period, Store, account, so_far, total

if TYPE_CHECKING:
    from rich.table import Table

    from services.core.config.station import Station

SOC_WITHIN = timedelta(hours=1)
"""So far from either end of the time the state of charge is looked for."""
HEADINGS = {"p1": "P1", "p2": "P2", "p3": "P3", "p4": "P4", "load": "Load", "avoided": "Avoided"}
UNKNOWN_MARK = "-"


@dataclass(frozen=True, slots=True)
class Figures:
    """A span of local days, in steps and as a whole."""

    station: str
    timezone: str
    by: str
    currency: str
    steps: list[Period]
    whole: Account
    until: datetime
    open: bool
    """The span is not over."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        whole = self.whole
        battery = {
            name: _valued(getattr(whole, name), places)
            for name, places in (("grid_charged", 1), ("pv_used", 1), ("given", 1), ("avoided", 1), ("cycles", 3), ("wear", 4))
        }
        return {
            "station": self.station,
            "timezone": self.timezone,
            "by": self.by,
            "until": self.until.isoformat(),
            "open": self.open,
            "units": {"energy": "Wh", "wear": self.currency or "money", "covered": "share, 0 to 1"},
            "steps": [_dict(one) for one in self.steps],
            "total": _dict(whole.period),
            "battery": {
                **battery,
                "stored_wh": None if whole.stored_wh is None else round(whole.stored_wh, 1),
                "round_trip": None if whole.round_trip is None else round(whole.round_trip, 4),
                "round_trip_note": whole.round_trip_note,
            },
        }

    def as_csv(self) -> str:
        """A line a step; an empty cell is unknown."""
        columns = ["start", "end", *(part for flow in FLOWS for part in (f"{flow}_wh", f"{flow}_covered")), "metered"]
        written = StringIO()
        writer = csv.DictWriter(written, columns, lineterminator="\n")
        writer.writeheader()
        for step in self.steps:
            flows = {f"{flow}_wh": _number(step.flows[flow]) for flow in FLOWS}
            shares = {f"{flow}_covered": round(step.flows[flow].covered, 4) for flow in FLOWS}
            span = {"start": step.start.isoformat(), "end": step.end.isoformat()}
            writer.writerow({**span, **flows, **shares, "metered": round(step.metered, 4)})
        return written.getvalue().rstrip("\n")


def gather(station: "Station", base: str, first: date, last: date, by: str, until: datetime) -> Figures:
    """Ask the recorder for the local days `first` to `last`, both included. Ends the command if there is nothing yet."""
    zone = station.zone
    until = until.astimezone(zone)
    start, end = midnight(first, zone), midnight(last + timedelta(days=1), zone)
    span = {"start": start.isoformat(), "end": end.isoformat()}
    days = [_period(one, zone) for one in ask(f"{base}/api/energy", by="day", **span)]
    steps = days if by == "day" else [_period(one, zone) for one in ask(f"{base}/api/energy", by=by, **span)]
    if by == "month":
        # A month asked for in part is a part of it: its days within the span.
        steps = [total(part) for part in _by_month(days)]
    begun = [found for one in steps if (found := so_far(one, until)) is not None]
    whole = [found for one in days if (found := so_far(one, until)) is not None]
    if not begun or not whole:
        fail(f"{first} has not begun yet by the station's clock ({until:%Y-%m-%d %H:%M})")
    battery = station.battery
    store = Store(
        battery.capacity_wh,
        battery.charge_efficiency,
        battery.discharge_efficiency,
        battery.cycle_life,
        battery.price,
        has_pv=station.positions.p4 is not None,
    )
    soc = (_soc(base, start, first=True), _soc(base, min(end, until), first=False))
    rules = station.programme.rules
    currency = rules.rates.currency if rules is not None and rules.rates is not None else ""
    return Figures(station.station, zone.key, by, currency, begun, account(total(whole), store, soc), until, open=end > until)


def _by_month(days: Sequence[Period]) -> list[list[Period]]:
    months: dict[tuple[int, int], list[Period]] = {}
    for one in days:
        months.setdefault((one.start.year, one.start.month), []).append(one)
    return list(months.values())


def _period(one: dict[str, Any], zone: Any) -> Period:
    flows = {name: Energy(one[f"{name}_wh"], one["covered"][name]) for name in FLOWS}
    start, end = (datetime.fromisoformat(one[name]).astimezone(zone) for name in ("start", "end"))
    return Period(start, end, flows, one["covered"]["metered"])


def _soc(base: str, at: datetime, *, first: bool) -> float | None:
    """The state of charge about `at`: the first known after it, or the last known before it; the power station's word before ours."""
    start, end = (at, at + SOC_WITHIN) if first else (at - SOC_WITHIN, at)
    found = ask(f"{base}/api/series", names="soc_pct,estimate_pct", start=start.isoformat(), end=end.isoformat(), step_s="60")["series"]
    for name in ("soc_pct", "estimate_pct"):
        known = [value for value in found[name] if value is not None]
        if known:
            return float(known[0 if first else -1])
    return None


def table(found: Figures) -> "Table":
    """The steps and their sum."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    made.add_column({"hour": "Hour", "day": "Day", "month": "Month"}[found.by], no_wrap=True)
    for heading in HEADINGS.values():
        made.add_column(f"{heading}\nWh", justify="right", no_wrap=True)
    made.add_column("Covered\n%", justify="right", no_wrap=True)
    for step in found.steps:
        known = any(one.energy_wh is not None for one in step.flows.values())
        made.add_row(_label(step, found.by), *_cells(step), style=None if known else "dim")
    made.add_section()
    made.add_row("total", *_cells(found.whole.period), style="bold")
    return made


def _label(step: Period, by: str) -> str:
    return f"{step.start:{ {'hour': '%d %b %H:%M', 'day': '%a %d %b', 'month': '%Y-%m'}[by] }}"


def _cells(step: Period) -> list[str]:
    return [*(figure(step.flows[name], step.metered) for name in HEADINGS), percent(step.metered)]


def figure(energy: Energy, usual: float | None = None, places: int = 0, unit: str = "") -> str:
    """A figure with the share of time that it covers beside it, left out where that is `usual`, which is told elsewhere."""
    if energy.energy_wh is None:
        return UNKNOWN_MARK
    text = f"{energy.energy_wh:.{places}f}{unit}"
    told = usual is not None and abs(energy.covered - usual) < 0.0005
    return text if told else f"{text} ({percent(energy.covered)} %)"


def percent(share: float) -> str:
    """A share for people, rounded down: 100 means all of it."""
    return "100" if share >= 1 else f"{int(share * 1000) / 10:g}"


def lines(found: Figures) -> list[str]:
    """What the span says of the battery, in words."""
    whole = found.whole
    said = [
        f"Charged from the grid: {figure(whole.grid_charged, unit=' Wh')}",
        f"PV used: {figure(whole.pv_used, unit=' Wh')}",
        f"Given to the load: {figure(whole.given, unit=' Wh')}",
        f"Avoided (P3 - P2): {figure(whole.avoided, unit=' Wh')}",
    ]
    if whole.round_trip is None:
        said.append(f"Round-trip efficiency: not told, {whole.round_trip_note}")
    else:
        said.append(f"Round-trip efficiency: {whole.round_trip:.1%}, with {whole.stored_wh:+.0f} Wh in store from start to end")
    said.append(f"Full cycles: {figure(whole.cycles, places=2)}")
    if whole.wear.energy_wh is None:
        said.append("Wear: not reckoned while battery.price is not set in the station file, or nothing is known of P3")
    else:
        said.append(f"Wear: {figure(whole.wear, places=2, unit=f' {found.currency}'.rstrip())}, by battery.price and battery.cycle_life")
    if found.open:
        said.append(f"So far: up to {found.until:%Y-%m-%d %H:%M}")
    return said


def _number(energy: Energy) -> float | None:
    return None if energy.energy_wh is None else round(energy.energy_wh, 1) + 0.0


def _valued(energy: Energy, places: int) -> dict[str, float | None]:
    return {"value": None if energy.energy_wh is None else round(energy.energy_wh, places) + 0.0, "covered": round(energy.covered, 4)}


def _dict(one: Period) -> dict[str, Any]:
    flows = {f"{name}_wh": _number(one.flows[name]) for name in FLOWS}
    covered = {name: round(one.flows[name].covered, 4) for name in FLOWS} | {"metered": round(one.metered, 4)}
    return {"start": one.start.isoformat(), "end": one.end.isoformat(), **flows, "covered": covered}
