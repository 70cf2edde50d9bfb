"""The `sps` command: puts its sub-commands together.

What a command needs it imports when it runs, so that `sps --help` answers at once.
"""

from importlib.metadata import version as installed_version

import typer

from services.cli import (
    access,
    aggregator,
    aggregator_events,
    ats,
    backtest,
    backup,
    check_config,
    deal,
    discover,
    energy,
    event,
    explain,
    export,
    fleet,
    import_csv,
    influx,
    influx_refill,
    notify,
    relay,
    report,
    restore,
    run,
    services,
    setup,
    station,
)
from services.cli.exits import EPILOG

app = typer.Typer(
    name="sps",
    help="Smart Power Station: a home battery that answers demand-response events.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command(epilog=EPILOG)(run.run)
app.command(epilog=EPILOG)(setup.setup)
app.command(epilog=EPILOG, hidden=True)(deal.deal)
app.add_typer(event.app, name="event")
app.add_typer(access.app, name="access")
app.add_typer(ats.app, name="ats")
app.add_typer(notify.app, name="notify")
app.add_typer(relay.app, name="relay")
app.command(epilog=discover.EPILOG_FOUND)(discover.discover)
app.add_typer(station.app, name="station")
influx.app.command(epilog=EPILOG)(influx_refill.refill)
app.add_typer(influx.app, name="influx")
app.command(epilog=EPILOG)(report.report)
app.command(epilog=EPILOG)(backtest.backtest)
app.command(epilog=EPILOG)(explain.explain)
app.command(epilog=EPILOG)(energy.energy)
app.command(epilog=EPILOG)(export.export)
app.command("import", epilog=EPILOG)(import_csv.import_)
app.command(epilog=EPILOG)(backup.backup)
app.command(epilog=EPILOG)(restore.restore)
app.command(epilog=EPILOG)(services.services)
aggregator_events.add_to(aggregator.app)
app.add_typer(aggregator.app, name="aggregator")
app.add_typer(fleet.app, name="fleet")
app.command("check-config", epilog=EPILOG)(check_config.check_config)


@app.command(epilog=EPILOG)
def version() -> None:
    """Print the version."""
    typer.echo(f"smart-power-station {installed_version('smart-power-station')}")


def main() -> None:
    """Entry point of the console script."""
    app()
