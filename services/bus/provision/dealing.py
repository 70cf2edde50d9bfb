"""Hands each container its own secrets and no other's: from the one folder of secrets to a folder each, owned by who runs there."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.bus.contract import OPERATOR
from services.bus.provision.private import FOLDER_MODE, Owner, fit, unfit, write_private
from services.bus.recorder_token import FILE as RECORDER_TOKEN
from services.bus.secrets import MQTT
from services.core.config.station import Station

SPS = Owner(10001, 10001)
"""The user of all our own images."""
MOSQUITTO, GRAFANA = Owner(1883, 1883), Owner(472, 0)
"""Those of the official images."""
FILE_MODE = 0o400


class Undealt(Exception):
    """A secret that a container needs and that nobody has written; says which and for what."""


@dataclass(frozen=True, slots=True)
class Hand:
    """What one container gets."""

    container: str
    owner: Owner
    files: Mapping[str, str]
    """By their name in the folder of secrets: the name they get. A service of ours finds them under the same name."""
    wanted_by: Mapping[str, str]
    """Which field of the station file names a secret that a person writes."""


def hands(station: Station) -> tuple[Hand, ...]:
    """What the containers of `station` get."""
    devices = {
        device.secret: f"{section}.{name}.secret"
        for section, relays in (("positions", station.positions.relays()), ("loads", station.loads))
        for name, device in relays.items()
        if device.secret is not None
    }
    token = str(RECORDER_TOKEN)
    feed = {"influx/recorder.token": "", **_influx(station)}
    return (
        _ours("bluetti_bridge"),
        _ours("relay_bridge", more=devices),
        _ours("ina260_reader"),
        _ours("controller"),
        _ours("recorder", token, more=feed),
        _ours("gateway", token, more=_of_the_gateway(station)),
        _ours("home_assistant"),
        _ours("simulator", more=devices),
        _ours(OPERATOR, token),
        Hand("mosquitto", MOSQUITTO, {f"mosquitto/{name}": name for name in _BROKER}, {}),
        Hand("grafana", GRAFANA, {"grafana/admin.password": "admin.password", "influx/grafana.token": "grafana.token"}, {}),
    )


def deal(hands: Iterable[Hand], secrets: Path, to: Path) -> list[Path]:
    """Bring every container's files up to date in `to`/<container>; the paths that changed. Raises Undealt, OSError.

    A container without a folder in `to` has no part in this. All are read before any is written: a missing one leaves everything as it was.
    """
    contents = [
        (hand, {name: _read(secrets / source, hand.wanted_by.get(source, "")) for source, name in hand.files.items()})
        for hand in hands
        if (to / hand.container).is_dir()
    ]
    changed = []
    for hand, files in contents:
        for name, data in files.items():
            path = to / hand.container / name
            for folder in (to / hand.container, *reversed([p for p in path.parents if to / hand.container in p.parents])):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                fit(folder, FOLDER_MODE, hand.owner)
            if not path.exists() or path.read_bytes() != data:
                write_private(path, data, FILE_MODE, hand.owner)
                changed.append(path)
            elif unfit(path, FILE_MODE, hand.owner) is not None:
                fit(path, FILE_MODE, hand.owner)
    return changed


_BROKER = ("passwd", "acl", "client/mosquitto_pub", "client/mosquitto_sub", "ca.crt", "server.crt", "server.key")


def _ours(service: str, *files: str, more: Mapping[str, str] | None = None) -> Hand:
    named = more or {}
    return Hand(service.replace("_", "-"), SPS, {name: name for name in (f"{MQTT}/{service}", *files, *named)}, named)


def _influx(station: Station) -> dict[str, str]:
    feed = station.recorder.influx
    return {} if feed is None else {feed.token_file: "recorder.influx.token_file"}


def _of_the_gateway(station: Station) -> dict[str, str]:
    """What it needs to speak with the aggregator, and with the person's phone."""
    found = dict.fromkeys(station.notifications.to, "notifications.to")
    if (link := station.aggregator) is not None:
        for section in ("mqtt", "http"):
            part = getattr(link, section)
            for field in ("secret", "ca_file", "client_cert", "client_key"):
                if (name := getattr(part, field, None)) is not None:
                    found[name] = f"aggregator.{section}.{field}"
    return found


def _read(path: Path, field: str) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        named = f"{field} of the station file names it; write it into that file" if field else "run sps setup"
        raise Undealt(f"{path} is missing: {named}, and start again") from None
