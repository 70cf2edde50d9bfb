"""What a station is handed when it is taken in: lines for its file, and secrets for its folder."""

import csv
import errno
import io
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile

from services.aggregator.keys import StationSecrets, write_private
from services.aggregator.runtime import Context
from services.aggregator.store.stations import Enrolled
from services.core.config.aggregator import BESIDE
from services.core.config.web import is_loopback

MQTT_SECRET, HTTP_SECRET = "aggregator-link/mqtt", "aggregator-link/http"


def station_lines(context: Context, one: Enrolled, *, written: bool) -> str:
    """The section `aggregator` of the station's file; with the secrets themselves where they are not `written` yet."""
    file, secrets = context.file, context.station_secrets()
    host, port, tls = file.broker.for_stations
    hints = []
    if is_loopback(host) or host == "0.0.0.0" or host in BESIDE:  # noqa: S104 - compared, not bound
        hints.append("# On another machine, put the aggregator's address in place of the hosts, with tls: true and https.")
    lines = [
        "# into the station's file:",
        *hints,
        "aggregator:",
        f"  network: {file.network}",
        f"  name: {one.name}",
        "  mqtt:",
        f"    host: {host}",
        f"    port: {port}",
        f"    tls: {str(tls).lower()}",
        f"    user: {one.name}",
        f"    secret: {MQTT_SECRET}",
        "  http:",
        f"    url: {file.api.for_stations}",
        "    auth: hmac",
        f"    secret: {HTTP_SECRET}",
        "  require_signed: true",
        "  keys:",
        f"    {file.key_id}: {context.public_key()}",
    ]
    if not written:
        lines += [
            "",
            "# and one line each into these files of the station's folder `secrets`, readable by its user alone:",
            f"#   {MQTT_SECRET}   {secrets.mqtt(one.name, one.generation)}",
            f"#   {HTTP_SECRET}   {secrets.http(one.name, one.generation)}",
        ]
    return "\n".join(lines)


def prepare_folder(folder: Path) -> None:
    """See that files can be made in `folder`. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with TemporaryFile(dir=folder):
        pass


def prepare_csv(path: Path) -> None:
    """See that `path` can be written. Raises OSError."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    prepare_folder(path.parent)


def write_secrets(folder: Path, one: Enrolled, secrets: StationSecrets) -> list[Path]:
    """Put the station's secrets into its folder. Raises OSError."""
    texts = {MQTT_SECRET: secrets.mqtt(one.name, one.generation), HTTP_SECRET: secrets.http(one.name, one.generation)}
    for name, text in texts.items():
        write_private(folder / name, f"{text}\n".encode())
    return [folder / name for name in texts]


def write_csv(path: Path, stations: Sequence[Enrolled], secrets: StationSecrets) -> None:
    """Names and secrets of many, for `sps fleet simulate` elsewhere. Raises OSError."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["name", "mqtt", "http"])
    rows.writerows([one.name, secrets.mqtt(one.name, one.generation), secrets.http(one.name, one.generation)] for one in stations)
    write_private(path, text.getvalue().encode())
