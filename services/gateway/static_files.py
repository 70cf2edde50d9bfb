"""The page's files, read and packed once: a first visit asks for twenty of them at once."""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.gateway.problems import Problem, answer

PACKED = (".css", ".js", ".svg")


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None
    kind: str
    tag: str


class StaticFiles:
    """An ASGI application that serves what lies in a folder when it starts.

    A browser may keep it, but asks each time: after an upgrade no old script meets a new page.
    """

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._files = {f"/{file.relative_to(folder).as_posix()}": _read(file) for file in folder.rglob("*") if file.is_file()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the file, or that it has not changed."""
        path = str(scope["path"]).removeprefix(str(scope.get("root_path", "")))
        await self._answer(path, scope["method"], Headers(scope=scope))(scope, receive, send)

    def _answer(self, path: str, method: str, headers: Headers) -> Response:
        file = self._files.get(path)
        if file is None:
            return answer(404, Problem(message="Not Found"))
        if method not in ("GET", "HEAD"):
            return answer(405, Problem(message="Method Not Allowed"))
        told = {"cache-control": "no-cache", "etag": file.tag, "vary": "accept-encoding"}
        if headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=told)
        body = file.body
        if file.packed is not None and "gzip" in headers.get("accept-encoding", ""):
            body, told["content-encoding"] = file.packed, "gzip"
        response = Response(body, headers=told, media_type=file.kind)
        if method == "HEAD":
            response.body = b""
        return response


def _read(file: Path) -> _File:
    body = file.read_bytes()
    packed = gzip.compress(body, 9, mtime=0) if file.suffix in PACKED else None
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return _File(body, packed, kind, f'"{sha256(body).hexdigest()[:24]}"')
