"""A real server that accepts `/api/v2/write`: VictoriaMetrics, on a free port, in a process of its own."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from tests.support.needs import need_victoria
from tests.support.ports import free_port


class Victoria:
    """One server with its data in `folder`; it can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        need_victoria()
        self._process = subprocess.Popen(
            [
                shutil.which("victoria-metrics") or "victoria-metrics",
                f"-storageDataPath={self._folder}",
                f"-httpListenAddr=127.0.0.1:{self.port}",
                "-retentionPeriod=100y",
                "-dedup.minScrapeInterval=1ms",  # a point of the same time and tags is the same point, as in InfluxDB
                "-loggerLevel=ERROR",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/health", timeout=2).ok:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("VictoriaMetrics does not answer")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it; what it has taken stays in its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None

    def samples(self, match: str) -> dict[int, float]:
        """Value by time in ms of one series."""
        requests.get(f"{self.url}/internal/force_flush", timeout=10)
        text = requests.get(f"{self.url}/api/v1/export", params={"match[]": match}, timeout=20).text
        found: dict[int, float] = {}
        for line in text.splitlines():
            one = json.loads(line)
            assert len(set(one["timestamps"])) == len(one["timestamps"]), "a point is there twice"
            found |= dict(zip(one["timestamps"], one["values"], strict=True))
        return found


@contextlib.contextmanager
def victoria(folder: Path) -> Iterator[Victoria]:
    """A running one."""
    server = Victoria(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
