"""`sps station learn`: what the recorded weeks tell of the power station itself."""

import json
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import EPILOG, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station, recorder_headers

if TYPE_CHECKING:
    from rich.table import Table

    from services.core.battery import Battery
    from services.core.config.station import Station
    from services.core.learn import Interval, Learned

app = typer.Typer(help="Get to know the power station.", epilog=EPILOG, no_args_is_help=True)

TIMEOUT_S = 60.0
STEP_S = 300
MOST_DAYS = 62


@app.callback()
def station() -> None:
    """Get to know the power station."""


@app.command(epilog=EPILOG)
def learn(
    days: Annotated[int, typer.Option(min=1, max=MOST_DAYS, help="How far to look back.")] = 28,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """Estimate capacity, efficiencies, idle draw and charge curve from the recorded readings, each with a 90 % interval.

    Example: sps station learn

    Example: sps station learn --days 56 --json
    """
    from services.cli.recorder_link import base_of
    from services.core.learn import TooShort
    from services.core.learn import learn as learn_from

    made = load_station(config)
    stated = _stated(made)
    answer = _ask(base_of(made), days)
    try:
        found = learn_from(_rows(answer, panel=made.positions.p4 is not None), answer["step_s"], stated)
    except TooShort as short:
        fail(str(short))
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=2))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(f"From {found.days:.1f} days of readings out of the last {days}:")
    console.print(table(found, stated))
    console.print(
        "What can be drawn and the round trip are measured. The other three also rest on the stated charge efficiency:"
        " meters alone cannot tell a large battery that wastes from a small one that does not."
    )
    if found.curve:
        console.print(curve(found))


def _stated(made: "Station") -> "Battery":
    from services.core.battery import Battery

    box = made.battery
    return Battery(
        capacity_wh=box.capacity_wh,
        floor_pct=box.floor_pct,
        inverter_w=box.inverter_w,
        charge_w=box.charge_w,
        idle_w=box.idle_w,
        discharge_efficiency=box.discharge_efficiency,
        charge_efficiency=box.charge_efficiency,
    )


def _ask(base: str, days: int) -> Any:
    """The recorded means, up to where they are on disk; ends the command with one line if there is no answer."""
    import requests

    try:
        health = requests.get(f"{base}/healthz", timeout=TIMEOUT_S).json()
        until = health["committed_until"]
        if until is None:
            fail("the recorder has no readings yet; let the station run for a week or more")
        query = {"names": "p2_w,p3_w,p4_w,soc_pct", "step_s": str(STEP_S), "end": until}
        query["start"] = (datetime.fromisoformat(until) - timedelta(days=days)).isoformat()
        answer = requests.get(f"{base}/api/series", params=query, headers=recorder_headers(), timeout=TIMEOUT_S)
        body = answer.json()
    except requests.ConnectionError:
        fail(f"the recorder does not answer at {base}; start the station with `sps run`, or name its file with --config")
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        fail(f"the recorder did not answer sensibly at {base}: {error}")
    if not answer.ok:
        fail(f"the recorder refused: {body.get('detail', body) if isinstance(body, dict) else body}")
    return body


def _rows(answer: dict[str, Any], *, panel: bool) -> list[Any]:
    from services.core.learn import Row

    series = answer["series"]
    p4_w = series["p4_w"] if panel else [0.0] * len(series["p2_w"])
    return [Row(*values) for values in zip(series["p2_w"], series["p3_w"], p4_w, series["soc_pct"], strict=True)]


def table(found: "Learned", stated: "Battery") -> "Table":
    """The figures beside what the station file states."""
    from rich.table import Table

    made = Table()
    for heading in ("Figure", "Learnt", "90 % interval", "Stated"):
        made.add_column(heading, justify="left" if heading == "Figure" else "right", no_wrap=True)
    stated_wh = stated.capacity_wh * stated.discharge_efficiency
    stated_trip = stated.charge_efficiency * stated.discharge_efficiency
    made.add_row("the load can draw, full to empty", *_cells(found.deliverable_wh, stated_wh, "{:.0f} Wh"))
    made.add_row("round trip, P2 to P3", *_cells(found.round_trip, stated_trip, "{:.3f}"))
    made.add_row("battery.capacity_wh", *_cells(found.capacity_wh, stated.capacity_wh, "{:.0f} Wh"))
    made.add_row("battery.charge_efficiency", *_cells(found.charge_efficiency, stated.charge_efficiency, "{:.3f}"))
    made.add_row("battery.discharge_efficiency", *_cells(found.discharge_efficiency, stated.discharge_efficiency, "{:.3f}"))
    made.add_row("battery.idle_w", *_cells(found.idle_w, stated.idle_w, "{:.1f} W"))
    return made


def _cells(interval: "Interval", stated: float, form: str) -> tuple[str, str, str]:
    low, high = form.partition(" ")[0].format(interval.low), form.format(interval.high)
    return form.format(interval.value), f"{low} to {high}", form.format(stated)


def curve(found: "Learned") -> "Table":
    """The charging power by state of charge."""
    from rich.table import Table

    made = Table(title="Charging from the grid")
    for heading in ("State of charge", "Mean", "Nine readings in ten"):
        made.add_column(heading, justify="right", no_wrap=True)
    for point in found.curve:
        power = point.power_w
        made.add_row(f"{point.from_pct:.0f} to {point.to_pct:.0f} %", f"{power.value:.0f} W", f"{power.low:.0f} to {power.high:.0f} W")
    return made
