"""Reads rows out of a damaged SQLite file page by page, by the file format alone (sqlite.org/fileformat2.html).

Needs neither header, schema nor tree: every leaf page of a table says by itself which rows it holds. The pages of a
write-ahead log beside the file count, as far as its checksums hold and up to its last commit.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

Value = int | float | str | bytes | None

_LEAF = 0x0D
_PAGE_SIZE = 4096
_WAL_MAGIC = (0x377F0682, 0x377F0683)
_INTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_MOST_OVERFLOW = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it was stored: a column that is the rowid reads as None."""

    rowid: int
    values: tuple[Value, ...]


class Damaged:
    """The pages of a file and its log. Use as a context manager. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        wal = path.with_name(path.name + "-wal")
        log = wal.read_bytes() if wal.exists() else b""
        self.page_size = _page_size(self._file.read(100), log)
        self._logged = dict(_committed(log, self.page_size))
        size = self._file.seek(0, 2)
        self.pages = max(-(-size // self.page_size), *self._logged, 0)
        """How many there are."""
        self.unreadable = 0
        """Leaf pages and rows so far that say what cannot be."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def page(self, number: int) -> bytes:
        """A page, counted from 1, as the log has it or else the file; the last may be cut short."""
        if (logged := self._logged.get(number)) is not None:
            return logged
        self._file.seek((number - 1) * self.page_size)
        try:
            return self._file.read(self.page_size)
        except OSError:  # a card may refuse single blocks
            self.unreadable += 1
            return b""

    def rows(self, number: int) -> Iterator[Row]:
        """The rows on a page; none if it is no leaf of a table."""
        page = self.page(number)
        head = 100 if number == 1 else 0
        if len(page) < head + 8 or page[head] != _LEAF:
            return
        count = int.from_bytes(page[head + 3 : head + 5], "big")
        if head + 8 + 2 * count > self.page_size:
            self.unreadable += 1
            return
        for i in range(count):
            at = int.from_bytes(page[head + 8 + 2 * i : head + 10 + 2 * i], "big")
            try:
                yield self._cell(page, at)
            except (IndexError, ValueError, struct.error):
                self.unreadable += 1

    def _cell(self, page: bytes, at: int) -> Row:
        length, at = _varint(page, at)
        rowid, at = _varint(page, at)
        local = self._local(length)
        payload = page[at : at + local]
        if len(payload) < local:
            raise ValueError("the row ends beyond its page")
        if local < length:
            payload += self._overflow(int.from_bytes(page[at + local : at + local + 4], "big"), length - local)
        return Row(rowid - (1 << 64) if rowid >> 63 else rowid, tuple(_record(payload)))

    def _local(self, length: int) -> int:
        """How much of a row stands on its own page."""
        most = self.page_size - 35
        if length <= most:
            return length
        least = (self.page_size - 12) * 32 // 255 - 23
        rest = least + (length - least) % (self.page_size - 4)
        return rest if rest <= most else least

    def _overflow(self, number: int, length: int) -> bytes:
        found = b""
        for _ in range(_MOST_OVERFLOW):
            if not 1 <= number <= self.pages:
                break
            page = self.page(number)
            found += page[4 : 4 + length - len(found)]
            if len(found) == length:
                return found
            number = int.from_bytes(page[:4], "big")
        raise ValueError("the row's end is missing")


def _page_size(header: bytes, log: bytes) -> int:
    told = []
    if header[:15] == b"SQLite format 3":
        told.append(int.from_bytes(header[16:18], "big"))
    if len(log) >= 12:
        told.append(int.from_bytes(log[8:12], "big"))
    sizes = (65536 if size == 1 else size for size in told)
    return next((size for size in sizes if 512 <= size <= 65536 and size & (size - 1) == 0), _PAGE_SIZE)


def _committed(log: bytes, page_size: int) -> Iterator[tuple[int, bytes]]:
    """The pages of a write-ahead log, oldest first, up to the last commit whose checksums hold."""
    if len(log) < 32 or (magic := int.from_bytes(log[:4], "big")) not in _WAL_MAGIC:
        return
    order = ">" if magic & 1 else "<"
    sums = _checksum(log[:24], (0, 0), order)
    if struct.unpack(">II", log[24:32]) != sums:
        return
    waiting: list[tuple[int, bytes]] = []
    for at in range(32, len(log) - 23 - page_size, 24 + page_size):
        frame = log[at : at + 24 + page_size]
        sums = _checksum(frame[24:], _checksum(frame[:8], sums, order), order)
        if frame[8:16] != log[16:24] or struct.unpack(">II", frame[16:24]) != sums:
            return
        waiting.append((int.from_bytes(frame[:4], "big"), frame[24:]))
        if frame[4:8] != b"\0\0\0\0":
            yield from waiting
            waiting.clear()


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    one, other = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + other) & 0xFFFFFFFF
        other = (other + second + one) & 0xFFFFFFFF
    return one, other


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(8):
        byte = data[at + i]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + i + 1
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> Iterator[Value]:
    length, at = _varint(payload, 0)
    body = length
    if length > len(payload):
        raise ValueError("the row's head is longer than the row")
    while at < length:
        kind, at = _varint(payload, at)
        size = _INTS.get(kind, 8 if kind == 7 else 0 if kind < 12 else (kind - 12) // 2)
        part = payload[body : body + size]
        if len(part) < size or kind in (10, 11):
            raise ValueError("the row is shorter than it says")
        body += size
        yield _value(kind, part)


def _value(kind: int, part: bytes) -> Value:
    if kind == 0:
        return None
    if kind in (8, 9):
        return kind - 8
    if kind in _INTS:
        return int.from_bytes(part, "big", signed=True)
    if kind == 7:
        return float(struct.unpack(">d", part)[0])
    return part if kind % 2 == 0 else part.decode("utf-8")
