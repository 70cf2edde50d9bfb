"""`sps aggregator schedule`, `amend`, `cancel`, `events`, `fleet`, `export`: what one asks of an aggregator, running or not."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.aggregator import DEFAULT_FILE, EventId, FileOption, event_line, open_desk
from services.cli.exits import EPILOG, WRONG_USAGE, fail
from services.cli.options import DEFAULT_VAR, VarOption
from services.core.goals import Method

Pledge = Annotated[float | None, typer.Option(metavar="WATTS", help="Goal: each imports this much less than its baseline.")]
Limit = Annotated[float | None, typer.Option(metavar="WATTS", help="Goal: each imports at most this much.")]
Minimize = Annotated[bool, typer.Option("--minimize", help="Goal: as little grid energy as possible.")]
Notice = Annotated[str, typer.Option(metavar="TEXT", help="Words for the people.")]


def add_to(app: typer.Typer) -> None:
    """Put these commands into `app`."""
    for command in (schedule, amend, cancel, events, fleet, export):
        app.command(epilog=EPILOG)(command)


def schedule(
    start: Annotated[str, typer.Argument(metavar="START", help='"now", a local time such as 16:00, or RFC 3339.')],
    duration: Annotated[str, typer.Option(help="ISO 8601 such as PT4H, or hours.")] = "PT1H",
    pledge: Pledge = None,
    limit: Limit = None,
    minimize: Minimize = False,
    method: Annotated[list[Method] | None, typer.Option(help="By which means; may be repeated. Default: each station's own.")] = None,
    priority: Annotated[int, typer.Option(min=0, max=1_000_000, help="Where events overlap, the lower number wins.")] = 0,
    notice: Notice = "",
    programme: Annotated[str, typer.Option(help="The programme that calls it, such as coned-csrp.")] = "",
    station: Annotated[list[str] | None, typer.Option(metavar="NAME", help="To this station only; may be repeated. Default: all.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Its id; made up when left out.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Mark it as a test.")] = False,
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Call an event. It is kept at once, and sent as soon as the aggregator runs and its broker answers.

    Example: sps aggregator schedule now --duration PT1H --pledge 150

    Example: sps aggregator schedule 16:00 --duration PT4H --notice "heat wave" --station house-1 --station house-2
    """
    from services.aggregator.calling import Typed
    from services.core.events import BadValue

    with open_desk(config, var) as desk:
        goal, watts = _goal(pledge, limit, minimize=minimize)
        methods = [one.value for one in method or ()]
        try:
            one = desk.call(Typed(start, duration, goal, watts, methods, priority, test, notice, programme, tuple(station or ())), event_id)
        except BadValue as bad:
            fail(str(bad), WRONG_USAGE)
        typer.echo(event_line(one, desk))


def amend(
    event_id: EventId,
    start: Annotated[str, typer.Option(help="A new start.")] = "",
    duration: Annotated[str, typer.Option(help="A new duration.")] = "",
    pledge: Pledge = None,
    limit: Limit = None,
    minimize: Minimize = False,
    notice: Notice = "",
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Change an event that is not over; what is left out stays.

    Example: sps aggregator amend dr-20260701-1600-3f2a01 --duration PT2H
    """
    from services.aggregator.calling import Typed
    from services.core.events import BadValue

    with open_desk(config, var) as desk:
        goal, watts = _goal(pledge, limit, minimize=minimize)
        try:
            one = desk.amend(event_id, Typed(start, duration, goal, watts, notice=notice))
        except BadValue as bad:
            fail(str(bad), WRONG_USAGE)
        typer.echo(event_line(one, desk))


def cancel(event_id: EventId, config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """Cancel an event that is not over.

    Example: sps aggregator cancel dr-20260701-1600-3f2a01
    """
    from services.core.events import BadValue

    with open_desk(config, var) as desk:
        try:
            one = desk.cancel(event_id)
        except BadValue as bad:
            fail(str(bad))
        typer.echo(event_line(one, desk))


def events(config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """List the events that were called, the latest first, with what became of them.

    Example: sps aggregator events
    """
    from services.aggregator.page.words import all_words, energy, phase
    from services.aggregator.store import fleet as asked

    with open_desk(config, var) as desk:
        when, now = all_words(desk.context.file.zone)["when"], desk.context.clock.now()
        found = desk.read(asked.events)
        for one in found:
            answers = f"{one.answered} of {one.asked} answered, {one.takes_part} take part"
            typer.echo(f"{one.id}  {when(one.start)} to {when(one.end)}  {phase(one, now)}  {answers}  settled {energy(one.reduction_wh)}")
        if not found:
            typer.echo("no events yet; try: sps aggregator schedule now --duration PT1H")


def fleet(config: FileOption = DEFAULT_FILE, var: VarOption = DEFAULT_VAR) -> None:
    """Show the fleet in figures, and its stations.

    Example: sps aggregator fleet
    """
    from services.aggregator.page.words import ago, energy, power
    from services.aggregator.store import fleet as asked

    with open_desk(config, var) as desk:
        now = desk.context.clock.now()
        totals, rows = desk.read(lambda connection: (asked.totals(connection, now), asked.stations(connection, now, limit=1000)))
        typer.echo(
            f"{totals.online} of {totals.enrolled} online; pledged {power(totals.pledged_w)}; "
            f"delivering now {totals.delivering}; settled {energy(totals.settled_wh if totals.settled else None)}"
        )
        for row in rows:
            link = "does not say" if row.online is None else "online" if row.online else "offline"
            said = f"pledge {power(row.pledge_w)}  settled {energy(row.settled_wh)}  last data {ago(row.last_batch_at, now)}"
            typer.echo(f"{row.name}  {link}  {said}")


def export(
    out: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A .csv or .json file; left out: CSV to the screen.")] = None,
    event_id: Annotated[str | None, typer.Option("--event", metavar="ID", help="Of this event only.")] = None,
    config: FileOption = DEFAULT_FILE,
    var: VarOption = DEFAULT_VAR,
) -> None:
    """Export the settlements: each station's final figures of each event, as it sent them.

    Example: sps aggregator export settlements.csv
    """
    from services.aggregator import exports
    from services.aggregator.store import fleet as asked

    if out is not None and out.suffix not in (".csv", ".json"):
        fail(f"{out}: name a .csv or a .json file", WRONG_USAGE)
    with open_desk(config, var) as desk:
        lines = exports.json_lines if out is not None and out.suffix == ".json" else exports.csv_lines
        with desk.engine.connect() as connection:
            found = lines(asked.settlements(connection, event_id))
            if out is None:
                for line in found:
                    typer.echo(line, nl=False)
                return
            try:
                with out.open("w", encoding="utf-8") as file:
                    file.writelines(found)
            except OSError as error:
                fail(f"{out} cannot be written: {error.strerror}")
        typer.echo(f"wrote {out}", err=True)


def _goal(pledge: float | None, limit: float | None, *, minimize: bool) -> tuple[str, str]:
    goals = [("pledge", f"{pledge:g}")] if pledge is not None else []
    goals += [("limit", f"{limit:g}")] if limit is not None else []
    goals += [("minimize", "")] if minimize else []
    if len(goals) > 1:
        fail("choose one goal: --pledge, --limit or --minimize", WRONG_USAGE)
    return goals[0] if goals else ("", "")
