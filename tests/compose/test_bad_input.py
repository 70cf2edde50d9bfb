"""What goes wrong at a start: it is said, and nothing half-starts."""

import socket
from collections.abc import Callable
from typing import Any

import requests

from tests.compose.stack import Stack
from tests.support.ports import free_port
from tests.support.waiting import wait_until


def test_a_station_file_with_an_error_starts_nothing_and_names_the_field(make_stack: Callable[..., Stack]) -> None:
    def wrong(station: dict[str, Any]) -> None:
        station["battery"]["floor_pct"] = 200

    stack = make_stack("wrong-station", wrong)
    assert stack.compose("up", "--detach", check=False).returncode != 0
    assert "battery.floor_pct: 200; " in stack.logs("setup")
    assert stack.look("setup")["State"]["ExitCode"] == 2
    assert stack.running() == set()
    assert not (stack.folder / "secrets").exists() or not list((stack.folder / "secrets").iterdir())


def test_a_secret_that_nobody_wrote_is_named_with_its_field_and_once_written_all_starts(make_stack: Callable[..., Stack]) -> None:
    def with_password(station: dict[str, Any]) -> None:
        station["positions"]["p1"]["secret"] = "shelly-p1"

    stack = make_stack("no-secret", with_password)
    assert stack.compose("up", "--detach", check=False).returncode != 0
    assert "shelly-p1 is missing: positions.p1.secret of the station file names it" in stack.logs("setup")
    assert stack.running() == set()
    (stack.folder / "secrets/shelly-p1").write_text("the password\n")
    stack.compose("up", "--detach", "relay-bridge", "simulator")
    wait_until(lambda: stack.alive("relay-bridge"), 60, what="a heartbeat of the relay bridge")
    assert stack.exec("relay-bridge", "cat", "/secrets/shelly-p1") == "the password\n"
    stack.remove()


def test_a_wrong_password_is_said_and_the_right_one_is_taken_without_a_restart(stack: Stack) -> None:
    volume = f"{stack.project}_ina260-reader-secrets"
    image = stack.look("ina260-reader")["Config"]["Image"]

    def write(password: str) -> None:
        command = f"printf '%s\\n' '{password}' > /s/mqtt/ina260_reader"
        stack.engine.docker("run", "--rm", "--user", "0", "--volume", f"{volume}:/s", image, "sh", "-c", command)

    write("not the password")
    stack.kill("ina260-reader")
    wait_until(lambda: "refuses us" in stack.logs("ina260-reader"), 40, what="the refusal in the log")
    assert not stack.alive("ina260-reader")
    write((stack.folder / "secrets/mqtt/ina260_reader").read_text().strip())
    wait_until(lambda: stack.alive("ina260-reader"), 60, what="a heartbeat")


def test_a_port_in_use_is_said_and_costs_the_page_alone(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        done = stack.compose("up", "--detach", "gateway", check=False, SPS_PAGE_PORT=str(port))
    assert done.returncode != 0
    assert f":{port}" in done.stderr
    assert "already in use" in done.stderr
    assert stack.alive("controller")
    stack.compose("up", "--detach", "gateway")
    wait_until(lambda: stack.alive("gateway"), 60, what="the page back")


def test_a_published_page_asks_for_its_password_and_says_where_it_lies(stack: Stack) -> None:
    assert requests.get(f"{stack.url}/api/state", timeout=5).status_code == 401
    assert requests.get(f"{stack.url}/", headers={"Accept": "text/html"}, timeout=5).url == f"{stack.url}/login"
    assert len(stack.first_password()) > 12
    said = stack.logs("gateway")
    assert "first-password" in said
    assert stack.first_password() not in said
    assert stack.page("/api/state")["station"] == "demo"


def test_a_station_without_a_bluetooth_adapter_says_so_and_goes_on(make_stack: Callable[..., Stack]) -> None:
    def real(station: dict[str, Any]) -> None:
        station["clock"] = "system"
        for position in ("p1", "p2"):
            station["positions"][position]["address"] = "http://127.0.0.1:1"
        station["positions"]["p4"] = {"sensor": "station"}
        station["battery"]["address"] = "AC1802237000123456"

    stack = make_stack("real", real)
    stack.compose("up", "--detach", "bluetti-bridge", "simulator", "ina260-reader")
    wait_until(lambda: "plug in or switch on the adapter" in stack.logs("bluetti-bridge"), 60, what="the missing adapter in the log")
    wait_until(lambda: stack.alive("bluetti-bridge"), 30, what="a heartbeat of the bridge")
    assert stack.look("bluetti-bridge")["RestartCount"] == 0
    # Nothing is simulated in a real house, and no chip is read where there is none.
    wait_until(lambda: "nothing to do: the station file has 'clock: system'" in stack.logs("simulator"), 30, what="the simulator rests")
    words = "nothing to do: no position of the station file has 'sensor: ina260'"
    wait_until(lambda: words in stack.logs("ina260-reader"), 30, what="the INA260 reader rests")
    assert stack.alive("simulator")
    stack.remove()


def test_state_of_a_later_version_is_refused_by_its_service_alone(stack: Stack) -> None:
    newer = """printf '{"format": 9, "software": "9.0.0"}' >/var/lib/sps/gateway/format.json"""
    stack.compose("stop", "gateway")
    stack.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "sps", "-ec", newer)
    stack.compose("up", "--detach", "--no-deps", "gateway")
    wait_until(lambda: "was written by version 9.0.0" in stack.logs("gateway"), 60, what="the refusal")
    assert not stack.alive("gateway")
    assert stack.alive("controller")
    mended = """printf '{"format": 1, "software": "0.1.0"}' >/var/lib/sps/gateway/format.json"""
    stack.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "sh", "sps", "-ec", mended)
    wait_until(lambda: stack.alive("gateway"), 90, what="the page back")
