"""The first start of a simulated station: past days, so that there is a history to look at and a baseline."""

import sys
from pathlib import Path

import typer

from services.cli.exits import CommandFailed
from services.core.config.station import Station


def seed_first_start(station: Station, var: Path) -> None:
    """Simulate the station's past days into an empty journal, showing how far it is. Does nothing on later starts.

    Raises CommandFailed if the journal cannot be written.
    """
    from services.recorder.journal import FILE_NAME, JournalError

    days = station.simulation.seed_days
    if days == 0 or (var / "recorder" / FILE_NAME).exists():
        return
    from rich.progress import Progress

    from services.backtest.seed import seed
    from services.bus.clock import SystemClock

    typer.echo(f"first start: simulating the past {days} days, for a history to look at", err=True)
    try:
        with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
            task = bar.add_task("", total=1.0)
            seed(station, var, end=SystemClock().now(), progress=lambda share: bar.update(task, completed=share))
    except (OSError, JournalError) as error:
        raise CommandFailed(f"the past days cannot be written to {var}: {error}") from None
