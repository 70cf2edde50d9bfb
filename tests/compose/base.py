"""The stand-in for the images that a registry would give: Debian with Python and Mosquitto, made here and kept in a cache.

It proves the compose file, the networks, health, volumes, limits and restarts; the official images' entrypoints and users it does not.
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

SUITE = "bookworm"
PACKAGES = ("ca-certificates", "mosquitto", "mosquitto-clients", "python3", "python3-pip", "python3-venv")
RECIPE = "3"
"""Raise it when what is done below changes."""
NOT_NEEDED = ("var/cache/apt/archives/*.deb", "var/lib/apt/lists/*", "usr/share/doc/*", "usr/share/man/*", "usr/share/locale/*")
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")


def cache_folder() -> Path:
    """Where what takes long to make is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "smart-power-station"


def tarball() -> Path:
    """The stand-in's file system, made if it is not in the cache yet (about a minute)."""
    certificates = sorted(HOST_CERTIFICATES.glob("*.crt")) if HOST_CERTIFICATES.is_dir() else []
    pip = _pip_configuration()
    content = "\n".join([RECIPE, SUITE, *PACKAGES, pip, *(file.read_text(encoding="ascii") for file in certificates)])
    path = cache_folder() / f"stand-in-{SUITE}-{sha256(content.encode()).hexdigest()[:16]}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="sps-stand-in-") as folder:
            root = Path(folder) / "root"
            _bootstrap(root, certificates, pip)
            fresh = path.with_suffix(".new")
            _run("tar", "-C", str(root), "-cf", str(fresh), ".")
            fresh.replace(path)
    return path


def _bootstrap(root: Path, certificates: list[Path], pip: str) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(root))
    for pattern in NOT_NEEDED:
        for path in root.glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (root / "usr/bin/python").symlink_to("python3")
    # As on the official image, whose Mosquitto runs as this user.
    _run("chroot", str(root), "usermod", "--uid", "1883", "mosquitto")
    _run("chroot", str(root), "install", "-d", "-o", "1883", "-g", "1883", "/mosquitto/config", "/mosquitto/data", "/mosquitto/log")
    for file in certificates:
        shutil.copy(file, root / HOST_CERTIFICATES.relative_to("/"))
    _run("chroot", str(root), "update-ca-certificates")
    (root / "etc/pip.conf").write_text(pip, encoding="utf-8")


def _pip_configuration() -> str:
    """How pip reaches its packages from inside a build: as on this machine."""
    lines = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt", "disable-pip-version-check = true"]
    index = subprocess.run(["python3", "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False)
    if url := os.environ.get("PIP_INDEX_URL") or index.stdout.strip():
        lines.append(f"index-url = {url}")
    return "\n".join(lines) + "\n"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
