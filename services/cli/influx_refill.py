"""`sps influx refill`: have the recorder feed InfluxDB from the beginning of the journal again."""

from contextlib import closing

import typer

from services.cli.exits import WRONG_USAGE, CommandFailed, fail
from services.cli.options import DEFAULT_VAR, VarOption


def refill(var: VarOption = DEFAULT_VAR) -> None:
    """Feed InfluxDB the whole journal again, after a bucket was lost. The recorder must be stopped, and begins at its next start.

    What InfluxDB has already stays as it is: a point sent twice is the same point.

    Example: sps influx refill
    """
    from services.cli import preflight
    from services.recorder.journal import FILE_NAME, Journal, JournalError

    path = var / "recorder" / FILE_NAME
    if not path.exists():
        fail(f"there is no journal {path}; name your state folder with --var", WRONG_USAGE)
    try:
        with preflight.claim(var, ["recorder"]), closing(Journal(path)) as journal, journal.transaction() as db:
            # How far the feed had come with readings, with hours and with what was said.
            db.execute("DELETE FROM feed")
    except CommandFailed as failure:
        fail(str(failure), failure.code)
    except JournalError as error:
        fail(str(error))
    typer.echo("the recorder feeds InfluxDB the whole journal again from its next start on")
