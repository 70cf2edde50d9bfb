"""What a process's surroundings say, and what that changes."""

from pathlib import Path

import pytest

from services.bus import deployment
from services.bus.deployment import Deployment
from services.bus.runtime import load_station, make_context
from services.bus.secrets import secrets_folder
from services.core.config.load import ConfigError

SHIPPED = Path(__file__).parents[3] / "config" / "station.yaml"


def test_said_nothing_all_stays_as_the_station_file_says() -> None:
    station = load_station(SHIPPED)
    assert Deployment.of({}).placed(station) == station
    assert Deployment.of({"SPS_BROKER_HOST": "", "SPS_WEB_PORT": ""}) == Deployment()
    assert Deployment().asks_recorder_at(station) == "http://127.0.0.1:8081"


def test_each_part_is_where_its_surroundings_say(monkeypatch, tmp_path) -> None:
    said = {
        "SPS_BROKER_HOST": "mosquitto",
        "SPS_BROKER_PORT": "2883",
        "SPS_RECORDER_URL": "http://recorder:8081/",
        "SPS_RECORDER_HOST": "0.0.0.0",
        "SPS_WEB_HOST": "0.0.0.0",
        "SPS_WEB_PUBLISHED": "127.0.0.1:8080",
        "SPS_SIMULATOR_HOST": "simulator",
        "SPS_SECRETS": str(tmp_path / "secrets"),
        "SPS_ALIVE": "/run/sps",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    station = load_station(SHIPPED)
    assert (station.broker.host, station.broker.port, station.broker.start) == ("mosquitto", 2883, False)
    assert (station.web.host, station.web.port) == ("0.0.0.0", 8080)
    assert (station.recorder.api.host, station.recorder.api.port) == ("0.0.0.0", 8081)
    # Who listens for others asks them who they are.
    assert station.recorder.token
    surroundings = make_context(station, tmp_path / "var").deployment
    assert surroundings.asks_recorder_at(station) == "http://recorder:8081"
    assert surroundings.alive == Path("/run/sps")
    assert secrets_folder(tmp_path / "var") == tmp_path / "secrets"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SPS_BROKER_PORT", "mqtt", "use a port from 1 to 65535"),
        ("SPS_BROKER_PORT", "0", "use a port from 1 to 65535"),
        ("SPS_WEB_PORT", "70000", "use a port from 1 to 65535"),
        ("SPS_RECORDER_URL", "recorder:8081", "use a base URL such as http://recorder:8081"),
        ("SPS_RECORDER_URL", "http://recorder:99999", "use a base URL"),
        ("SPS_RECORDER_URL", "http://user:password@recorder", "use a base URL"),
        ("SPS_WEB_PUBLISHED", "8080", "use an address and a port, such as 127.0.0.1:8080"),
        ("SPS_WEB_PUBLISHED", "127.0.0.1:8080/page", "use an address and a port"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named_with_its_value_and_the_remedy(monkeypatch, name, value, words) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        deployment.here()
    assert str(refused.value).startswith(f"environment variable {name}: {value!r}; {words}")
