"""The stack in containers: memory, CPU at rest, and how long until the first decision. Run by `make bench-compose`, not by `make bench`.

With the stand-in base image of tests/compose, in an engine of its own, without InfluxDB and Grafana.
"""

import os
import platform
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figure import Figure
from tests.benchmarks.footprint import memory_mib, ours
from tests.compose.base import tarball
from tests.compose.engine import Engine, running_engine
from tests.compose.stack import SERVICES, Stack, station_folder
from tests.support.ports import free_port
from tests.support.sps import sps_run, station_file
from tests.support.waiting import wait_until

SETTLE_S = float(os.environ.get("SPS_BENCH_SETTLE_S", "120"))
OBSERVE_S = float(os.environ.get("SPS_BENCH_OBSERVE_S", "60"))
ALL = ("mosquitto", *SERVICES)


def measure() -> list[Figure]:
    """All three, from one run of the stack and one of the one-process way."""
    with TemporaryDirectory(prefix="sps-bench-") as name, running_engine() as engine:
        engine.import_stand_in(tarball())
        folder = Path(name)
        stack = Stack(engine, "bench", folder / "stack", free_port())
        station_folder(folder / "stack" / "config")
        print("building the images …", flush=True)
        stack.compose("build", timeout_s=1500)
        _print_sizes(engine)
        try:
            first_s = _first_decision_s(stack)
            time.sleep(SETTLE_S)
            used = {service: stack.used(service) for service in ALL}
            shares_pct = _cpu_shares_pct(stack)
        finally:
            stack.remove()
        alone = _one_process_mib(folder)
    each = ", ".join(f"{service} {one.memory_mib:.0f}" for service, one in used.items())
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python of the stand-in image (Debian 12), shipped station at speed 1"
    return [
        Figure(
            "compose_memory",
            sum(one.memory_mib for one in used.values()),
            "MiB",
            alone,
            450.0,
            f"as `docker stats` counts it, all containers without InfluxDB and Grafana, {SETTLE_S:g} s after the first decision: {each};"
            f" of it anonymous {sum(one.anonymous_mib for one in used.values()):.0f}. Reference: RSS of `sps run`, the one-process way,"
            f" without its simulator; {where}",
        ),
        Figure(
            "compose_first_decision",
            first_s,
            "s",
            None,
            30.0,
            f"from `docker-compose up -d` with images present and no volume yet to the first controller/state on the page; {where}",
        ),
        Figure(
            "compose_cpu",
            sum(shares_pct.values()),
            "%",
            None,
            5.0,
            f"share of one core that all containers use together, health checks included, over {OBSERVE_S:g} s without an event:"
            f" {', '.join(f'{service} {pct:.1f}' for service, pct in shares_pct.items())}; {where}",
        ),
    ]


def _first_decision_s(stack: Stack) -> float:
    started = time.monotonic()
    stack.compose("up", "--detach")
    wait_until(lambda: _decides(stack), 120, what="the first decision")
    return time.monotonic() - started


def _decides(stack: Stack) -> bool:
    try:
        return stack.page("/api/state")["controller"] is not None
    except OSError:
        return False


def _cpu_shares_pct(stack: Stack) -> dict[str, float]:
    before, started = {service: stack.used(service).cpu_s for service in ALL}, time.monotonic()
    time.sleep(OBSERVE_S)
    spent = {service: stack.used(service).cpu_s - before[service] for service in ALL}
    return {service: 100 * cpu_s / (time.monotonic() - started) for service, cpu_s in spent.items()}


def _one_process_mib(folder: Path) -> float:
    with sps_run(station_file(folder, simulation={"speed": 1}), folder / "var", wait_s=300) as running:
        time.sleep(SETTLE_S)
        _, rss = memory_mib(ours(running))
    return rss


def _print_sizes(engine: Engine) -> None:
    print(engine.docker("images", "--format", "{{.Repository}}  {{.Size}}", "localhost/smart-power-station/*"), end="", flush=True)
