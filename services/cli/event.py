"""`sps event`: put an event on the bus by hand, change its fate, and list what there is."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_CONFIG, DEFAULT_VAR, AskedVarOption, ConfigOption, load_station, recorder_headers
from services.core.events import OPEN_STATUSES, BadValue, EventStatus, check_id, parse_start
from services.core.goals import Method
from services.core.preferences import Answer

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from services.bus.messages.events import EventCommand, EventMessage
    from services.cli.event_link import Accepted
    from services.core.config.station import Station

app = typer.Typer(help="Schedule, cancel and list events; opt out and in.", epilog=EPILOG, no_args_is_help=True)

EventId = Annotated[str, typer.Argument(metavar="ID", help="The event's id, as `sps event list` shows it.")]
WaitOption = Annotated[float, typer.Option("--wait", min=1, max=300, metavar="SECONDS", help="How long to wait for the controller.")]
DEFAULT_WAIT_S = 15.0


@app.command(epilog=EPILOG)
def schedule(
    start: Annotated[str, typer.Argument(metavar="START", help='"now", a local time such as 16:00, or RFC 3339.')],
    duration: Annotated[str | None, typer.Option(help="ISO 8601 such as PT4H, or hours. Default: your preferences'.")] = None,
    pledge: Annotated[float | None, typer.Option(metavar="WATTS", help="Goal: import this much less than the baseline.")] = None,
    limit: Annotated[float | None, typer.Option(metavar="WATTS", help="Goal: import at most this much.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="Goal: as little grid energy as possible.")] = False,
    method: Annotated[list[Method] | None, typer.Option(help="By which means; may be repeated. Default: your preferences'.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=1_000_000, help="Where events overlap, the lower number wins.")] = 0,
    event_id: Annotated[str | None, typer.Option("--id", help="Its id; made up when left out.")] = None,
    revision: Annotated[int, typer.Option(min=0, help="A higher one amends the event with this id.")] = 0,
    test: Annotated[bool, typer.Option("--test", help="Mark it as a test.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    wait: WaitOption = DEFAULT_WAIT_S,
) -> None:
    """Schedule an event and wait until the controller has accepted it.

    Example: sps event schedule now --duration PT1H

    Example: sps event schedule 16:00 --duration PT4H --pledge 150
    """
    station = load_station(config)
    command = _command(
        station,
        id=event_id or _new_id(),
        revision=revision,
        start=start,
        duration=duration,
        goal=_goal(pledge, limit, minimize=minimize),
        methods=method,
        priority=priority,
        test=test,
    )

    def accepted(event: "EventMessage", retained: bool) -> bool:
        return event.revision >= revision and not (retained and event.status is EventStatus.REFUSED)

    event = _send(station, command, accepted, wait)
    if event.status not in OPEN_STATUSES:
        fail(f"event {event.id} is {event.status}{': ' if event.status_reason else ''}{event.status_reason}")
    if event.status is EventStatus.PENDING:
        typer.echo(f"it asks you: {_line(event, station.zone)}; answer with: sps event accept {event.id}, or decline")
        return
    typer.echo(f"accepted: {_line(event, station.zone)}")


@app.command(epilog=EPILOG)
def cancel(event_id: EventId, config: ConfigOption = DEFAULT_CONFIG, wait: WaitOption = DEFAULT_WAIT_S) -> None:
    """Cancel an event; one that runs ends at once.

    Example: sps event cancel 20260701-1600-3f2a
    """
    _change("cancel", event_id, {EventStatus.CANCELLED}, config, wait)


@app.command("opt-out", epilog=EPILOG)
def opt_out(event_id: EventId, config: ConfigOption = DEFAULT_CONFIG, wait: WaitOption = DEFAULT_WAIT_S) -> None:
    """Take no part in an event; one that runs ends at once.

    Example: sps event opt-out 20260701-1600-3f2a
    """
    _change("opt_out", event_id, {EventStatus.OPTED_OUT}, config, wait)


@app.command("opt-in", epilog=EPILOG)
def opt_in(event_id: EventId, config: ConfigOption = DEFAULT_CONFIG, wait: WaitOption = DEFAULT_WAIT_S) -> None:
    """Take part after all in an event that you had opted out of.

    Example: sps event opt-in 20260701-1600-3f2a
    """
    _change("opt_in", event_id, OPEN_STATUSES, config, wait)


@app.command(epilog=EPILOG)
def accept(event_id: EventId, config: ConfigOption = DEFAULT_CONFIG, wait: WaitOption = DEFAULT_WAIT_S) -> None:
    """Take part in an event that asks (preferences: participation ask).

    Example: sps event accept 20260701-1600-3f2a
    """
    _change("accept", event_id, OPEN_STATUSES - {EventStatus.PENDING}, config, wait)


@app.command(epilog=EPILOG)
def decline(event_id: EventId, config: ConfigOption = DEFAULT_CONFIG, wait: WaitOption = DEFAULT_WAIT_S) -> None:
    """Take no part in an event that asks.

    Example: sps event decline 20260701-1600-3f2a
    """
    _change("decline", event_id, {EventStatus.OPTED_OUT}, config, wait)


@app.command("list", epilog=EPILOG)
def list_events(
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    _var: AskedVarOption = DEFAULT_VAR,
) -> None:
    """List the events that the recorder knows, the latest first.

    Example: sps event list

    Example: sps event list --json
    """
    import json

    import requests
    from pydantic import TypeAdapter, ValidationError

    from services.bus.messages.events import EventMessage
    from services.cli.recorder_link import base_of

    station = load_station(config)
    base = base_of(station)
    where = base.partition("//")[2]
    try:
        answer = requests.get(f"{base}/api/events", headers=recorder_headers(), timeout=10)
        if answer.status_code == 401:
            fail(f"the recorder refused: {answer.json()['detail']}; name that folder with --var")
        answer.raise_for_status()
        events = TypeAdapter(list[EventMessage]).validate_json(answer.content)
    except requests.ConnectionError:
        fail(f"the recorder does not answer at {where}; start the station with `sps run`")
    except requests.RequestException as error:
        fail(f"the recorder at {where} could not answer: {error}")
    except ValidationError:
        fail(f"what answers at {where} is not the recorder; check recorder.api in the station file")
    if as_json:
        typer.echo(json.dumps([event.model_dump(mode="json") for event in events], indent=2))
        return
    for event in sorted(events, key=lambda event: event.start, reverse=True):
        typer.echo(_line(event, station.zone))
    if not events:
        typer.echo("no events yet; try: sps event schedule now --duration PT1H")


def _change(action: str, event_id: str, wanted: "frozenset[EventStatus] | set[EventStatus]", config: "Any", wait: float) -> None:
    station = load_station(config)
    command = _command(station, action=action, id=event_id)

    def settled(event: "EventMessage", retained: bool) -> bool:
        return event.status in wanted or (not retained and event.status not in OPEN_STATUSES)

    event = _send(station, command, settled, wait)
    if event.status not in wanted:
        fail(f"event {event.id} is already {event.status}")
    typer.echo(_line(event, station.zone))


def _send(station: "Station", command: "EventCommand", accepted: "Accepted", wait_s: float) -> "EventMessage":
    from services.cli.event_link import send

    try:
        return send(station, command, accepted, wait_s=wait_s)
    except CommandFailed as failure:
        fail(str(failure), failure.code)


def _command(station: "Station", **fields: Any) -> "EventCommand":
    """The command these fields make; ends with code 2, naming the field, if they make none."""
    from pydantic import ValidationError

    from services.bus.clock import SystemClock
    from services.bus.messages.events import EventCommand

    try:
        command = EventCommand.model_validate({name: value for name, value in fields.items() if value is not None})
        check_id(command.id or "")
        if command.start is not None:
            parse_start(command.start, SystemClock().now(), station.zone)  # its form only: the station may live in another time
    except BadValue as error:
        fail(str(error), WRONG_USAGE)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the event"
        fail(f"{field}: {first['msg'].removeprefix('Value error, ')}", WRONG_USAGE)
    return command


def _goal(pledge: float | None, limit: float | None, *, minimize: bool) -> dict[str, Any] | None:
    goals: list[dict[str, Any]] = []
    if pledge is not None:
        goals.append({"kind": "pledge", "reduction_w": pledge})
    if limit is not None:
        goals.append({"kind": "limit", "import_w": limit})
    if minimize:
        goals.append({"kind": "minimize"})
    if len(goals) > 1:
        fail("choose one goal: --pledge, --limit or --minimize", WRONG_USAGE)
    return goals[0] if goals else None


def _new_id() -> str:
    import secrets

    return f"manual-{secrets.token_hex(4)}"


def _line(event: "EventMessage", zone: "ZoneInfo") -> str:
    start, end = event.start.astimezone(zone), event.end.astimezone(zone)
    watts = event.goal.reduction_w if event.goal.reduction_w is not None else event.goal.import_w
    goal = f"{event.goal.kind}{'' if watts is None else f' {watts:g} W'}"
    why = event.status_reason
    if event.answer_by is not None:
        outcome = "accepted" if event.unanswered is Answer.ACCEPT else "declined"
        why = f"answer until {event.answer_by.astimezone(zone):%Y-%m-%d %H:%M}, else it is {outcome}"
    reason = f"  ({why})" if why else ""
    return f"{event.id}  {start:%Y-%m-%d %H:%M} to {end:%H:%M %Z}  {goal}  {event.status}{reason}"
