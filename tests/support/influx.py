"""A real server of InfluxQL: InfluxDB 1, on a free port, in a process of its own. Writes of InfluxDB 2 reach it over a small bridge."""

import contextlib
import http.server
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.support.needs import need_influxd
from tests.support.ports import free_ports

DATABASE, RAW, LONG = "sps", "raw", "long"
_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
"""

Series = list[dict[str, Any]]


class Influx:
    """One server with its data in `folder`, with the database and the retention policies that `sps influx setup` maps buckets to."""

    def __init__(self, folder: Path) -> None:
        need_influxd()
        rpc, port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "influxdb.conf"
        config.write_text(_CONFIG.format(rpc=rpc, port=port, folder=folder), encoding="utf-8")
        command = [shutil.which("influxd") or "influxd", "-config", str(config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        self._command(f'CREATE DATABASE "{DATABASE}" WITH DURATION INF NAME "{RAW}"')
        self._command(f'CREATE RETENTION POLICY "{LONG}" ON "{DATABASE}" DURATION INF REPLICATION 1')

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.url}/ping", timeout=2).status_code == 204:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError("InfluxDB does not answer")
            time.sleep(0.05)

    def _command(self, text: str) -> None:
        requests.post(f"{self.url}/query", params={"q": text}, timeout=20).raise_for_status()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def write(self, lines: bytes, policy: str, precision: str = "ms") -> requests.Response:
        """Write line protocol under a retention policy."""
        return requests.post(f"{self.url}/write", params={"db": DATABASE, "rp": policy, "precision": precision}, data=lines, timeout=60)

    def ask(self, query: str, database: str = DATABASE) -> Series:
        """The series that a query gives. Fails with the server's own words."""
        answer = requests.get(f"{self.url}/query", params={"db": database, "q": query, "epoch": "ms"}, timeout=60)
        body = answer.json()
        assert answer.ok, f"{query}: {body}"
        (result,) = body["results"]
        assert "error" not in result, f"{query}: {result['error']}"
        series: Series = result.get("series", [])
        return series


@contextlib.contextmanager
def influx(folder: Path) -> Iterator[Influx]:
    """A running one."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Influx(folder)
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def write_bridge(server: Influx, buckets: Mapping[str, str], token: str) -> Iterator[str]:
    """The URL of a `/api/v2/write` that puts each bucket's points under a retention policy, as the mapping (DBRP) of InfluxDB 2 does."""

    class Bridge(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked, body = urlsplit(self.path), self.rfile.read(int(self.headers["Content-Length"]))
            given = {name: values[0] for name, values in parse_qs(asked.query).items()}
            if self.headers["Authorization"] != f"Token {token}":
                self._answer(401, b'{"code":"unauthorized","message":"unauthorized access"}')
            elif asked.path != "/api/v2/write" or given["bucket"] not in buckets:
                self._answer(404, json.dumps({"code": "not found", "message": f"bucket {given.get('bucket')} not found"}).encode())
            else:
                taken = server.write(body, buckets[given["bucket"]], given["precision"])
                self._answer(taken.status_code, taken.content)

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    bridge = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bridge)
    thread = threading.Thread(target=bridge.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{bridge.server_address[1]}"
    finally:
        bridge.shutdown()
        thread.join()
        bridge.server_close()
