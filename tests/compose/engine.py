"""A Docker engine of the tests' own: its data, its socket, its process, ended by its id."""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from tests.compose.base import cache_folder

READY_S = 30.0
END_S = 30.0
PLACES = ("/usr/bin", "/usr/sbin")
"""Where Debian's packages put them; what comes first on PATH may be something else of that name."""
MIB = 2**20
STAND_IN = "sps-stand-in:local"


class NoEngine(RuntimeError):
    """No engine can be had here, and why."""


def program(name: str) -> str:
    """The path of a program of the engine's packages. Raises NoEngine."""
    if (found := next((f"{place}/{name}" for place in PLACES if os.access(f"{place}/{name}", os.X_OK)), None)) is None:
        raise NoEngine(f"{name} is not installed; apt-get install docker.io docker-compose debootstrap iptables")
    return found


@dataclass(frozen=True, slots=True)
class Used:
    """What a container uses, whichever version of control groups counts it."""

    memory_mib: float
    """Without the files that the kernel would let go of first, as `docker stats` shows it."""
    anonymous_mib: float
    cpu_s: float
    """Since its start."""


class _Unix(http.client.HTTPConnection):
    """HTTP over the engine's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine."""

    folder: Path
    pid: int

    @property
    def socket(self) -> str:
        return f"unix://{self.folder}/docker.sock"

    def environment(self) -> dict[str, str]:
        """For programs that are to talk to this engine."""
        # Without BuildKit every target of the Dockerfile up to the wanted one would be built.
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPS_", "COMPOSE_", "DOCKER_"))}
        return kept | {"DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "1", "COMPOSE_DOCKER_CLI_BUILD": "1"}

    def docker(self, *arguments: str, stdin: IO[bytes] | None = None, timeout_s: float = 120, errors_too: bool = False) -> str:
        """Run a docker command; its output, with `errors_too` also what it wrote to standard error. Raises CalledProcessError."""
        done = subprocess.run(
            [program("docker"), *arguments],
            env=self.environment(),
            stdin=stdin or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode != 0:
            failed = subprocess.CalledProcessError(done.returncode, ["docker", *arguments], done.stdout, done.stderr)
            failed.add_note(done.stderr)
            raise failed
        return done.stdout + (done.stderr if errors_too else "")

    def used(self, container: str) -> Used:
        """What `container` uses now."""
        connection = _Unix(f"{self.folder}/docker.sock")
        try:
            connection.request("GET", f"/containers/{container}/stats?stream=false&one-shot=true")
            told = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        memory, detail = told["memory_stats"], told["memory_stats"]["stats"]
        inactive = detail.get("total_inactive_file", detail.get("inactive_file", 0))
        anonymous = detail.get("anon", detail.get("total_rss", 0))
        return Used((memory["usage"] - inactive) / MIB, anonymous / MIB, told["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)

    def import_stand_in(self, tarball: Path) -> None:
        """Have `tarball` as the image that stands in for the official ones."""
        with tarball.open("rb") as content:
            self.docker("import", "-", STAND_IN, stdin=content)


@contextmanager
def running_engine() -> Iterator[Engine]:
    """An engine without containers; at its end no container, volume or process of it is left. Raises NoEngine."""
    dockerd = program("dockerd")
    if os.geteuid() != 0:
        raise NoEngine("an engine of one's own needs root")
    with TemporaryDirectory(prefix="sps-engine-", ignore_cleanup_errors=True) as name, _data_root(Path(name)) as data:
        folder = Path(name)
        log = folder / "dockerd.log"
        command = [dockerd, "--data-root", str(data), "--exec-root", f"{name}/exec", "--pidfile", f"{name}/docker.pid"]
        command += ["--host", f"unix://{name}/docker.sock", "--log-level", "warn"]
        environment = os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"}
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        engine = Engine(folder, process.pid)
        try:
            _wait_until_ready(engine, process, log)
            _clear(engine)
            yield engine
        finally:
            _end(engine, process)


def _wait_until_ready(engine: Engine, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NoEngine(f"dockerd ended with {process.returncode}: {log.read_text(errors='replace')[-1500:]}")
        try:
            engine.docker("version", timeout_s=10)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            time.sleep(0.2)
        else:
            return
    raise NoEngine(f"dockerd was not ready within {READY_S:g} s: {log.read_text(errors='replace')[-1500:]}")


def _end(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        # If this fails the engine takes its containers down itself.
        with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
            _clear(engine)
            engine.docker("image", "prune", "--force")
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _clear(engine: Engine) -> None:
    """Take away all but the images."""
    if left := engine.docker("ps", "--all", "--quiet").split():
        engine.docker("rm", "--force", "--volumes", *left)
    if left := engine.docker("volume", "ls", "--quiet").split():
        engine.docker("volume", "rm", "--force", *left)
    engine.docker("network", "prune", "--force")


@contextmanager
def _data_root(folder: Path) -> Iterator[Path]:
    """Where the engine keeps its images: what was built last time, unless another engine works there now."""
    kept = cache_folder() / "engine"
    kept.mkdir(parents=True, exist_ok=True)
    held = os.open(kept, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield folder / "data"
        else:
            yield kept
    finally:
        os.close(held)
