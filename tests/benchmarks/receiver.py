"""An aggregator's HTTP side for the benchmark, as a process of its own: unpacks, checks and stores each batch in SQLite.

It is on disk before it answers. Argument: its database. Prints its port.
"""

import gzip
import json
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

from pydantic import TypeAdapter

from services.bus.uplink.batches import Batch

_BATCH: TypeAdapter[Batch] = TypeAdapter(Batch)


class Page(BaseHTTPRequestHandler):
    """One request after the other, as one station sends them."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # header and body in one piece: two would wait for one another's acknowledgement
    db: ClassVar[sqlite3.Connection]

    def do_POST(self) -> None:
        """Store a batch."""
        batch = _BATCH.validate_json(gzip.decompress(self.rfile.read(int(self.headers["Content-Length"]))))
        key = self.headers["Idempotency-Key"]
        with self.db:
            new = self.db.execute("INSERT OR IGNORE INTO batch VALUES (?)", (key,)).rowcount > 0
            if new:
                rows = ((str(record.model_dump_json(exclude_none=True)),) for record in batch.records)
                self.db.executemany("INSERT INTO record VALUES (?)", rows)
        body = json.dumps({"accepted": len(batch.records) if new else 0, "duplicate": not new}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_PUT(self) -> None:
        """Take a registration."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def main(path: str) -> None:
    """Serve until killed."""
    Page.db = sqlite3.connect(path)
    Page.db.execute("PRAGMA journal_mode = WAL")
    Page.db.execute("PRAGMA synchronous = FULL")
    Page.db.execute("CREATE TABLE batch (key TEXT PRIMARY KEY) STRICT")
    Page.db.execute("CREATE TABLE record (body TEXT NOT NULL) STRICT")
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
