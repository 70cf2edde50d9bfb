"""`sps run` starts a broker: which one, and when it refuses."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from services.bus.broker import BrokerError, PortInUse, choose, start_broker
from services.core.config.station import Broker
from tests.support.plain_client import PlainClient
from tests.support.ports import free_port
from tests.support.waiting import wait_for, wait_until


def mosquitto_pid(port: int) -> int | None:
    """Who runs with our configuration for `port`."""
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["name"] == "mosquitto" and words[-2:-1] == ["-c"]:
            with contextlib.suppress(OSError):
                if f"listener {port} " in Path(words[-1]).read_text(encoding="utf-8"):
                    return process.pid
    return None


async def test_mosquitto_is_started_and_stopped_when_it_is_installed(tmp_path) -> None:
    port = free_port()
    async with start_broker(Broker(port=port), tmp_path) as name:
        assert name == "Mosquitto"
        assert mosquitto_pid(port)
        with PlainClient("127.0.0.1", port) as plain:
            plain.publish("sps/demo/x", "y")
            await wait_for(lambda: plain.heard)
    assert mosquitto_pid(port) is None


async def test_without_mosquitto_the_embedded_broker_serves(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(choose, "find_mosquitto", lambda: None)
    port = free_port()
    async with start_broker(Broker(port=port), tmp_path) as name:
        assert name == "the embedded broker"
        await asyncio.to_thread(_exchange, port)
        await asyncio.sleep(0)


def _exchange(port: int) -> None:
    with PlainClient("127.0.0.1", port) as plain:
        plain.publish("sps/demo/x", "y")
        wait_until(lambda: plain.heard)


async def test_a_port_in_use_is_said_in_one_line(tmp_path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use") as refused:
            async with start_broker(Broker(port=port), tmp_path):
                pass
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "::", "broker.example"])
async def test_no_broker_without_passwords_beyond_loopback(tmp_path, host) -> None:
    with pytest.raises(BrokerError, match=r"broker\.host"):
        async with start_broker(Broker(host=host, port=free_port()), tmp_path):
            pass


async def test_mosquitto_that_ends_is_started_again(tmp_path) -> None:
    port = free_port()
    async with start_broker(Broker(port=port), tmp_path):
        first = mosquitto_pid(port)
        assert first
        os.kill(first, signal.SIGKILL)
        again = await wait_for(lambda: (pid := mosquitto_pid(port)) != first and pid, 10)
        assert again
        await wait_for(lambda: _listens(port), 10)


async def test_mosquitto_that_cannot_run_says_why(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("services.bus.broker.mosquitto.configuration", lambda *_a, **_k: "nonsense true\n")
    with pytest.raises(BrokerError, match=r"Mosquitto ended at once.*nonsense"):
        async with start_broker(Broker(port=free_port()), tmp_path):
            pass


def test_mosquitto_ends_with_a_parent_that_was_killed(tmp_path) -> None:
    port = free_port()
    program = (
        "import asyncio, sys; from pathlib import Path\nfrom services.bus.broker import start_broker\n"
        "from services.core.config.station import Broker\n"
        "async def main():\n    async with start_broker(Broker(port=int(sys.argv[1])), Path(sys.argv[2])):\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(port), str(tmp_path)])
    try:
        wait_until(lambda: mosquitto_pid(port) and _listens(port), 15)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: mosquitto_pid(port) is None)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
