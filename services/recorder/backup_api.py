"""A copy of the journal while it is being written, for `sps backup`: the recorder alone opens the file, so it makes the copy."""

import asyncio
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from services.recorder.copying import copy_journal
from services.recorder.guarded import want_token

COPY = ".journal-for-backup.db"
"""What the copy is called while it is made; a crash leaves it, and the next copy takes its place."""
SPARE_BYTES = 32 * 1024 * 1024
"""So much must be left on the disk beside the copy: the journal itself goes on growing."""
_CHUNK = 256 * 1024
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/vnd.sqlite3": {}}, "description": "The whole journal as it stood at one moment, an SQLite file."},
    401: {"description": "The token is missing, or wrong."},
    409: {"description": "Another copy is being made."},
    503: {"description": "There is no journal yet, or it cannot be copied now."},
    507: {"description": "The disk has no room for a copy."},
}


def add_backup(app: FastAPI, journal: Path, token: str | None) -> None:
    """Let `app` hand out copies of `journal`. It always wants the token: a copy is everything that was ever recorded."""
    turn = asyncio.Lock()

    @app.get("/api/backup", responses=ANSWERS, response_class=StreamingResponse)
    async def backup(request: Request) -> StreamingResponse:
        """The journal as it stands now, whole, while recording goes on."""
        want_token(request, token)
        if turn.locked():
            raise HTTPException(409, "another copy is being made; try again in a minute")
        async with turn:
            copy = await asyncio.to_thread(_copied, journal)
        size = os.fstat(copy.fileno()).st_size
        return StreamingResponse(_handed_out(copy), media_type="application/vnd.sqlite3", headers={"Content-Length": str(size)})


def _copied(journal: Path) -> BinaryIO:
    """The copy, open and already without a name: it is gone with whoever reads it, even if that one never begins."""
    copy = journal.with_name(COPY)
    try:
        needed, free = journal.stat().st_size, shutil.disk_usage(journal.parent).free
        if free < needed + SPARE_BYTES:
            raise HTTPException(
                507, f"a copy needs {needed >> 20} MB and {free >> 20} MB are free; make room, or back up with the station stopped"
            )
        copy_journal(journal, copy)
        file = copy.open("rb")
    except FileNotFoundError:
        raise HTTPException(503, "there is no journal yet") from None
    except (sqlite3.Error, OSError) as error:
        raise HTTPException(503, f"the journal cannot be copied: {error}") from None
    finally:
        copy.unlink(missing_ok=True)
    return file


async def _handed_out(copy: BinaryIO) -> AsyncIterator[bytes]:
    with copy:
        while chunk := await asyncio.to_thread(copy.read, _CHUNK):
            yield chunk
