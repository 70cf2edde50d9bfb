"""A real PostgreSQL server of its own, in a folder that is thrown away."""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.needs import need_postgres
from tests.support.ports import free_port


class Postgres:
    """Answers on loopback without a password; each `fresh` is a new empty database."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder / "data"
        self._programs = need_postgres()
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make its folder and start it. It refuses to be root, so it runs as `nobody` where we are."""
        self.folder.mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
            for parent in self.folder.parents:
                with contextlib.suppress(PermissionError):
                    parent.chmod(parent.stat().st_mode | 0o111)
        self._run("initdb", "-D", str(self.folder), "-U", "postgres", "-A", "trust", "--no-sync")
        self.serve()

    def serve(self) -> None:
        """Start it on the folder there is, and wait until it answers."""
        options = ["-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"]
        command = [*self._as_nobody(), str(self._programs / "postgres"), "-D", str(self.folder), *options]
        self._process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 90
        ready = [str(self._programs / "pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        while subprocess.run(ready, check=False).returncode:
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.05)

    def fresh(self) -> str:
        """The URL of a new database."""
        name = f"test_{next(self._numbers)}"
        command = [str(self._programs / "createdb"), "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name]
        subprocess.run(command, check=True, cwd="/")
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            # Without waiting for its clients, which would keep their connections.
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_nobody(), str(self._programs / program), *arguments]
        subprocess.run(command, check=True, cwd="/", stdout=subprocess.DEVNULL)

    @staticmethod
    def _as_nobody() -> list[str]:
        setpriv = shutil.which("setpriv")
        return [setpriv, "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 and setpriv else []


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """A running one."""
    server = Postgres(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
