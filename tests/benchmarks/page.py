"""The page: how soon a visitor sees a live value, and what twenty open pages cost the gateway."""

import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.figure import Figure
from tests.benchmarks.footprint import cpu_s, ours
from tests.browser.chromium import ARGUMENTS, EXECUTABLE
from tests.support.sps import Running, sps_run, station_file

VISITS = 31
PAGES = 20
SETTLE_S = 20.0
OBSERVE_S = 30.0
ROUNDS = 2
SEEN = """
new MutationObserver((_, observer) => {
  const value = document.querySelector(SELECTOR);
  if (!value || !/\\d+ W/.test(value.textContent)) return;
  observer.disconnect();
  document.documentElement.dataset.seenAt = performance.now();
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
"""Notes when the first value stands in the page, in milliseconds since the navigation began."""


class _Bare(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'<!doctype html><title>bare</title><link rel="icon" href="data:,"><p id="value">42 W</p>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def first_value_ms(browser: Browser, url: str, selector: str) -> float:
    """One cold visit: nothing is in the browser's cache."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(SEEN.replace("SELECTOR", repr(selector)))
    page.goto(url, wait_until="commit")
    # By a selector: the page's policy forbids the evaluation of what Playwright would wait for.
    page.wait_for_selector("html[data-seen-at]", state="attached")
    seen = float(page.locator("html").get_attribute("data-seen-at") or "nan")
    context.close()
    return seen


def visits(url: str) -> tuple[list[float], list[float]]:
    """The page and the bare one, in turns."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bare)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ours_ms, bare_ms = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        for _ in range(VISITS):
            ours_ms.append(first_value_ms(browser, url, "[data-position=p1] .value"))
            bare_ms.append(first_value_ms(browser, f"http://127.0.0.1:{server.server_port}/", "#value"))
        browser.close()
    server.shutdown()
    server.server_close()
    return ours_ms, bare_ms


def share_pct(processes: list[psutil.Process]) -> float:
    """The share of one core over a while."""
    before, started = cpu_s(processes), time.monotonic()
    time.sleep(OBSERVE_S)
    return 100 * (cpu_s(processes) - before) / (time.monotonic() - started)


def with_pages(running: Running, measured: Callable[[], float]) -> float:
    """What `measured` gives while twenty pages follow the stream from another process."""
    command = [sys.executable, "-m", "tests.benchmarks.page_clients", running.page, str(PAGES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as clients:
        assert clients.stdout is not None
        clients.stdout.readline()
        time.sleep(2)
        found = measured()
        assert clients.poll() is None, "the pages' process died"
        clients.kill()
    return found


def measure() -> list[Figure]:
    """Both figures, from one run."""
    if EXECUTABLE is None:
        raise SystemExit("page_first_value needs Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sps_run(station_file(folder, simulation={"speed": 1, "seed_days": 1}), folder / "var", wait_s=300) as running:
            time.sleep(SETTLE_S)
            ours_ms, bare_ms = visits(running.page)
            time.sleep(5)
            processes = ours(running)
            # In turns, so that what else the machine does falls on both.
            shares = [(share_pct(processes), with_pages(running, lambda: share_pct(processes))) for _ in range(ROUNDS)]
    none, twenty = (statistics.mean(one[i] for one in shares) for i in (0, 1))
    where = f"{platform.machine()}, Python {platform.python_version()}, sps run in one process at speed 1"
    spread = f"p90 {statistics.quantiles(ours_ms, n=10)[-1]:.0f} ms"
    return [
        Figure(
            "page_first_value",
            statistics.median(ours_ms),
            "ms",
            statistics.median(bare_ms),
            300,
            f"median of {VISITS} cold visits in Chromium on loopback, from the navigation's begin to the first value of P1, "
            f"which comes with the page ({spread}); {where}; reference: a bare static page with a value in it, in turns",
        ),
        Figure(
            "page_fanout_cpu",
            max(0.0, twenty - none),
            "% of a core",
            none,
            5,
            f"what {PAGES} clients of the stream add to {where}, readings at 1 Hz, over {ROUNDS} x {OBSERVE_S:g} s each; "
            f"reference: the share of everything with no page open",
        ),
    ]
