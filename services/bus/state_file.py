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
    flags, mode = (os.O_EXCL, 0o600) if private else (os.O_TRUNC, 0o666)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, mode), "wb") as file:
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


def read_state(path: Path) -> bytes | None:
    """What was last written to `path`, or None if nothing ever was. Raises OSError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
