"""Where a process runs: what its surroundings say by environment variables, and what that changes in the station.

The station file says what the house is; these say on which machine or in which container a part of it runs. Unset: as the file says.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.core.config.load import ConfigError, Problem
from services.core.config.station import InfluxFeed, Station


@dataclass(frozen=True, slots=True)
class Deployment:
    """The surroundings of one process; None where they say nothing."""

    broker_host: str | None = None
    """`SPS_BROKER_HOST`. A broker named here is somebody else's to start."""
    broker_port: int | None = None
    """`SPS_BROKER_PORT`."""
    recorder_url: str | None = None
    """`SPS_RECORDER_URL`: where the recorder is asked."""
    recorder_host: str | None = None
    """`SPS_RECORDER_HOST`: what the recorder listens on. Beyond loopback it asks for its token."""
    recorder_port: int | None = None
    """`SPS_RECORDER_PORT`."""
    web_host: str | None = None
    """`SPS_WEB_HOST`: what the page listens on, in a container 0.0.0.0."""
    web_port: int | None = None
    """`SPS_WEB_PORT`."""
    web_published: str | None = None
    """`SPS_WEB_PUBLISHED`: `host:port` under which people reach a page that listens in a container."""
    simulator_host: str | None = None
    """`SPS_SIMULATOR_HOST`: where the simulated devices are; the simulator then listens for its whole network."""
    secrets: Path | None = None
    """`SPS_SECRETS`: the folder of secrets."""
    alive: Path | None = None
    """`SPS_ALIVE`: a folder for heartbeats that costs no SD card a write; unset: the folder of state."""
    metrics_port: int | None = None
    """`SPS_METRICS_PORT`: where Prometheus may ask a process that has no page; unset: nowhere."""
    metrics_host: str = "127.0.0.1"
    """`SPS_METRICS_HOST`: what that listens on."""
    bluetooth_lock: Path | None = None
    """`SPS_BLUETOOTH_LOCK`: a file that all who use the machine's Bluetooth adapter can lock."""
    idle: bool = False
    """`SPS_IDLE=1`: a service that the station has no use for rests instead of ending."""
    influx_url: str | None = None
    """`SPS_INFLUX_URL`: feed the InfluxDB there, prepared by `sps influx setup`, unless the station file names another."""
    notify_socket: str | None = None
    """`NOTIFY_SOCKET`: where systemd listens."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Deployment":
        """What `environment` says; an empty value says nothing. Raises ConfigError naming the variable, its value and the remedy."""
        said = {name: value for name, value in environment.items() if value}
        return cls(
            broker_host=said.get("SPS_BROKER_HOST"),
            broker_port=_port(said, "SPS_BROKER_PORT"),
            recorder_url=url_of(said, "SPS_RECORDER_URL"),
            recorder_host=said.get("SPS_RECORDER_HOST"),
            recorder_port=_port(said, "SPS_RECORDER_PORT"),
            web_host=said.get("SPS_WEB_HOST"),
            web_port=_port(said, "SPS_WEB_PORT"),
            web_published=host_and_port(said, "SPS_WEB_PUBLISHED"),
            simulator_host=said.get("SPS_SIMULATOR_HOST"),
            secrets=_path(said, "SPS_SECRETS"),
            alive=_path(said, "SPS_ALIVE"),
            metrics_port=_port(said, "SPS_METRICS_PORT"),
            metrics_host=said.get("SPS_METRICS_HOST", "127.0.0.1"),
            bluetooth_lock=_path(said, "SPS_BLUETOOTH_LOCK"),
            idle=_switch(said, "SPS_IDLE"),
            influx_url=url_of(said, "SPS_INFLUX_URL"),
            notify_socket=said.get("NOTIFY_SOCKET"),
        )

    def placed(self, station: Station) -> Station:
        """`station` with its broker, page and recorder where they are here."""
        broker = _given(host=self.broker_host, port=self.broker_port)
        if self.broker_host is not None:
            broker["start"] = False
        web = _given(host=self.web_host, port=self.web_port)
        api = _given(host=self.recorder_host, port=self.recorder_port)
        recorder: dict[str, object] = {"api": station.recorder.api.model_copy(update=api)} if api else {}
        if self.influx_url is not None and station.recorder.influx is None:
            recorder["influx"] = InfluxFeed.beside(self.influx_url)
        if self.recorder_host is not None:
            recorder["token"] = True
        return station.model_copy(
            update={
                "broker": station.broker.model_copy(update=broker),
                "web": station.web.model_copy(update=web),
                "recorder": station.recorder.model_copy(update=recorder),
            }
        )

    @property
    def recorder_name(self) -> str | None:
        """The host name by which the recorder is asked."""
        return urlsplit(self.recorder_url).hostname if self.recorder_url is not None else None

    def asks_recorder_at(self, station: Station) -> str:
        """The base URL at which the recorder of `station` is asked."""
        api = station.recorder.api
        return self.recorder_url or f"http://{api.host}:{api.port}"


def here() -> Deployment:
    """The surroundings of this process. Raises ConfigError for a variable that makes no sense."""
    return Deployment.of(os.environ)


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _wrong(name: str, value: str, remedy: str) -> ConfigError:
    return ConfigError([Problem(None, f"environment variable {name}", repr(value), remedy)])


def _port(said: Mapping[str, str], name: str) -> int | None:
    if (text := said.get(name)) is None:
        return None
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise _wrong(name, text, "use a port from 1 to 65535, or leave it out")
    return int(text)


def _switch(said: Mapping[str, str], name: str) -> bool:
    if (text := said.get(name, "0")) not in ("0", "1"):
        raise _wrong(name, text, "use 1 or 0, or leave it out")
    return text == "1"


def url_of(said: Mapping[str, str], name: str) -> str | None:
    """The base URL that variable `name` says; None if it says nothing. Raises ConfigError."""
    if (text := said.get(name)) is None:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True) and not parts.query and "@" not in text
    except ValueError:
        usable = False
    if not usable:
        raise _wrong(name, text, "use a base URL such as http://recorder:8081")
    return text.rstrip("/")


def host_and_port(said: Mapping[str, str], name: str) -> str | None:
    """The address and port that variable `name` says; None if it says nothing. Raises ConfigError."""
    if (text := said.get(name)) is None:
        return None
    try:
        parts = urlsplit(f"//{text}")
        usable = parts.hostname and parts.port and parts.netloc == text and "@" not in text
    except ValueError:
        usable = False
    if not usable:
        raise _wrong(name, text, "use an address and a port, such as 127.0.0.1:8080")
    return text


def _path(said: Mapping[str, str], name: str) -> Path | None:
    return Path(text) if (text := said.get(name)) is not None else None
