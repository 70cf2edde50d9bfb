"""Writes points to InfluxDB: what is to last goes to a bucket of its own, and every refusal comes back in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.bus.secrets import read_secret
from services.core.config.station import InfluxFeed

if TYPE_CHECKING:
    from influxdb_client.client.write_api import WriteApi

LASTING = frozenset({"energy", "event", "event_window", "event_interval", "event_total", "season_month"})
"""The measurements that are small and wanted for years."""
_LASTING_HEADS = tuple(f"{name}," for name in LASTING)
REFUSED = (400, 413, 422)
"""Statuses that are about what was sent: to send it again as it is would be in vain."""
TOO_OLD = "retention policy"
"""In the words of a refusal (422 "points beyond retention policy dropped=5"): not an error of the points, and all others are stored."""

MS: Any = "ms"
"""The unit of the points' times."""


class RefusedError(Exception):
    """The server understood the request and will not have these points."""


class AwayError(Exception):
    """The server does not answer, or not now."""


class InfluxWriter:
    """One InfluxDB, by its settings."""

    def __init__(self, settings: InfluxFeed, var: Path) -> None:
        self._settings = settings
        self._var = var
        self._api: WriteApi | None = None

    def write(self, points: Sequence[str]) -> str | None:
        """Write lines of line protocol; blocks. Raises RefusedError, AwayError, NoSecret.

        What is older than a bucket keeps is as good as written: the server drops it, stores the rest, and its words are given back.
        """
        lasting = [point for point in points if point.startswith(_LASTING_HEADS)]
        passing = [point for point in points if not point.startswith(_LASTING_HEADS)] if lasting else points
        bucket = self._settings.bucket
        dropped = None
        for name, part in ((bucket, passing), (self._settings.long_bucket or bucket, lasting)):
            if part:
                dropped = self._send(name, part) or dropped
        return dropped

    def _send(self, bucket: str, points: Sequence[str]) -> str | None:
        # Imported here: the library takes half a second and 20 MB, which a station without InfluxDB is spared.
        from influxdb_client.client.exceptions import InfluxDBError  # noqa: PLC0415
        from influxdb_client.rest import ApiException  # noqa: PLC0415
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        try:
            self._writer().write(bucket, self._settings.org, record="\n".join(points), write_precision=MS)
        except (ApiException, InfluxDBError) as error:
            status = getattr(error, "status", None) or getattr(error.response, "status", None)
            if status in (401, 403):
                self._api = None  # the token may be a new one by the next time
            message = str(getattr(error, "message", error))
            if status in REFUSED and TOO_OLD in message.lower():
                return _why(status, bucket, message)
            raise (RefusedError if status in REFUSED else AwayError)(_why(status, bucket, message)) from error
        except (HTTPError, OSError) as error:
            raise AwayError(str(error).splitlines()[0][:200]) from error
        return None

    def _writer(self) -> "WriteApi":
        from influxdb_client.client.influxdb_client import InfluxDBClient  # noqa: PLC0415
        from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: PLC0415

        if self._api is None:
            token = read_secret(self._settings.token_file, self._var)
            client = InfluxDBClient(
                url=self._settings.url, token=token, org=self._settings.org, timeout=round(self._settings.timeout_s * 1000)
            )
            self._api = client.write_api(write_options=SYNCHRONOUS)
        return self._api


def _why(status: int | None, bucket: str, message: str) -> str:
    if status in (401, 403):
        return f"it refuses the token ({status}); check the file that recorder.influx.token_file names"
    if status == 404:
        return f"it knows no such organisation or bucket '{bucket}' (404); check recorder.influx"
    return f"{status}: {' '.join(message.split())[:200]}"
