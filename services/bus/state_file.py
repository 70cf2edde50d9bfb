"""Small state on disk that is either the old one or the new one, whatever happens in between."""

import os
from pathlib import Path


def write_atomic(path: Path, data: bytes, *, private: bool = False) -> None:
    """Replace `path` by `data`; once this returns it survives a power cut. One writer a file. Raises OSError.

    `private`: nobody but this user can read it, not even while it is written.
    """
    # A name of its own for each file, so that what a crash leaves behind is overwritten by the next write and never piles up.
    temporary = path.with_name(f".{path.name}.new")
    if private:
        temporary.unlink(missing_ok=True)
    with open(temporary, "wb", opener=_private if private else None) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Without this the rename itself may be lost with the power.
        os.fsync(folder)
    finally:
        os.close(folder)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)


def read_state(path: Path) -> bytes | None:
    """What was last written to `path`, or None if nothing ever was. Raises OSError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
