"""`sps influx`: make an InfluxDB ready for the recorder and for Grafana."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import EPILOG, WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, load_station

if TYPE_CHECKING:
    from services.core.config.station import InfluxFeed

app = typer.Typer(help="The InfluxDB that the recorder feeds.", no_args_is_help=True)
POLL_S = 0.5
KEEP_DAYS = 92
"""Of a bucket that is made."""


@app.callback()
def _group() -> None:
    """Keep `setup` a command of its own name."""


@app.command(epilog=EPILOG)
def setup(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets: Annotated[
        Path, typer.Option("--secrets", envvar="SPS_SECRETS", metavar="FOLDER", help="Where secrets lie.", show_default=True)
    ] = Path("secrets"),
    url: Annotated[
        str | None, typer.Option("--url", envvar="SPS_INFLUX_URL", metavar="URL", help="Where it is, if the station file does not say.")
    ] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(
            "--keep-days",
            envvar="SPS_INFLUX_KEEP_DAYS",
            min=2,
            max=36_600,
            help=f"So long readings are kept there; hours and events stay for ever. Left out: {KEEP_DAYS}, or as a bucket has it already.",
        ),
    ] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=0, max=3600, metavar="SECONDS", help="How long to wait for it to answer.")] = 60.0,
) -> None:
    """Make an InfluxDB 2 ready: first user, two buckets, their names in InfluxQL, a token to write and one to read.

    `sps setup` comes first: it makes influx/admin.password and influx/admin.token. This writes influx/recorder.token and
    influx/grafana.token, and tries both. Run it as often as you like: what is right stays.

    Example: sps influx setup --url http://127.0.0.1:8086
    """
    from services.bus.secrets import NoSecret
    from services.cli.influx_server import NotReady, Secrets, prepare

    settings = _settings(config, url)
    folder = secrets.absolute() / "influx"
    files = Secrets(*(folder / name for name in ("admin.password", "admin.token", "recorder.token", "grafana.token")))
    _wait(settings.url, wait_s)
    try:
        for told in prepare(settings, files, keep_days, made_days=KEEP_DAYS):
            typer.echo(told)
    except (NotReady, NoSecret) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename or folder} cannot be written ({error.strerror}); name another folder with --secrets")


def _settings(config: Path, url: str | None) -> "InfluxFeed":
    from pydantic import ValidationError

    from services.core.config.station import InfluxFeed

    told = load_station(config).recorder.influx
    if url is None and told is None:
        fail(f"{config} says nothing of recorder.influx; say there where InfluxDB is, or here with --url", WRONG_USAGE)
    try:
        if told is None:
            return InfluxFeed.beside(url or "")
        return InfluxFeed.model_validate({**told.model_dump(), "url": url or told.url})
    except ValidationError:
        fail(f"--url {url!r} is no address; write one such as http://127.0.0.1:8086", WRONG_USAGE)


def _wait(url: str, wait_s: float) -> None:
    from time import monotonic, sleep

    from services.cli.influx_server import answers

    until, told = monotonic() + wait_s, False
    while not answers(url):
        if monotonic() > until:
            fail(f"no InfluxDB answers at {url}; start it, or name another with --url")
        if not told:
            typer.echo(f"waiting for InfluxDB at {url}", err=True)
            told = True
        sleep(POLL_S)
