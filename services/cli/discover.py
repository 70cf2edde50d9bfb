"""`sps discover`: find the devices that a station can be made of, and write a draft of its file."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import FAILED, OK, WRONG_USAGE, fail

if TYPE_CHECKING:
    from services.cli.discovery.found import Finding, Outcome

DEFAULT_SECONDS = 8.0
_GRACE_S = 5.0
"""What a technique may take over its time before it is given up."""
EPILOG_FOUND = "Exit codes: 0 something was found, 1 nothing was found or the draft cannot be written, 2 wrong usage."


def discover(
    seconds: Annotated[float, typer.Option(min=1, max=120, help="How long to look.")] = DEFAULT_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    draft: Annotated[Path | None, typer.Option("--draft", metavar="FILE", help="Write a draft of a station file there.")] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing: the draft marks what you have to fill in.")] = False,
    only: Annotated[list[str] | None, typer.Option(metavar="WAY", help="Only mdns, kasa, ble or i2c; may be repeated.")] = None,
    interface: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="mDNS: this address of this machine alone.")] = None,
    broadcast: Annotated[list[str] | None, typer.Option(metavar="ADDRESS", help="Kasa: ask there instead, as host or host:port.")] = None,
    ble_adapter: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Bluetooth: an emulated adapter.")] = None,
    i2c: Annotated[list[str] | None, typer.Option(metavar="BUS", help="I²C: this bus alone; tcp:host:port is a simulated one.")] = None,
) -> None:
    """Find Bluetti, Shelly and Kasa devices and INA260 sensors. Run it on the host: announcements do not cross a container's network.

    Example: sps discover

    Example: sps discover --draft my-station.yaml
    """
    from services.cli.discovery import ble, kasa, mdns
    from services.cli.discovery import i2c as i2c_bus
    from services.cli.discovery.found import fold

    if draft is not None and draft.exists():
        fail(f"{draft} exists already; name another file, or move it away", WRONG_USAGE)
    searches: dict[str, Callable[[], Awaitable[Outcome]]] = {
        "mdns": lambda: mdns.search(seconds, interface),
        "kasa": lambda: kasa.search(seconds, [_address(text) for text in broadcast]) if broadcast else kasa.search(seconds),
        "ble": lambda: ble.search(seconds, ble_adapter),
        "i2c": lambda: i2c_bus.search(seconds, i2c),
    }
    for way in only or ():
        if way not in searches:
            fail(f"there is no way '{way}'; choose from {', '.join(searches)}", WRONG_USAGE)
    outcomes = asyncio.run(_search({way: search() for way, search in searches.items() if not only or way in only}, seconds))
    found = fold(outcomes)
    if as_json:
        _print_json(found, outcomes)
    else:
        _print_table(found, outcomes)
    if draft is not None:
        _write_draft(draft, found, ask=not no_input and sys.stdin.isatty())
    raise typer.Exit(OK if found else FAILED)


def _address(text: str) -> tuple[str, int]:
    from services.cli.discovery.kasa import PORT

    host, _, port = text.partition(":")
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        fail(f"--broadcast: {text!r}; use a host, or host:port", WRONG_USAGE)
    return host, int(port or PORT)


async def _search(searches: "dict[str, Awaitable[Outcome]]", seconds: float) -> "list[Outcome]":
    """All at once, each bounded, with a bar on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    async def bounded(way: str, search: "Awaitable[Outcome]") -> "Outcome":
        from services.cli.discovery.found import Outcome

        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                return await search
        except TimeoutError:
            return Outcome(way, problem=f"did not end within {seconds + _GRACE_S:g} s")
        except Exception as error:  # noqa: BLE001 - one way that fails, such as an adapter in disorder, must not hide what the others found
            return Outcome(way, problem=f"failed: {type(error).__name__}{f' ({error})' if str(error) else ''}")

    tasks = [asyncio.ensure_future(bounded(way, search)) for way, search in searches.items()]
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        looking = bar.add_task("looking", total=seconds)
        while not all(task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=0.2)
            bar.advance(looking, 0.2)
    return [task.result() for task in tasks]


def _print_json(found: "list[Finding]", outcomes: "list[Outcome]") -> None:
    import json

    problems = {outcome.technique: outcome.problem for outcome in outcomes if outcome.problem}
    typer.echo(json.dumps({"devices": [asdict(finding) for finding in found], "problems": problems}, indent=2))


def _print_table(found: "list[Finding]", outcomes: "list[Outcome]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("device", "name", "model", "driver", "address", "found by", "note")
    for number, device in enumerate(found, 1):
        table.add_row(
            f"{number} {device.kind}",
            device.name,
            device.model,
            device.driver or "none",
            device.address,
            ", ".join(device.found_by),
            device.note,
        )
    # Off a terminal nothing is cut: who pipes it wants the addresses.
    Console(width=None if sys.stdout.isatty() else 200).print(table if found else "no device was found")
    for outcome in outcomes:
        if outcome.problem:
            typer.echo(f"{outcome.technique}: {outcome.problem}", err=True)


def _write_draft(file: Path, found: "list[Finding]", *, ask: bool) -> None:
    from services.cli.discovery.ask import ask_choices
    from services.cli.discovery.draft import Choices, draft, is_complete
    from services.cli.discovery.found import Kind
    from services.cli.discovery.zone import machine_timezone

    stations = [device for device in found if device.kind is Kind.STATION]
    sensors = [device for device in found if device.kind is Kind.SENSOR]
    # Where there is but one there is nothing to ask; which relay sits where nobody can see from here.
    known = Choices(
        timezone=machine_timezone(os.environ.get("TZ")),
        battery=stations[0] if len(stations) == 1 else None,
        panel=sensors[0] if len(sensors) == 1 else None,
    )
    choices = ask_choices(found, known) if ask else known
    text = draft(choices, [device for device in found if device.kind is Kind.RELAY])
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}")
    left = "check it with: sps check-config" if is_complete(text) else "fill in what says FILL-IN, then: sps check-config"
    typer.echo(f"wrote {file}; {left} {file}", err=True)
