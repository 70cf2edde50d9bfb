"""Questions that always want the token, whatever the station file says of the others."""

import secrets

from fastapi import HTTPException, Request


def want_token(request: Request, token: str | None) -> None:
    """Let the request pass if it carries the token. Raises HTTPException: 401 without it, 503 where none could be made."""
    if token is None:
        raise HTTPException(503, "this needs a token, and none could be made, because the state folder cannot be written")
    given = request.headers.get("authorization", "").encode()
    if not secrets.compare_digest(given, f"Bearer {token}".encode()):
        why = "this needs the token in recorder/api.token under the state folder; name that folder with --var"
        raise HTTPException(401, why, {"WWW-Authenticate": "Bearer"})
