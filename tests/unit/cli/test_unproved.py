"""A real station is told what it has not proved; a proof counts for the device that gave it."""

from datetime import UTC, datetime
from pathlib import Path

from services.cli.unproved import unproved
from services.core.config.load import parse_station
from services.relay_bridge.verify import Proof, Proofs
from tests.support.sps import real_text

SHIPPED = Path("config/station.yaml").read_text(encoding="utf-8")
REAL = real_text()


def test_simulated_station_has_nothing_to_prove(tmp_path):
    assert unproved(parse_station(SHIPPED), tmp_path) == []


def test_each_relay_and_an_unknown_priority_are_named_until_proved(tmp_path):
    station = parse_station(REAL.replace("priority: grid", "priority: unknown"))
    assert [line.split(":")[0] for line in unproved(station, tmp_path)] == [
        "sps relay verify-deadman p1", "sps relay verify-deadman p2", "sps ats test",
    ]  # fmt: skip
    p1 = station.positions.relays()["p1"]
    proof = Proof(
        driver=p1.driver, address=p1.address, channel=0, safe_on=True, timer_s=10, flipped_after_s=10, at=datetime(2027, 1, 1, tzinfo=UTC)
    )
    (tmp_path / "relay_bridge").mkdir()
    (tmp_path / "relay_bridge" / "verified.json").write_text(Proofs(proofs={"p1": proof}).model_dump_json())
    assert not any("p1" in line for line in unproved(station, tmp_path))
    moved = parse_station(REAL.replace(p1.address, "http://192.0.2.1"))
    assert any("verify-deadman p1" in line for line in unproved(moved, tmp_path))


def test_relay_that_is_said_to_have_no_timer_is_not_asked_for_a_proof(tmp_path):
    station = parse_station(REAL)
    p2 = station.positions.p2.model_copy(update={"deadman": "none"})
    changed = station.model_copy(update={"positions": station.positions.model_copy(update={"p2": p2})})
    assert [line.split(":")[0] for line in unproved(changed, tmp_path)] == ["sps relay verify-deadman p1"]
