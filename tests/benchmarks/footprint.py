"""Memory and CPU of `sps run`, without the simulator's process, with its broker, at real time."""

import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests.benchmarks.figure import Figure
from tests.support.sps import Running, sps_run, station_file

SETTLE_S = 180.0
OBSERVE_S = 60.0
LIBRARIES = "paho.mqtt.client, pydantic, requests, fastapi, uvicorn, sqlite3, yaml"
MIB = 1024 * 1024


def ours(running: Running) -> list[psutil.Process]:
    """The process of `sps run` and its children, without the simulator."""
    main = psutil.Process(running.process.pid)
    return [main, *(child for child in main.children(recursive=True) if "services.simulator" not in child.cmdline())]


def memory_mib(processes: list[psutil.Process]) -> tuple[float, float]:
    """PSS and RSS of all together."""
    infos = [process.memory_full_info() for process in processes]
    return sum(info.pss for info in infos) / MIB, sum(info.rss for info in infos) / MIB


def cpu_s(processes: list[psutil.Process]) -> float:
    """CPU seconds that all have used so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def bare_mib() -> float:
    """The RSS of a Python that has imported the named libraries and does nothing: what no design could save."""
    code = f"import {LIBRARIES}; import sys; print(1, flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        _, rss = memory_mib([psutil.Process(bare.pid)])
        bare.communicate()
    return rss


def bare_cpu_pct(running: Running) -> float:
    """The CPU share of a process that polls the same devices once a second and publishes the answers, and does nothing else."""
    relays = [f"{running.station['positions'][position]['address']}/rpc/Switch.GetStatus?id=0" for position in ("p1", "p2")]
    urls = [*relays, f"{running.station['battery']['address']}/status"]
    command = [sys.executable, "-m", "tests.benchmarks.bare_poll", str(running.mqtt_port), *urls]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as bare:
        assert bare.stdout is not None
        bare.stdout.readline()
        share_pct = cpu_share_pct([psutil.Process(bare.pid)])
        bare.kill()
    return share_pct


def cpu_share_pct(processes: list[psutil.Process]) -> float:
    """The share of one core that all use together over a while."""
    before, started = cpu_s(processes), time.monotonic()
    time.sleep(OBSERVE_S)
    return 100 * (cpu_s(processes) - before) / (time.monotonic() - started)


def measure() -> list[Figure]:
    """Both figures, from one run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with sps_run(station_file(folder, simulation={"speed": 1}), folder / "var", wait_s=300) as running:
            time.sleep(SETTLE_S)
            processes = ours(running)
            share_pct = cpu_share_pct(processes)
            pss, rss = memory_mib(processes)
            bare_pct = bare_cpu_pct(running)
    names = "sps run and its Mosquitto" if len(processes) > 1 else "sps run, its broker embedded"
    where = f"{names}; speed 1, readings at 1 Hz, after {SETTLE_S:g} s, {platform.machine()}, Python {platform.python_version()}"
    return [
        Figure(
            "footprint_memory",
            rss,
            "MiB",
            bare_mib(),
            120,
            f"RSS {rss:.1f} MiB (PSS {pss:.1f} MiB) of {where}, first start with its seeding; reference: RSS of a bare Python that has "
            f"imported {LIBRARIES}",
        ),
        Figure(
            "footprint_cpu",
            share_pct,
            "% of a core",
            bare_pct,
            3,
            f"over {OBSERVE_S:g} s, of {where}; no page open; reference: a process that polls the same three devices by requests and "
            "publishes the answers by paho, and does nothing else",
        ),
    ]
