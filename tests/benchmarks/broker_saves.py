"""What it costs the broker to save retained messages: at each change, or every minute as we have it."""

import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.bus.broker.choose import find_mosquitto
from tests.benchmarks.figure import Figure
from tests.support.guarded import SHIPPED
from tests.support.plain_client import PlainClient
from tests.support.ports import free_port
from tests.support.waiting import wait_until

TOPICS = 60
"""Retained on the bus of a station with Home Assistant and a few events."""
BYTES = 600
MESSAGES = 200
EVERY_S = 5.0
"""The controller alone retains its state so often."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Broker:
    process: subprocess.Popen[bytes]
    port: int
    database: Path

    def written(self) -> int:
        """Bytes that it has given the system to write."""
        text = Path(f"/proc/{self.process.pid}/io").read_text(encoding="ascii")
        return int(re.findall(r"^wchar: (\d+)", text, re.MULTILINE)[0])


@contextmanager
def broker(*saving: str) -> Iterator[Broker]:
    """Mosquitto with `saving`, and as many retained topics as a station has."""
    program = find_mosquitto()
    if program is None:
        raise SystemExit("broker_saves needs Mosquitto: apt-get install mosquitto")
    with tempfile.TemporaryDirectory(prefix="sps-bench-") as name:
        folder, port = Path(name), free_port()
        lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "set_tcp_nodelay true", "persistence true"]
        lines += [f"persistence_location {folder}/", *saving, *(["user root"] if os.geteuid() == 0 else [])]
        (folder / "c.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
        process = subprocess.Popen([program, "-c", folder / "c.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: _answers(port), 10, what="Mosquitto to answer")
            with PlainClient("127.0.0.1", port, subscribe=None) as client:
                for number in range(TOPICS):
                    client.publish(f"sps/demo/{number}", b"x" * BYTES, retain=True)
            yield Broker(process, port, folder / "mosquitto.db")
        finally:
            process.kill()
            process.wait()


def measure() -> list[Figure]:
    """Bytes a day, and how long a retained message takes to be acknowledged."""
    assert "autosave_interval 60\n" in (SHIPPED / "mosquitto.conf").read_text(encoding="utf-8")
    with broker("autosave_on_changes true", "autosave_interval 1") as changing:
        begin = changing.written()
        acknowledged_at_change_ms = _acknowledged_ms(changing)
        a_message = (changing.written() - begin) / MESSAGES
    with broker("autosave_interval 60") as minutely:
        acknowledged_ms = _acknowledged_ms(minutely)
        begin = minutely.written()
        minutely.process.send_signal(signal.SIGUSR1)  # what it does by itself each minute
        wait_until(minutely.database.exists, 10, what="the database to be saved")
        a_save = minutely.written() - begin
    what = f"{TOPICS} retained topics of {BYTES} bytes, one message in {EVERY_S:g} s; written to the system, which may merge"
    return [
        Figure(
            "broker_saves",
            a_save * DAY_S / 60 / 1e6,
            "MB/day",
            a_message * DAY_S / EVERY_S / 1e6,
            0.25,
            f"{what}; saved every minute, beside saved at each change",
            goal_on="ratio",
        ),
        Figure(
            "broker_acknowledges",
            acknowledged_ms,
            "ms",
            acknowledged_at_change_ms,
            1.0,
            f"median of {MESSAGES} retained messages at QoS 1, saved every minute, beside saved at each change; this disk, no SD card",
            goal_on="ratio",
        ),
    ]


def _acknowledged_ms(running: Broker) -> float:
    found = []
    with PlainClient("127.0.0.1", running.port, subscribe=None) as client:
        for _ in range(MESSAGES):
            begin = time.perf_counter()
            client.publish("sps/demo/0", b"y" * BYTES, retain=True)
            found.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(found)


def _answers(port: int) -> bool:
    try:
        with PlainClient("127.0.0.1", port, subscribe=None):
            return True
    except OSError:
        return False
