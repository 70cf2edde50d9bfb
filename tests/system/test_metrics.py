"""What Prometheus reads of a running station, parsed by its own parser."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.support.access import GuardedHouse
from tests.support.gateway import House
from tests.support.ports import free_port
from tests.support.sps import sps_run, station_file
from tests.support.waiting import wait_until

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(family.documentation and family.type != "unknown" for family in families)
    return {
        (s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples if not s.name.endswith("_created")
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(tmp_path) as house:
        yield house


def scraped(house: House) -> Samples:
    answer = house.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return parsed(answer.text)


def test_what_the_bus_brought_is_counted_and_what_was_refused_apart(house: House) -> None:
    before = scraped(house)
    house.readings(p1=50.0)
    house.publish("position/p1/reading", {"power_w": "lots", "device": "test"})
    house.publish("position/p2/reading", {"power_w": 1.0, "device": "test"})

    def grown(name: str) -> float:
        return value(scraped(house), name, service="gateway") - value(before, name, service="gateway")

    wait_until(lambda: grown("sps_bus_messages_received_total") >= 4, what="the messages to be counted")
    assert grown("sps_bus_messages_refused_total") == 1
    assert grown("sps_bus_messages_sent_total") >= 1, "the error that was told"
    assert grown("sps_bus_handler_seconds_count") >= 3
    assert grown("sps_bus_handler_seconds_sum") > 0


def test_a_lost_broker_shows_and_so_does_its_return(house: House) -> None:
    before = value(scraped(house), "sps_bus_reconnects_total", service="gateway")
    assert value(scraped(house), "sps_bus_connected", service="gateway") == 1
    house.broker.stop()
    wait_until(lambda: value(scraped(house), "sps_bus_connected", service="gateway") == 0, what="the loss")
    house.broker.start()
    wait_until(lambda: value(scraped(house), "sps_bus_connected", service="gateway") == 1, 15, what="the return")
    assert value(scraped(house), "sps_bus_reconnects_total", service="gateway") == before + 1


def test_requests_are_counted_by_template_so_that_nobody_outside_makes_labels(house: House) -> None:
    counter = {"name": "sps_gateway_http_requests_total", "method": "GET", "route": "/api/events/{event_id}", "status": "404"}
    house.get("/api/events/made-up")
    before = value(scraped(house), **counter)
    for n in range(20):
        house.get(f"/api/events/made-up-{n}")
        house.get(f"/made-up-{n}")
        house.get(f"/static/made-up-{n}.js")
        requests.request(f"MADEUP{n}", house.url + "/", timeout=5)
    samples = scraped(house)
    assert value(samples, **counter) == before + 20
    assert value(samples, "sps_gateway_http_requests_total", method="GET", route="/static", status="404") >= 20
    assert not [labels for name, labels in samples if "made-up" in str(labels) or "MADEUP" in str(labels)]


def test_prometheus_needs_a_token_with_read_where_access_is_controlled(tmp_path: Path) -> None:
    with GuardedHouse(tmp_path) as house:
        assert house.get("/metrics").status_code == 401
        assert house.get("/metrics", headers=house.bearer("events")).status_code == 403
        assert value(parsed(house.get("/metrics", headers=house.bearer("read")).text), "sps_bus_connected", service="gateway") == 1


def test_a_whole_station_in_one_process_shares_one_page_of_meters(tmp_path: Path) -> None:
    file = station_file(tmp_path, simulation={"speed": 60, "seed_days": 0})
    with sps_run(file, tmp_path / "var") as running:

        def samples() -> Samples:
            return parsed(requests.get(f"{running.page}/metrics", timeout=5).text)

        wait_until(lambda: value(samples(), "sps_recorder_commits_total") >= 1, 30, what="a commit")
        found = samples()
        for service in ("controller", "recorder", "gateway", "relay_bridge", "bluetti_bridge"):
            assert value(found, "sps_bus_connected", service=service) == 1
            assert value(found, "sps_bus_messages_sent_total", service=service) > 0
        assert value(found, "sps_controller_decisions_total") > 1
        assert sum(value(found, "sps_controller_phase", phase=phase) for phase in ("normal", "upcoming", "ongoing")) == 1
        assert 0 <= value(found, "sps_recorder_commit_lag_seconds") < 60 * 60
        assert value(found, "process_resident_memory_bytes") > 10e6
        assert value(found, "process_cpu_seconds_total") > 0
        assert value(found, "sps_build_info", version="0.1.0") == 1


def test_a_service_of_its_own_answers_where_it_is_told_and_nowhere_else(tmp_path: Path, house: House) -> None:
    file = station_file(tmp_path, broker={"port": house.broker.port, "start": False})
    port = free_port()
    command = [sys.executable, "-m", "services.home_assistant", "--config", str(file), "--var", str(tmp_path / "other")]
    with subprocess.Popen(command, env={**os.environ, "SPS_METRICS_PORT": str(port)}) as process:
        try:
            found = wait_until(lambda: asked(port), 20, what="the meters")
            assert found is not None
        finally:
            process.terminate()
            assert process.wait(10) == 0
    taken = subprocess.run(
        command,
        env={**os.environ, "SPS_METRICS_PORT": str(house.station.web.port)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (taken.returncode, "SPS_METRICS_PORT" in taken.stderr, "choose another port" in taken.stderr) == (2, True, True)


def asked(port: int) -> Samples | None:
    try:
        found = parsed(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=2).text)
    except requests.ConnectionError:
        return None
    return found if found.get(("sps_bus_connected", (("service", "home_assistant"),))) == 1 else None
