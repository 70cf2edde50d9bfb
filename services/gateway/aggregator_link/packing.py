"""A body, packed once: as it goes over the wire, and as the log of what was sent keeps it."""

import gzip
from dataclasses import dataclass

LEVEL = 3
"""Twice as quick as the default, and within a tenth of its size."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A body in gzip."""

    size: int
    """Of the body before it was packed."""
    wire: bytes

    @classmethod
    def of(cls, body: bytes) -> "Packed":
        """`body`, packed; the same bytes for the same body."""
        return cls(len(body), gzip.compress(body, LEVEL, mtime=0))

    def plain(self) -> bytes:
        """The body itself."""
        return gzip.decompress(self.wire)
