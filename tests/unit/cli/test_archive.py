"""The file of a backup: what comes out is what went in, and whatever was done to the file in between is noticed."""

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from services.cli.archive import BadArchive, Entry, Manifest, digest, read_manifest, unpack, write

NAMES = ("state/controller/state.json", "state/recorder/journal.db", "config/station.yaml", "secrets/mqtt/controller")


def made(folder: Path, contents: dict[str, bytes], **changes: Any) -> Path:
    sources = {}
    for i, (name, content) in enumerate(contents.items()):
        (sources.setdefault(name, folder / str(i))).write_bytes(content)
    entries = tuple(Entry(name, *digest(io.BytesIO(content))) for name, content in contents.items())
    said: dict[str, Any] = {"station": "demo", "made_at": "2026-07-01", "software": "0.1", "formats": {}, "journal_schema": 3}
    manifest = Manifest(**(said | {"entries": entries} | changes))
    path = folder / "backup"
    with path.open("wb") as file:
        write(file, manifest, sources, lambda _: None)
    return path


@settings(max_examples=30)
@given(contents=strategies.dictionaries(strategies.sampled_from(NAMES), strategies.binary(max_size=5000)))
def test_what_was_backed_up_comes_back_to_the_byte(tmp_path_factory, contents) -> None:
    folder = tmp_path_factory.mktemp("archive")
    path = made(folder, contents, formats={"gateway": 2})
    told: list[int] = []
    manifest = unpack(path, lambda name: folder / "out" / name, told.append)
    assert {name: (folder / "out" / name).read_bytes() for name in contents} == contents
    assert manifest == read_manifest(path)
    assert manifest.formats == {"gateway": 2}
    assert sum(told) == sum(map(len, contents.values()))
    assert all((folder / "out" / name).stat().st_mode & 0o777 == 0o600 for name in contents)


@settings(max_examples=60, deadline=None)
@given(at=strategies.floats(0, 1, exclude_max=True), flip=strategies.integers(1, 255))
def test_no_flipped_bit_gets_through(tmp_path_factory, at: float, flip: int) -> None:
    folder = tmp_path_factory.mktemp("archive")
    content = hashlib.sha256(b"incompressible").digest() * 50
    path = made(folder, {"state/controller/state.json": content})
    plain = bytearray(gzip.decompress(path.read_bytes()))
    plain[int(at * len(plain))] ^= flip
    path.write_bytes(gzip.compress(bytes(plain)))
    try:
        unpack(path, lambda name: folder / "out" / name, lambda _: None)
    except BadArchive:
        return
    # What may differ is what says nothing: padding, owners, times.
    assert (folder / "out" / "state/controller/state.json").read_bytes() == content


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.9])
def test_a_file_that_was_cut_is_not_whole(tmp_path, kept: float) -> None:
    path = made(tmp_path, {"state/recorder/journal.db": bytes(range(256)) * 2000})
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if 0 < kept < 1 else int(kept)])
    with pytest.raises(BadArchive, match=r"no backup|not whole"):
        unpack(path, lambda name: tmp_path / "out" / name, lambda _: None)


def test_another_tar_is_no_backup_of_ours(tmp_path) -> None:
    path = tmp_path / "other.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("README"))
    with pytest.raises(BadArchive, match=r"it does not begin with a manifest\.json"):
        read_manifest(path)
    path.write_text("text")
    with pytest.raises(BadArchive, match="is no backup"):
        read_manifest(path)


def tampered(folder: Path, name: str, content: bytes = b"evil", **header) -> Path:
    """A backup of ours with one more member behind it."""
    path = made(folder, {"config/station.yaml": b"x"})
    plain = io.BytesIO(gzip.decompress(path.read_bytes()))
    with tarfile.open(fileobj=plain, mode="a") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        for key, value in header.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(content))
    path.write_bytes(gzip.compress(plain.getvalue()))
    return path


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "state/x/y", "config/station.yaml"])
def test_what_the_list_does_not_name_is_refused(tmp_path, name: str) -> None:
    path = tampered(tmp_path, name)
    with pytest.raises(BadArchive, match="is not what the backup's own list says"):
        unpack(path, lambda name: tmp_path / "out" / name, lambda _: None)
    assert not (tmp_path / "etc").exists()


@pytest.mark.parametrize(
    "name", ["../x", "/state/x", "state/../../x", "other/x", "state", "state/x", "state//x/y", "state/x//etc/y", "./state/x/y"]
)
def test_a_list_with_names_that_lead_elsewhere_is_refused(tmp_path, name: str) -> None:
    path = made(tmp_path, {name: b"x"})
    with pytest.raises(BadArchive, match="is no name for a file of a backup"):
        read_manifest(path)


def test_a_backup_of_a_later_form_says_which_version_to_install(tmp_path) -> None:
    path = made(tmp_path, {}, software="9.1")
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(plain.replace(b'"version": 1', b'"version": 2')))
    with pytest.raises(BadArchive, match=r"made by version 9\.1; install that or a later version"):
        read_manifest(path)


def test_a_damaged_list_is_told(tmp_path) -> None:
    path = made(tmp_path, {})
    plain = gzip.decompress(path.read_bytes())
    for before, after in ((b'"files"', b'"filez"'), (b'"kind"', b'"kinf"'), (json.dumps("demo").encode(), b'"dem"o')):
        path.write_bytes(gzip.compress(plain.replace(before, after)))
        with pytest.raises(BadArchive, match=r"its manifest\.json is damaged"):
            read_manifest(path)
