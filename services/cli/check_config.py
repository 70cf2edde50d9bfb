"""`sps check-config`: whether the station file is right, and what its hardware allows."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, load_station

if TYPE_CHECKING:
    from services.core.config.station import Station
    from services.core.modes import Hardware


def check_config(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="The station's description.")] = DEFAULT_CONFIG,
) -> None:
    """Check a station file, and say which modes its hardware allows, and why not the others.

    A wrong file is answered with the line, the field, its value and what would be right, one problem a line (exit 2).
    So is hardware that cannot be run; its modes are told all the same. See config/examples for what stations can look like.

    Example: sps check-config

    Example: sps check-config my-station.yaml
    """
    try:
        station = load_station(file)
    except typer.Exit:
        _tell_modes_of_what_cannot_run(file)
        raise
    typer.echo(f"{file} is right: station '{station.station}', {station.timezone}, clock {station.clock}")
    _tell_modes(station.hardware)
    _tell_safety(station)
    _tell_positions(station)
    _tell_policy(station)
    _tell_programme(station)
    if (why := _unwritable(station)) is not None:
        fail(f"positions.p3.switch: {why}", WRONG_USAGE)


def _tell_programme(station: "Station") -> None:
    enrolment = station.programme
    if enrolment.rules is not None:
        pledge = "" if enrolment.pledge_w is None else f", {enrolment.pledge_w:g} W pledged"
        typer.echo(f"  events are settled by '{enrolment.name}': {enrolment.rules.title}{pledge}")
        if enrolment.rules.recall:
            typer.echo(f"  [recall] of its rules stand from memory, verify them: {', '.join(enrolment.rules.recall)}")


def _tell_modes(hardware: "Hardware") -> None:
    from services.core.modes import Mode, refusal

    for mode in Mode:
        why = refusal(mode, hardware)
        name = mode.name.lower().replace("_", " ")
        typer.echo(f"  mode {mode.value}  {name:20} {'possible' if why is None else f'not possible: {why}'}")


def _tell_safety(station: "Station") -> None:
    """What everything falls back to, and which state of each relay carries the dead-man timer."""
    from services.core.positions import Position

    board, relays = station.board, station.positions.relays()
    typer.echo(f"  the safe mode is {board.safe_mode.value}; the load is moved by {board.transfer.value.upper()}")
    for name in station.positions.switched():
        safe = board.safe(Position(name))
        timed = name in relays and relays[name].deadman == "device"
        carries = f"its dead-man timer goes with {_word(not safe)}" if timed else f"it has no dead-man timer: {_word(not safe)} may stay so"
        typer.echo(f"  {name.upper()} is safe {_word(safe)}{f', and boots {_word(safe)}' if name in relays else ''}; {carries}")
    if board.rests_charging:
        typer.echo(
            "  with the load on the grid the battery charges: it sits full, whatever normal.charge_to_pct says; an event is one block,"
        )
        typer.echo("  and after it the grid recharges at once")
    if board.hardware.inverter_first:
        typer.echo("  while the battery rests, P3 is open: nothing stands by for an outage")


def _tell_positions(station: "Station") -> None:
    positions = station.positions
    if positions.output_switched:
        typer.echo("  P3 is switched by the power station's AC output; whoever presses its button is not overruled")
    elif "p3" not in positions.relays():
        typer.echo("  P3 has no relay: the AC output counts as always on")
    if getattr(positions.p1, "address", None) == positions.p2.address:
        typer.echo("  P1 and P2 are channels of one device: it is a single point of failure for both")
    if positions.p4 is None:
        typer.echo("  P4 is left out: no solar panel is measured")
    for name, sensor in positions.ina260s().items():
        typer.echo(f"  {name.upper()} is measured by an INA260 on I²C bus {sensor.bus} at {sensor.address:#04x}")


def _unwritable(station: "Station") -> str | None:
    """Why the power station's model cannot switch its AC output, if it is to."""
    from services.bluetti_bridge.registry import cannot_switch

    try:
        return cannot_switch(station.battery, "ac_output") if station.positions.output_switched else None
    except ValueError as error:
        return str(error)


def _word(on: bool) -> str:
    return "on" if on else "off"


def _tell_policy(station: "Station") -> None:
    from services.cli.check_policy import policy_lines

    for line in policy_lines(station):
        typer.echo(line)


def _tell_modes_of_what_cannot_run(file: Path) -> None:
    """Nothing, unless the file describes hardware that is understood."""
    from services.core.config.load import parse_hardware

    try:
        hardware = parse_hardware(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        hardware = None
    if hardware is not None:
        typer.echo("the modes of the hardware described there:")
        _tell_modes(hardware)
