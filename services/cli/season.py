"""A season or a year of events: by month, what they came to, what they are paid, and what the battery's wear costs against it."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from services.cli.exits import WRONG_USAGE, fail
from services.cli.recorder_link import ask
from services.core.money import Period, SettledEvent, months, wear_per_wh
from services.core.money import season as together

if TYPE_CHECKING:
    from rich.table import Table

    from services.core.config.station import Station
    from services.core.programme import Programme

THIS = "this"
ENDED = ("completed", "cancelled", "opted_out", "ongoing")


@dataclass(frozen=True, slots=True)
class Season:
    """What `sps report --season` tells."""

    programme: "Programme"
    station: str
    first: date
    last: date
    until: date
    events: list[SettledEvent]
    months: list[Period]
    total: Period
    pledge_w: float | None
    currency: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "station": self.station,
            "programme": self.programme.name,
            "recall": list(self.programme.recall),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "until": self.until.isoformat(),
            "currency": self.currency,
            "notional": True,
            "pledge_w": self.pledge_w,
            "events": [_dated(asdict(event)) for event in self.events],
            "months": [_dated(asdict(month)) for month in self.months],
            "total": _dated(asdict(self.total)),
        }

    def notes(self) -> list[str]:
        """What a reader must know."""
        said = ["All money is notional: a plug is not the utility's meter."]
        if self.programme.recall:
            said.append(
                f"[recall] Rules of '{self.programme.name}' that stand from memory; verify them: {', '.join(self.programme.recall)}."
            )
        if self.programme.rates is None:
            said.append(f"Programme '{self.programme.name}' pays nothing; choose yours with 'programme:' in the station file.")
        elif self.programme.rates.reservation_per_kw_month and self.pledge_w is None:
            said.append("No reservation is counted without a pledge: set programme.pledge_w in the station file.")
        if self.total.wear is None:
            said.append("Wear is not reckoned while battery.price is not set in the station file.")
        if self.total.unknown:
            said.append(f"{self.total.unknown} of {self.total.events} events have no known reduction; the totals lack them.")
        return said


def gather(station: "Station", base: str, year: str) -> Season:
    """Ask the recorder for the season that begins in `year`, or for the running one. Ends the command if there is none."""
    programme = station.programme.rules
    if programme is None:  # a station file is always loaded with its programme
        fail(f"programme '{station.programme.name}' has no rules")
    told = ask(f"{base}/healthz")["committed_until"]
    until = datetime.fromisoformat(told).astimezone(station.zone).date() if told else date.today()  # noqa: DTZ011 - only while nothing is recorded
    first, last = _span(programme, year, until)
    if first > until:
        fail(f"the season of {first.year} begins on {first}; name an earlier one with --season", WRONG_USAGE)
    events, pledges = _events(station, base, first, last)
    pledge_w = station.programme.pledge_w if station.programme.pledge_w is not None else next(reversed(pledges), None)
    battery = station.battery
    wear = wear_per_wh(battery.price, battery.cycle_life, battery.capacity_wh, battery.discharge_efficiency) if battery.price else None
    found = months(events, (first, last), until, programme, pledge_w, wear)
    currency = programme.rates.currency if programme.rates else ""
    return Season(programme, station.station, first, last, until, events, found, together(found, events), pledge_w, currency)


def _span(programme: "Programme", year: str, until: date) -> tuple[date, date]:
    if year != THIS and not (year.isdigit() and 2000 <= int(year) < 2200):
        fail(f"--season {year}: use a year such as 2026, or '{THIS}'", WRONG_USAGE)
    chosen = until.year if year == THIS else int(year)
    if programme.season is None:
        return date(chosen, 1, 1), date(chosen, 12, 31)
    first, last = programme.season.span(chosen)
    return programme.season.span(chosen - 1) if year == THIS and first > until else (first, last)


def _events(station: "Station", base: str, first: date, last: date) -> tuple[list[SettledEvent], list[float]]:
    events, pledges = [], []
    for event in ask(f"{base}/api/events"):
        day = datetime.fromisoformat(event["start"]).astimezone(station.zone).date()
        if not first <= day <= last or event["status"] not in ENDED:
            continue
        figures = ask(f"{base}/api/events/{event['id']}/report")["performance"]
        if figures is None:
            continue
        if figures.get("pledge_w") is not None:
            pledges.append(figures["pledge_w"])
        events.append(
            SettledEvent(
                id=event["id"],
                day=day,
                avoided_wh=figures["avoided_wh"],
                pv_wh=figures.get("pv_wh"),
                reduction_wh=figures["reduction_wh"],
                estimate_wh=figures.get("estimate_reduction_wh"),
                given_wh=figures.get("given_wh"),
                factor=figures.get("performance_factor"),
                payment=figures.get("payment"),
                covered=figures["covered"],
            )
        )
    return events, pledges


def table(found: Season) -> "Table":
    """The months and the season."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("Month", "Events", "Battery\nWh", "Reduced\nWh", "Factor", "Paid", "Wear"):
        made.add_column(heading, justify="left" if heading == "Month" else "right", no_wrap=True)
    for month in found.months:
        made.add_row(f"{month.first:%Y-%m}", *_few(month))
    made.add_section()
    made.add_row("season" if found.programme.season else "year", *_few(found.total), style="bold")
    return made


def _few(one: Period) -> list[str]:
    """What fits a terminal; the page, JSON and CSV have it all."""
    events, battery, _, reduced, _, factor, _, _, paid, wear = cells(one)
    return [events, battery, reduced, factor, paid, wear]


def cells(one: Period) -> list[str]:
    """A period's figures, in the order of the headings."""
    return [
        str(one.events),
        *("unknown" if wh is None else f"{wh:.0f}" for wh in (one.avoided_wh, one.pv_wh, one.reduction_wh, one.estimate_wh)),
        "" if one.factor is None else f"{one.factor:.2f}",
        *(f"{money:.2f}" for money in (one.reservation, one.performance, one.paid)),
        "unknown" if one.wear is None else f"{one.wear:.2f}",
    ]


def _dated(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in body.items()}
