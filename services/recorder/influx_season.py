"""What the months of a programme's season came to, as points of InfluxDB. All money is notional: a plug is not the utility's meter."""

from collections.abc import Iterator
from datetime import date, datetime

from services.core.config.station import Station
from services.core.money import Period, SettledEvent, months
from services.core.programme import Programme
from services.recorder import reckoning
from services.recorder.history import History
from services.recorder.influx_hours import BatteryScale
from services.recorder.influx_states import line

ENDED = ("completed", "cancelled", "opted_out", "ongoing")
_SUMS = (
    "avoided_wh",
    "reduction_wh",
    "estimate_wh",
    "given_wh",
    "factor",
    "reservation",
    "performance",
    "paid",
    "wear",
    "events",
    "unknown",
)


def lines(station: Station, history: History, now: datetime) -> Iterator[str]:
    """The months of this season and the last one. Precision: milliseconds. Blocks. Raises JournalError, ConfigError."""
    programme = reckoning.programme_of(station)
    today = now.astimezone(station.zone).date()
    settled, pledge_w = _settled(station, history)
    pledge_w = pledge_w if station.programme.pledge_w is None else station.programme.pledge_w
    wear = BatteryScale.of(station).wear_per_wh
    for first, last in _seasons(programme, today):
        own = [event for event in settled if first <= event.day <= last]
        for month in months(own, (first, last), today, programme, pledge_w, wear):
            if (found := _point(month, first, station, programme)) is not None:
                yield found


def _seasons(programme: Programme, today: date) -> list[tuple[date, date]]:
    years = (today.year - 1, today.year)
    spans = [programme.season.span(year) if programme.season else (date(year, 1, 1), date(year, 12, 31)) for year in years]
    return [span for span in spans if span[0] <= today]


def _point(month: Period, season: date, station: Station, programme: Programme) -> str | None:
    at = datetime(month.first.year, month.first.month, 1, tzinfo=station.zone)
    fields: dict[str, object] = {name: getattr(month, name) for name in _SUMS}
    fields |= {"season": season.isoformat(), "currency": programme.rates.currency if programme.rates else None}
    fields |= {"programme": programme.name}  # no tag: under another programme it is the same month, which would count twice
    return line("season_month", {"station": station.station}, fields, round(at.timestamp() * 1000))


def _settled(station: Station, history: History) -> tuple[list[SettledEvent], float | None]:
    events: list[SettledEvent] = []
    pledge_w: float | None = None
    for body in history.events():
        if body["status"] not in ENDED or (figures := history.last_state(f"event/{body['id']}/performance")) is None:
            continue
        pledge_w = pledge_w if figures.get("pledge_w") is None else figures["pledge_w"]
        events.append(
            SettledEvent(
                id=body["id"],
                day=datetime.fromisoformat(body["start"]).astimezone(station.zone).date(),
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
    return events, pledge_w
