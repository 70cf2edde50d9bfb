"""An aggregator's HTTP side that behaves as it is told to, and counts what it was given: on a real socket, in a thread of its own."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.bus.uplink import request_signature

GOOD = "good"


@dataclass
class Stored:
    """What one batch brought."""

    kind: str
    records: list[dict[str, Any]]
    cursor: str


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    """Unpacked."""


class Aggregator(ThreadingHTTPServer):
    """Answers the next requests as `script` says, one word each, and then well."""

    daemon_threads = True

    def __init__(self, *, port: int = 0, secret: str = "", tls: Any = None) -> None:
        super().__init__(("127.0.0.1", port), _Page)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.script: list[str] = []
        self.secret = secret
        self.asked: list[Asked] = []
        self.stored: dict[str, Stored] = {}
        """By idempotency key: what the aggregator has on disk, so to say."""
        self.repeated = 0
        self.received_records = 0
        """Records in all bodies that came whole, the same ones again counted again."""
        self.before_answer: Callable[[], None] = lambda: None
        self.registered: list[dict[str, Any]] = []
        self.forgotten = 0
        self.tables: dict[str, dict[str, Any]] = {"live": {}, "analysis": {}}
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http{'s' if hasattr(self.socket, 'context') else ''}://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def behaviour(self) -> str:
        with self._lock:
            return self.script.pop(0) if self.script else GOOD

    def store(self, key: str, batch: dict[str, Any]) -> bool:
        """Whether it was there already."""
        with self._lock:
            self.received_records += len(batch["records"])
            if key in self.stored:
                self.repeated += 1
                return True
            self.stored[key] = Stored(batch["kind"], batch["records"], batch["cursor"])
            return False

    def records(self, kind: str) -> list[dict[str, Any]]:
        """All that was stored of a kind, in the order in which it came."""
        return [record for one in self.stored.values() if one.kind == kind for record in one.records]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what these tests are about."""


@dataclass
class _Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


class _Page(BaseHTTPRequestHandler):
    server: Aggregator
    protocol_version = "HTTP/1.1"
    timeout = 20

    def do_POST(self) -> None:
        self._handle()

    do_PUT = do_DELETE = do_PATCH = do_GET = do_POST  # noqa: N815 - the library's names

    def _handle(self) -> None:
        behaviour = self.server.behaviour()
        length = int(self.headers.get("Content-Length", "0"))
        if behaviour == "hangs up in the middle of the body":
            self.rfile.read(min(length, 100))
            self._hang_up()
            return
        raw = self.rfile.read(length)
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        self.server.asked.append(Asked(self.command, self.path, dict(self.headers.items()), body))
        if (refusal := self._refusal(raw)) is not None:
            self._answer(_Answer(401, json.dumps({"message": refusal}).encode()))
            return
        misbehave = _MISBEHAVIOURS.get(behaviour)
        if misbehave is None:
            answer = self._good(body)
            self.server.before_answer()
            if behaviour == "stores, then loses the connection":
                self._hang_up()
            elif behaviour == "stores, then answers half":
                self._write(b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"acc')
                self._hang_up()
            elif behaviour == "stores, then drips its answer":
                self._drip()
            else:
                self._answer(answer)
        else:
            misbehave(self)

    def _good(self, body: bytes) -> _Answer:
        if self.command == "PUT":
            self.server.registered.append(json.loads(body))
            return _Answer()
        if self.command == "DELETE":
            self.server.forgotten += 1
            return _Answer(202)
        if self.path.endswith("/batches"):
            batch = json.loads(body)
            repeated = self.server.store(self.headers["Idempotency-Key"], batch)
            return _Answer(body=json.dumps({"accepted": 0 if repeated else len(batch["records"]), "duplicate": repeated}).encode())
        table = self.path.split("?")[0].split("/")[1]
        if self.command == "PATCH":
            content = json.loads(body)
            fields = content["fields"] if "fields" in content else content["records"][0]["fields"]
            self.server.tables[table] |= fields
        return _Answer(body=json.dumps({"records": [{"id": "rec123"}]}).encode())

    def _refusal(self, raw: bytes) -> str | None:
        if not self.server.secret:
            return None
        if "Authorization" in self.headers:
            return None if self.headers["Authorization"] == f"Bearer {self.server.secret}" else "a wrong token"
        stamp, given = self.headers.get(request_signature.TIMESTAMP, ""), self.headers.get(request_signature.SIGNATURE, "")
        return request_signature.refusal(self.server.secret, given, stamp, self.command, self.path, raw, time.time())

    def _answer(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _drip(self) -> None:
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n")
        for _ in range(40):
            self._write(b" ")
            time.sleep(0.05)
        self._hang_up()

    def _hang_up(self) -> None:
        # With a reset, as a crashed machine would: not even a goodbye.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _endless(self) -> None:
        self._write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(400):
            self._write(b"x" * 10_000)
        self._hang_up()

    def log_message(self, *_: object) -> None:
        pass


def _says(status: int, body: bytes = b"{}", **headers: str) -> Callable[[_Page], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda page: page._answer(_Answer(status, body, named))


def _until_a_date(page: _Page) -> None:
    page._answer(_Answer(429, b"{}", {"Retry-After": formatdate(time.time() + 1, usegmt=True)}))


_MISBEHAVIOURS: dict[str, Callable[[_Page], None]] = {
    "429, wait 1 s": _says(429, Retry_After="1"),
    "429, wait until a date": _until_a_date,
    "429, wait a nonsense": _says(429, Retry_After="soon"),
    "503, wait 1 s": _says(503, Retry_After="1"),
    "500": _says(500, b"<h1>broken</h1>"),
    "redirects": _says(307, Location="http://127.0.0.1:1/elsewhere"),
    "says 200 and means a login page": _says(200, b"<html>Welcome to our hotel's network</html>"),
    "answers without end": lambda page: page._endless(),
    "answers garbage": lambda page: (page._write(b"\x00\x01\x02 this is no HTTP\r\n\r\n"), page._hang_up())[0],
    "resets at once": lambda page: page._hang_up(),
    "400": _says(400, b'{"message": "no such network", "field": "network"}'),
    "422": _says(422, b'{"message": "records.3.p1_w: a number is expected"}'),
    "413": _says(413, b'{"message": "too large"}'),
    "401": _says(401, b'{"message": "a wrong token"}'),
}
MISBEHAVIOURS = (
    "hangs up in the middle of the body",
    "resets at once",
    "stores, then loses the connection",
    "stores, then answers half",
    "stores, then drips its answer",
    "429, wait 1 s",
    "429, wait until a date",
    "429, wait a nonsense",
    "503, wait 1 s",
    "500",
    "401",
    "413",
    "redirects",
    "says 200 and means a login page",
    "answers without end",
    "answers garbage",
)
"""After which nothing may be lost."""
