"""A service's heartbeat on disk, and who asks for it.

`python -m services.bus.heartbeat controller` says whether the controller is alive: 0 or 1, and one line why. Health checks run it
again and again, so it imports next to nothing.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

FILE = "alive"
IDLE = "idle"
"""What lies in place of a heartbeat where a service has nothing to do: services/bus/idle.py."""
MAX_AGE_S = 30.0
"""A beat older than this is none."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def beat_file(folder: Path, service: str) -> Path:
    """Where the heartbeat of `service` is kept; `folder` holds those of all services."""
    return folder / service / FILE


def write_beat(path: Path, monotonic_s: float) -> None:
    """Beat. Raises OSError.

    In place and of one length: whole at any time, and without the flush to an SD card that replacing a file may cost.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(file, f"{_boot():<36.36} {monotonic_s:018.3f}\n".encode(), 0)
    finally:
        os.close(file)


def age_s(path: Path, monotonic: Callable[[], float] = time.monotonic) -> float | None:
    """Real seconds since the beat in `path`; None if it is not of this boot. Raises OSError, and ValueError for what is no beat.

    By the monotonic clock that all processes and containers of a machine share: setting the wall clock changes nothing here.
    """
    boot, _, beaten_s = path.read_text(encoding="ascii").strip().rpartition(" ")
    age = monotonic() - float(beaten_s)
    return max(age, 0.0) if boot.strip() == _boot() and age > -1.0 else None


def verdict(service: str, folder: Path, max_age_s: float = MAX_AGE_S) -> tuple[bool, str]:
    """Whether `service` is alive, and a line that says why."""
    path = beat_file(folder, service)
    try:
        age = age_s(path)
    except FileNotFoundError:
        if path.with_name(IDLE).exists():
            return True, f"{service} rests: the station has no use for it"
        return False, f"{service} has no heartbeat ({path} is missing): it has not started, has ended, or has no session with the broker"
    except (OSError, ValueError) as error:
        return False, f"{service}: {path} cannot be read as a heartbeat: {error}"
    if age is None:
        return False, f"{service} has not beaten since this machine started"
    if age > max_age_s:
        return False, f"{service} has not beaten for {age:.0f} s: it hangs, or has lost the broker"
    return True, f"{service} is alive: {age:.0f} s ago its loop ran and the broker heard it"


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return "unknown"  # no Linux: there, a start of the machine shows by the monotonic clock alone


def main() -> int:
    """0 for a service that is alive, 1 for one that is not."""
    parser = argparse.ArgumentParser(prog="python -m services.bus.heartbeat", description="Say whether a service is alive.")
    parser.add_argument("service", help="such as controller")
    parser.add_argument(
        "--var",
        type=Path,
        default=Path(os.environ.get("SPS_ALIVE") or os.environ.get("SPS_VAR") or "var"),
        help="the folder that holds the heartbeats (default: %(default)s)",
    )
    parser.add_argument("--max-age", type=float, default=MAX_AGE_S, help="real seconds after which a beat is none (default: %(default)g)")
    arguments = parser.parse_args()
    alive, why = verdict(arguments.service, arguments.var, arguments.max_age)
    print(why)  # noqa: T201 - the answer to whoever asked
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
