"""What `sps run` refuses to start with, and how it says so."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.exits import CommandFailed
from services.cli.preflight import Listener, broker_listener, claim, listeners, refuse_taken
from services.core.config.load import parse_station

STATION = parse_station(Path("config/station.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_port_in_use_is_said_with_number_purpose_and_remedy(taken_port):
    with pytest.raises(CommandFailed) as failure:
        refuse_taken([Listener("127.0.0.1", taken_port, "the page", "web.port")], grace_s=0)
    message = str(failure.value)
    assert str(taken_port) in message
    assert "the page" in message
    assert "web.port" in message
    assert "\n" not in message


def test_port_that_was_just_let_go_counts_as_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # this side closes first, so the port lingers in TIME_WAIT
    refuse_taken([Listener("127.0.0.1", port, "the page", "web.port")])


def test_host_that_is_not_ours_is_said_so():
    with pytest.raises(CommandFailed, match="cannot be listened on"):
        refuse_taken([Listener("192.0.2.1", 8080, "the page", "web.port")])


def test_each_port_of_the_shipped_station_is_checked_once():
    wanted = [broker_listener(STATION), *listeners(STATION, ("recorder", "gateway", "controller"), simulator=True)]
    assert sorted(w.port for w in wanted) == [1883, 8080, 8081, 18081, 18082, 18083, 18084, 18085]


def test_without_simulator_its_ports_do_not_matter():
    assert {w.port for w in listeners(STATION, ("controller", "relay_bridge"), simulator=False)} == set()


def test_second_process_on_the_same_state_is_refused(tmp_path):
    with (
        claim(tmp_path, ["controller", "recorder"]),
        pytest.raises(CommandFailed, match="another sps is running"),
        claim(tmp_path, ["recorder"]),
    ):
        pass


def test_two_processes_may_share_the_state_folder_for_different_services(tmp_path):
    with claim(tmp_path, ["controller"]), claim(tmp_path, ["recorder"]):
        pass


def test_claim_ends_with_its_holder_even_by_kill(tmp_path):
    code = f"""
import pathlib, time
from services.cli.preflight import claim
with claim(pathlib.Path({str(tmp_path)!r}), ["controller"]):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(CommandFailed), claim(tmp_path, ["controller"]):
            pass
        holder.kill()
        holder.wait()
    with claim(tmp_path, ["controller"]):
        pass


def test_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    in_the_way = tmp_path / "var"
    in_the_way.write_text("a file, not a folder", encoding="utf-8")
    with pytest.raises(CommandFailed, match="cannot be written") as failure, claim(in_the_way, ["controller"]):
        pass
    assert "\n" not in str(failure.value)
    assert "--var" in str(failure.value)
