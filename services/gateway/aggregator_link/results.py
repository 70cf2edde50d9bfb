"""What an aggregator's answer means for what was sent, in words."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import requests
from pydantic import ValidationError

from services.bus.uplink.batches import BatchAccepted

MOST_ANSWER_BYTES = 65_536
"""No answer of an aggregator comes near it; the rest of a larger one is not read."""
LONGEST_RETRY_AFTER_S = 6 * 3600.0
ANSWER_WITHIN_S = 30.0
"""Real seconds for the whole of an answer, however slowly it drips."""


class Outcome(Enum):
    """What is to be done with a batch next."""

    TAKEN = "sent"
    HAD_IT = "had it already"
    LATER = "later"
    """The server is away, busy, or not what it should be: the same again, later."""
    REFUSED = "refused for good"
    TOO_LARGE = "too large"
    WITHDRAWN = "withheld: less is shared now"
    """The person changed what is shared while it was being sent."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a request went."""

    outcome: Outcome
    detail: str = ""
    retry_after_s: float | None = None
    left: bool = True
    """Whether any of it may have left the house."""


def text_of(response: requests.Response) -> str | None:
    """The answer's body; None if it is endless, or drips."""
    found, until = bytearray(), time.monotonic() + ANSWER_WITHIN_S
    # Byte by byte: a larger piece is waited for until it is whole, and each of its bytes may take as long as a timeout.
    for piece in response.iter_content(1):
        found += piece
        if len(found) > MOST_ANSWER_BYTES or time.monotonic() > until:
            response.close()
            return None
    return found.decode("utf-8", "replace")


def result_of(response: requests.Response, text: str | None, *, expects_batch: bool) -> Result:
    """How it went, by status and text. With `expects_batch` a mere 200 is not enough."""
    status = response.status_code
    if text is None:
        return Result(Outcome.LATER, f"{status}: its answer has no end, and was not read to it")
    if status in (200, 201, 202, 204):
        return _taken(text, expects_batch=expects_batch)
    said = f"{status}: {' '.join(text.split())[:160]}"
    if status in (400, 409, 422):
        return Result(Outcome.REFUSED, said)
    if status == 413:
        return Result(Outcome.TOO_LARGE, said)
    if 300 <= status < 400:
        return Result(
            Outcome.LATER, f"{status}: it points elsewhere, and nothing is sent there; if that is right, change aggregator.http.url"
        )
    if status in (401, 403):
        return Result(Outcome.LATER, f"{said}; it does not let us in: check aggregator.http.secret")
    if status in (404, 405):
        return Result(Outcome.LATER, f"{said}; there is nothing of that name: check aggregator.http.url")
    return Result(Outcome.LATER, said, retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC)))


def _taken(text: str, *, expects_batch: bool) -> Result:
    if not expects_batch:
        return Result(Outcome.TAKEN)
    try:
        accepted = BatchAccepted.model_validate_json(text)
    except ValidationError:
        # Whatever says 200 without saying this has not understood us: a captive portal, somebody's login page.
        return Result(Outcome.LATER, "it answers 200 and not as an aggregator does: check aggregator.http.url")
    return Result(Outcome.HAD_IT if accepted.duplicate else Outcome.TAKEN)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """What `Retry-After` asks for: seconds, or until an HTTP date. None where it is not there or makes no sense."""
    if header is None:
        return None
    if header.strip().isdigit():
        wait_s = float(header.strip()[:9])
    else:
        try:
            until = parsedate_to_datetime(header)
        except ValueError:
            return None
        wait_s = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)


def never_left(error: requests.RequestException) -> bool:
    """Whether there was nobody to take even a byte."""
    return isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)) or "NewConnectionError" in repr(error)


def why(error: Exception) -> str:
    """In words, with what to check."""
    text = str(error)
    for sign, words in (
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not to be believed: check aggregator.http.ca_file"),
        ("NewConnectionError", "it does not answer"),
        ("NameResolutionError", "its name is not known: check aggregator.http.url, and the network"),
        ("timed out", "it keeps silent"),
    ):
        if sign in text:
            return words
    return f"the connection broke: {text.splitlines()[0][:160]}" if text else type(error).__name__
