"""Asks a person what no search can see: which relay sits where, and what the data sheet says."""

from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import available_timezones

import typer

from services.cli.discovery.draft import SIZES, Choices, Placed
from services.cli.discovery.found import Finding, Kind

_QUESTIONS = {
    "p1": "Which relay feeds the load from the grid (P1)?",
    "p2": "Which relay feeds the power station's charger (P2)?",
    "p3": "Which relay sits between power station and load (P3), if any?",
}


def ask_choices(found: Sequence[Finding], known: Choices) -> Choices:
    """`known`, completed by prompts. Enter leaves a question open, and the draft marks it."""
    typer.echo("`sps relay identify ADDRESS` clicks a relay, to tell them apart. Enter leaves a question open.", err=True)
    relays: dict[str, Placed] = {}
    candidates = [device for device in found if device.kind is Kind.RELAY and device.driver]
    for position, question in _QUESTIONS.items():
        taken = {(placed.finding, placed.channel) for placed in relays.values()}
        free = [(device, channel) for device in candidates for channel in range(device.channels) if (device, channel) not in taken]
        names = [f"{d.name} at {d.address}{f', channel {channel}' if d.channels > 1 else ''}" for d, channel in free]
        if (chosen := _choose(question, names)) is not None:
            relays[position] = Placed(*free[chosen])
    stations = [device for device in found if device.kind is Kind.STATION]
    battery = known.battery
    if battery is None and (picked := _choose("Which is the power station?", [device.name for device in stations])) is not None:
        battery = stations[picked]
    sizes = SIZES.get(battery.model, (None, None, None)) if battery else (None, None, None)
    return replace(
        known,
        name=typer.prompt("The station's name", default=known.name, err=True),
        timezone=_timezone(known.timezone),
        relays=relays,
        battery=battery,
        capacity_wh=_number("Its capacity in Wh", sizes[0]),
        inverter_w=_number("Its AC output's continuous rating in W", sizes[1]),
        charge_w=_number("What it draws while charging, in W", sizes[2]),
        panel_at_station=known.panel is None and typer.confirm("Is there a solar panel at the power station?", default=False, err=True),
    )


def _choose(question: str, names: Sequence[str]) -> int | None:
    """The index of the chosen name; None for none."""
    if not names:
        return None
    for number, name in enumerate(names, 1):
        typer.echo(f"  {number}  {name}", err=True)
    while True:
        answer = typer.prompt(question, default="", show_default=False, err=True).strip()
        if not answer:
            return None
        if answer.isdigit() and 1 <= int(answer) <= len(names):
            return int(answer) - 1
        typer.echo(f"give a number from 1 to {len(names)}", err=True)


def _number(question: str, known: float | None) -> float | None:
    while True:
        answer = typer.prompt(question, default="" if known is None else f"{known:g}", show_default=known is not None, err=True).strip()
        if not answer:
            return None
        try:
            value = float(answer)
        except ValueError:
            value = 0.0
        if 0.0 < value <= 100_000.0:
            return value
        typer.echo("give a number above 0", err=True)


def _timezone(proposed: str | None) -> str | None:
    question = "Your time zone, such as America/New_York"
    while True:
        answer: str = typer.prompt(question, default=proposed or "", show_default=proposed is not None, err=True).strip()
        if not answer or answer in available_timezones():
            return answer or None
        typer.echo("use an IANA time zone", err=True)
