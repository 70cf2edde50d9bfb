"""The PV forecast's shell, against real files and a real HTTP server."""

import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
import requests

from services.bus.clock import SystemClock
from services.controller.forecast_source import MAX_BYTES, ForecastFeed, read
from services.core.config.forecast import PvForecastSection
from services.core.pv_forecast import BadForecast

GOOD = "start,pv_wh\n2026-07-01T12:00:00Z,180\n"


class Bus:
    """Only what the feed asks of one."""

    def __init__(self):
        self.reports = []

    def report(self, message, **more):
        self.reports.append((message, more))

    async def wait_clock(self):
        return


class Server(ThreadingHTTPServer):
    answer: Any
    url: str


@pytest.fixture
def server():
    """Serves `server.answer(handler)`."""

    class Page(BaseHTTPRequestHandler):
        server: "Server"

        def do_GET(self):
            self.server.answer(self)

        def log_message(self, *_):
            pass

    found = Server(("127.0.0.1", 0), Page)
    found.daemon_threads = True
    found.url = f"http://127.0.0.1:{found.server_port}/pv"
    thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def answers(status, body):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def feed(source, **more):
    bus = Bus()
    return ForecastFeed(PvForecastSection(source=source, **more), SystemClock(), cast(Any, bus)), bus


async def test_over_http_and_out_of_a_file_the_same_is_read(server, tmp_path):
    server.answer = answers(200, GOOD.encode())
    file = tmp_path / "pv.csv"
    file.write_text(GOOD, encoding="utf-8")
    for source in (server.url, str(file)):
        found, bus = feed(source)
        await found._look(source)
        assert found.fresh(datetime.now(UTC)) is not None
        assert not bus.reports


@pytest.mark.parametrize(
    "body", [answers(500, b"down"), answers(200, b"<html>"), answers(200, b"\xff\xfe\x00"), answers(200, b"x" * (MAX_BYTES + 1))]
)
async def test_what_cannot_be_used_is_told_and_the_last_good_one_holds(server, body):
    server.answer = answers(200, GOOD.encode())
    found, bus = feed(server.url)
    await found._look(server.url)
    server.answer = body
    await found._look(server.url)
    assert found.fresh(datetime.now(UTC)) is not None
    [(message, more)] = bus.reports
    assert "cannot be used" in message
    assert "the last one holds" in more["remedy"]


async def test_a_source_that_was_never_there_is_told_and_the_learnt_hours_hold(tmp_path):
    missing = str(tmp_path / "nowhere.json")
    found, bus = feed(missing)
    await found._look(missing)
    assert found.fresh(datetime.now(UTC)) is None
    assert "the learnt hours hold" in bus.reports[0][1]["remedy"]


async def test_an_old_forecast_is_none(server):
    server.answer = answers(200, GOOD.encode())
    found, _ = feed(server.url, every="PT10M", stale_after="PT1H")
    await found._look(server.url)
    assert found.fresh(datetime.now(UTC) + timedelta(minutes=59)) is not None
    assert found.fresh(datetime.now(UTC) + timedelta(minutes=61)) is None


def test_a_source_that_drips_or_says_nothing_is_given_up(server):
    stop = threading.Event()

    def drip(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            while not stop.wait(0.05):
                handler.wfile.write(b"x" * 20_000)
                handler.wfile.flush()
                if stop.wait(0.1):
                    return
        except OSError:
            return

    server.answer = drip
    begun = time.monotonic()
    with pytest.raises((BadForecast, requests.RequestException)):
        read(server.url, 0.2)
    stop.set()
    silent = threading.Event()
    server.answer = lambda _handler: silent.wait(10)
    with pytest.raises(requests.RequestException):
        read(server.url, 0.2)
    silent.set()
    assert time.monotonic() - begun < 5


async def test_without_a_source_nothing_runs():
    found, bus = feed(None)
    await found.run()
    assert not bus.reports
