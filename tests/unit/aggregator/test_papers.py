"""What is written for others: the broker's files, the station's lines, and the settlements."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import yaml

from services.aggregator import broker_files
from services.aggregator.config import AggregatorFile, placed
from services.aggregator.desk import Desk
from services.aggregator.exports import csv_lines, json_lines
from services.aggregator.keys import StationSecrets, signing_key
from services.aggregator.runtime import make_context
from services.aggregator.store.fleet import Settlement
from services.aggregator.store.stations import Enrolled
from services.cli.aggregator_enrolment import station_lines, write_secrets
from services.core.config.aggregator import Aggregator

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def test_what_enrolment_prints_is_a_good_section_of_a_station_file(tmp_path: Path) -> None:
    context = make_context(AggregatorFile(network="n"), tmp_path / "var", tmp_path / "secrets")
    one = Enrolled("house-1", 1)
    printed = station_lines(context, one, written=False)
    section = Aggregator.model_validate(yaml.safe_load(printed)["aggregator"])
    assert section.require_signed
    assert section.keys == {"aggregator-1": context.public_key()}
    secrets = context.station_secrets()
    assert secrets.mqtt("house-1", 1) in printed
    assert secrets.mqtt("house-1", 1) not in station_lines(context, one, written=True)
    paths = write_secrets(tmp_path / "theirs", one, secrets)
    assert [path.read_text(encoding="utf-8").strip() for path in paths] == [secrets.mqtt("house-1", 1), secrets.http("house-1", 1)]


def test_enrolment_prints_where_stations_reach_a_published_aggregator(tmp_path: Path) -> None:
    def section(environment: dict[str, str]) -> Aggregator:
        file = placed(AggregatorFile(network="n"), {"SPS_BROKER_HOST": "aggregator-broker", "SPS_BROKER_PORT": "1884"} | environment)
        context = make_context(file, tmp_path / "var", tmp_path / "secrets")
        return Aggregator.model_validate(yaml.safe_load(station_lines(context, Enrolled("house-1", 1), written=True))["aggregator"])

    beside = section({"SPS_AGGREGATOR_API_PUBLISHED": "http://aggregator:8090"})
    assert beside.mqtt is not None
    assert beside.http is not None
    assert (beside.mqtt.host, beside.mqtt.port, beside.mqtt.tls) == ("aggregator-broker", 1884, False)
    assert beside.http.url == "http://aggregator:8090"
    published = {"SPS_AGGREGATOR_BROKER_PUBLISHED": "dr.example.org:8884", "SPS_AGGREGATOR_API_PUBLISHED": "https://dr.example.org:8090"}
    elsewhere = section(published)
    assert elsewhere.mqtt is not None
    assert elsewhere.http is not None
    assert (elsewhere.mqtt.host, elsewhere.mqtt.port, elsewhere.mqtt.tls) == ("dr.example.org", 8884, True)
    assert elsewhere.http.url == "https://dr.example.org:8090"


def test_the_broker_in_its_container_is_set_as_the_one_that_is_started_here(tmp_path: Path) -> None:
    def settings(text: str) -> set[str]:
        lines = {line.strip() for line in text.splitlines()}
        elsewhere = ("#", "listener", "password_file", "acl_file", "persistence_location", "include_dir", "user")
        return {line for line in lines if line and not line.startswith(elsewhere)}

    here = broker_files.configuration("127.0.0.1", 1884, secrets=tmp_path, state=tmp_path, certificate=None)
    assert settings(Path("mosquitto/aggregator/mosquitto.conf").read_text(encoding="utf-8")) == settings(here)


def test_each_secret_is_another_and_always_the_same(tmp_path: Path) -> None:
    secrets, again = StationSecrets(tmp_path), StationSecrets(tmp_path)
    made = [secrets.mqtt("a", 1), secrets.http("a", 1), secrets.mqtt("a", 2), secrets.mqtt("b", 1), secrets.own("mqtt")]
    assert len(set(made)) == len(made)
    assert again.mqtt("a", 1) == made[0]
    assert signing_key(tmp_path).private_bytes_raw() == signing_key(tmp_path).private_bytes_raw()


def test_who_enrols_at_the_same_time_leaves_nobody_out(tmp_path: Path) -> None:
    context = make_context(AggregatorFile(network="n"), tmp_path / "var", tmp_path / "secrets")
    desk = Desk(context, context.open_database())
    names = [f"house-{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: desk.enrol([name]), names))
    desk.engine.dispose()
    lines = (broker_files.folder(context.secrets) / "passwd").read_text(encoding="utf-8").splitlines()
    assert {line.split(":")[0] for line in lines} == {broker_files.OWN_USER, *names}


def test_the_broker_reads_no_new_files_where_nothing_changed(tmp_path: Path) -> None:
    secrets = StationSecrets(tmp_path)
    assert broker_files.write(tmp_path, "n", secrets, [Enrolled("a", 1)])
    assert not broker_files.write(tmp_path, "n", secrets, [Enrolled("a", 1)])
    assert broker_files.write(tmp_path, "n", secrets, [Enrolled("a", 2)])
    assert secrets.mqtt("a", 2) not in (broker_files.folder(tmp_path) / "passwd").read_text(encoding="utf-8")


def test_settlements_are_whole_and_no_cell_is_a_formula() -> None:
    body = {"id": "=1+1", "reduction_wh": 120.5, "final": True, "goal": {"kind": "pledge", "reduction_w": 150.0}}
    settled = [Settlement("=1+1", "house-1", body, NOW), Settlement("two", "house-2", {"final": True}, NOW)]
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(settled)))))
    assert (rows[0]["event"], rows[0]["reduction_wh"], rows[0]["goal_w"]) == ("'=1+1", "120.5", "150.0")
    assert (rows[1]["event"], rows[1]["reduction_wh"]) == ("two", "")
    assert [one["event"] for one in json.loads("".join(json_lines(settled)))] == ["=1+1", "two"]
    assert json.loads("".join(json_lines([]))) == []
