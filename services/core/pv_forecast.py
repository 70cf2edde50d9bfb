"""What the panel will give: by the hours of past days, or by a forecast from outside where there is one. Pure."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite, sqrt
from typing import NamedTuple
from zoneinfo import ZoneInfo

SPREAD_DAYS = 5.0
"""The spread of the profile is smoothed over about so many days, as the profile itself."""
LONGEST_S = 2 * 86400.0
MOST_HOURS = 24 * 16
"""No forecast reaches further than sixteen days."""
MOST_WH = 100_000.0
"""In one hour: above what any portable station takes by far."""


class PvHour(NamedTuple):
    """The PV energy forecast for one hour."""

    wh: float
    low_wh: float
    """What will come nine times in ten."""


Forecast = Mapping[int, PvHour]
"""By hours since the epoch."""


class Expected(NamedTuple):
    """The PV energy to expect over a span."""

    wh: float
    low_wh: float
    """What may be relied upon: in learnt hours the mean less the spread."""


NO_SUN = Expected(0.0, 0.0)


class BadForecast(ValueError):
    """A forecast that cannot be used; says where, what, and what would be right."""


def spread_after(spread_wh: tuple[float, ...], profile_wh: tuple[float, ...], hour: int, hour_wh: float) -> tuple[float, ...]:
    """The spread of the profile once the local hour `hour` of a day has brought `hour_wh`."""
    square = spread_wh[hour] ** 2
    square += ((hour_wh - profile_wh[hour]) ** 2 - square) / SPREAD_DAYS
    return (*spread_wh[:hour], sqrt(square), *spread_wh[hour + 1 :])


def expected(
    profile_wh: tuple[float, ...],
    spread_wh: tuple[float, ...],
    forecast: Forecast | None,
    now: datetime,
    until: datetime,
    zone: ZoneInfo,
) -> Expected:
    """What the panel should give between `now` and `until` (at most two days): the forecast's hours, and the profile for the others."""
    if not forecast and not any(profile_wh):
        return NO_SUN
    at_s = now.timestamp()
    end_s = min(until.timestamp(), at_s + LONGEST_S)
    if at_s >= end_s:
        return NO_SUN
    offset = now.astimezone(zone).utcoffset()
    shift_s = offset.total_seconds() if offset is not None else 0.0
    hour, last, shift_h = int(at_s // 3600), int(end_s // 3600), int(shift_s // 3600)
    wh, low = _hour_wh(profile_wh, spread_wh, forecast, hour, int((at_s + shift_s) // 3600))
    share = (min((hour + 1) * 3600.0, end_s) - at_s) / 3600.0
    wh, low = wh * share, low * share
    for whole in range(hour + 1, last):
        # As in `_hour_wh`, which would cost as much again: every step of a backtest looks hours ahead.
        told = forecast.get(whole) if forecast else None
        if told is not None:
            wh += told.wh
            low += told.low_wh
        else:
            local = (whole + shift_h) % 24
            wh += profile_wh[local]
            if profile_wh[local] > spread_wh[local]:
                low += profile_wh[local] - spread_wh[local]
    if last > hour and end_s > last * 3600.0:
        share = (end_s - last * 3600.0) / 3600.0
        last_wh, last_low = _hour_wh(profile_wh, spread_wh, forecast, last, last + shift_h)
        wh, low = wh + last_wh * share, low + last_low * share
    return Expected(wh, low)


def _hour_wh(
    profile_wh: tuple[float, ...], spread_wh: tuple[float, ...], forecast: Forecast | None, hour: int, local: int
) -> tuple[float, float]:
    """The energy of one hour, and what of it may be relied upon."""
    if forecast and (told := forecast.get(hour)) is not None:
        return told
    return profile_wh[local % 24], max(0.0, profile_wh[local % 24] - spread_wh[local % 24])


def parse(text: str) -> dict[int, PvHour]:
    """A forecast from JSON `{"hours": [{"start": …, "pv_wh": …, "low_wh": …}]}` or CSV with a header `start,pv_wh,low_wh`.

    `start` is RFC 3339, on the hour; `pv_wh` this panel's energy in that hour; `low_wh` may be left out (then it is
    taken as half). Raises BadForecast.
    """
    rows: list[Mapping[str, object]]
    if text.lstrip().startswith("{"):
        try:
            body = json.loads(text)
        except ValueError as error:
            raise BadForecast(f"it is not JSON: {error}") from None
        rows = body.get("hours") if isinstance(body.get("hours"), list) else []
    else:
        rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        raise BadForecast('it names no hours; use {"hours":[{"start":"2026-07-01T10:00:00Z","pv_wh":120}]}, or CSV with start,pv_wh')
    if len(rows) > MOST_HOURS:
        raise BadForecast(f"it names {len(rows)} hours; at most {MOST_HOURS} are read")
    found: dict[int, PvHour] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise BadForecast(f"hour {number}: it is no object with start and pv_wh")
        wh = _energy(row, "pv_wh", number)
        low = wh / 2.0 if row.get("low_wh") in (None, "") else _energy(row, "low_wh", number)
        found[_hour(row.get("start"), number)] = PvHour(wh, min(low, wh))
    return found


def _hour(value: object, number: int) -> int:
    try:
        start = datetime.fromisoformat(str(value))
    except ValueError:
        start = None
    if start is None or start.tzinfo is None or start.minute or start.second:
        raise BadForecast(f"hour {number}: start {str(value)[:40]!r}; use RFC 3339 on the hour, such as 2026-07-01T10:00:00Z")
    return int(start.astimezone(UTC).timestamp() // 3600)


def _energy(row: Mapping[str, object], field: str, number: int) -> float:
    value = row.get(field)
    try:
        energy_wh = float(str(value))
    except ValueError:
        energy_wh = -1.0
    if not isfinite(energy_wh) or not 0.0 <= energy_wh <= MOST_WH:
        raise BadForecast(f"hour {number}: {field} {str(value)[:40]!r}; use watt-hours from 0 to {MOST_WH:.0f}")
    return energy_wh
