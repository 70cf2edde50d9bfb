"""API tokens: long random words for scripts, of which only a hash is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from services.bus.messages.base import Utc
from services.gateway.access.visitor import SCOPES, Scope

PREFIX = "sps"
MOST_TOKENS = 50
TokenName = Annotated[str, Field(pattern=r"^[\w .,:@+-]{1,60}$")]


class Token(BaseModel):
    """What is kept of a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]
    """The part of it that may be shown."""
    name: TokenName
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    made_at: Utc


def made(name: str, scopes: Iterable[Scope], now: datetime) -> tuple[str, Token]:
    """A new token, to be shown once, and what is kept of it. Raises pydantic.ValidationError for a bad name, or no scope."""
    token_id, wanted = secrets.token_hex(4), set(scopes)
    word = f"{PREFIX}_{token_id}_{secrets.token_urlsafe(32)}"
    kept = Token(id=token_id, name=name, scopes=tuple(scope for scope in SCOPES if scope in wanted), digest=_digest(word), made_at=now)
    return word, kept


def found(word: str, tokens: Iterable[Token]) -> Token | None:
    """The token that `word` is. How long that takes tells nothing of the others: 256 random bits need no slow hash."""
    digest, match = _digest(word), None
    for token in tokens:
        if hmac.compare_digest(digest, token.digest):
            match = token
    return match


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
