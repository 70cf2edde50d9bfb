"""One request after the other to the aggregator: its outcome in words, whatever the server does. Blocks: for a worker thread."""

import gzip
import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from pydantic import ValidationError
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from services.bus.secrets import NoSecret, read_secret, secrets_folder
from services.bus.uplink import request_signature
from services.bus.uplink.batches import BatchAccepted
from services.core.config.aggregator import AggregatorHttp

MOST_ANSWER_BYTES = 65_536
"""No answer of an aggregator comes near it; the rest of a larger one is not read."""
AGENT = "smart-power-station"
AT_ONCE = 2
"""A request that got no answer is sent again so often within the second; then the uploader waits, and longer each time."""
LONGEST_RETRY_AFTER_S = 6 * 3600.0
ANSWER_WITHIN_S = 30.0
"""Real seconds for the whole of an answer, however slowly it drips."""
_GZIP_LEVEL = 3
"""Twice as quick as the default, and within a tenth of its size."""


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


class Withdrawn(Exception):
    """What was about to be sent may not be sent any more."""


class Gate:
    """Closes when what is shared changes. Asked from the sending thread before each piece of a body."""

    def __init__(self, epoch: Callable[[], int]) -> None:
        self._epoch = epoch
        self._at = epoch()
        self.closed = threading.Event()

    def check(self) -> None:
        """Raises Withdrawn once it has closed."""
        if self.closed.is_set() or self._epoch() != self._at:
            raise Withdrawn


class _Body(io.BytesIO):
    """A body that stops leaving in the middle when its gate closes."""

    def __init__(self, data: bytes, gate: Gate) -> None:
        super().__init__(data)
        self._gate = gate

    def read(self, size: int | None = -1, /) -> bytes:
        self._gate.check()
        return super().read(size)


class _GatedRetry(Retry):
    """urllib3's retry, which looks at the gate before each further attempt, and wakes when it closes."""

    gate: Gate | None = None
    attempted: Callable[[], None] | None = None

    def new(self, **changes: Any) -> Self:
        made = super().new(**changes)
        made.gate, made.attempted = self.gate, self.attempted
        return made

    def sleep(self, response: Any = None) -> None:  # noqa: ARG002 - urllib3's signature
        wait_s = self.get_backoff_time()
        if self.gate is not None:
            self.gate.closed.wait(wait_s)
            self.gate.check()
        if self.attempted is not None:
            self.attempted()


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: bytes | None
    key: str | None
    packed: bool

    def wire(self) -> bytes:
        """The body as it goes over the wire."""
        if self.body is None:
            return b""
        return gzip.compress(self.body, _GZIP_LEVEL, mtime=0) if self.packed else self.body

    def headers(self) -> dict[str, str]:
        """What goes with it, apart from who we are."""
        found = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": AGENT}
        if self.body is not None:
            found["Content-Type"] = "application/json"
            if self.packed:
                found["Content-Encoding"] = "gzip"
        if self.key is not None:
            found["Idempotency-Key"] = self.key
        return found


class Sender:
    """A session with one aggregator. One thread at a time."""

    def __init__(self, settings: AggregatorHttp, var: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._var = var
        self._wall = wall
        self._session: requests.Session | None = None
        self._adapter: HTTPAdapter

    def another(self) -> "Sender":
        """One to the same aggregator, for another thread."""
        return Sender(self._settings, self._var, wall=self._wall)

    def close(self) -> None:
        """Hang up."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        gate: Gate,
        *,
        key: str | None = None,
        expects_batch: bool = False,
        packed: bool = True,
        attempted: Callable[[], None] | None = None,
    ) -> Result:
        """Send JSON to `path` below the base URL; how it went. `attempted` is called before each attempt after the first."""
        try:
            return self._send(_Request(method, path, body, key, packed), gate, expects_batch, attempted)
        except Withdrawn:
            self.close()  # half a request is on the line
            return Result(Outcome.WITHDRAWN, Outcome.WITHDRAWN.value)
        except NoSecret as missing:
            return Result(Outcome.LATER, f"aggregator.http.secret: {missing}", left=False)
        except requests.RequestException as error:
            self.close()
            return Result(Outcome.LATER, _why(error), left=not _never_left(error))
        except OSError as error:  # of the file of certificates
            self.close()
            return Result(Outcome.LATER, f"aggregator.http.ca_file: {error}", left=False)

    def get(self, path_and_query: str, gate: Gate) -> tuple[Result, Any]:
        """The JSON at a path of the table profile."""
        try:
            gate.check()
            url = self._settings.url + path_and_query
            headers = {"Accept": "application/json", "User-Agent": AGENT, **self._authorization("GET", url, b"")}
            with self._opened(gate, None).get(
                url, headers=headers, timeout=self._timeout(), allow_redirects=False, stream=True
            ) as response:
                text = _text(response)
                result = _result(response, text, expects_batch=False)
            return result, _json(text) if result.outcome is Outcome.TAKEN else None
        except Withdrawn:
            return Result(Outcome.WITHDRAWN, Outcome.WITHDRAWN.value), None
        except NoSecret as missing:
            return Result(Outcome.LATER, f"aggregator.http.secret: {missing}", left=False), None
        except (requests.RequestException, OSError) as error:
            self.close()
            return Result(Outcome.LATER, _why(error)), None

    def _send(self, request: "_Request", gate: Gate, expects_batch: bool, attempted: Callable[[], None] | None) -> Result:
        gate.check()
        url = self._settings.url + request.path
        body = request.wire()
        headers = {**request.headers(), **self._authorization(request.method, url, body)}
        with self._opened(gate, attempted).request(
            request.method,
            url,
            data=_Body(body, gate) if body else None,
            headers=headers,
            timeout=self._timeout(),
            allow_redirects=False,
            stream=True,
        ) as response:
            return _result(response, _text(response), expects_batch=expects_batch)

    def _authorization(self, method: str, url: str, packed: bytes) -> Mapping[str, str]:
        settings = self._settings
        if settings.secret is None:
            return {}
        secret = read_secret(settings.secret, self._var)
        if settings.auth == "bearer":
            return {"Authorization": f"Bearer {secret}"}
        stamp = str(int(self._wall()))
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        return {
            request_signature.TIMESTAMP: stamp,
            request_signature.SIGNATURE: request_signature.signature(secret, stamp, method, path, packed),
        }

    def _timeout(self) -> tuple[float, float]:
        return min(self._settings.timeout_s, 10.0), self._settings.timeout_s

    def _opened(self, gate: Gate, attempted: Callable[[], None] | None) -> requests.Session:
        if self._session is None:
            session = requests.Session()
            # Neither a proxy nor a .netrc of this machine's user may see or change what a household sends.
            session.trust_env = False
            if self._settings.ca_file is not None:
                file = secrets_folder(self._var) / self._settings.ca_file
                if not file.is_file():
                    raise OSError(f"{file} is not there")
                session.verify = str(file)
            self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1)
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
            self._session = session
        retry = _GatedRetry(
            total=AT_ONCE,
            connect=0,  # nobody there: the uploader waits
            read=AT_ONCE,
            other=AT_ONCE,
            redirect=0,
            status=0,  # statuses are ours to judge
            backoff_factor=0.2,
            backoff_jitter=0.2,
            allowed_methods=None,  # by its idempotency key a batch may be posted again
            raise_on_status=False,
            raise_on_redirect=False,
            respect_retry_after_header=False,
        )
        retry.gate, retry.attempted = gate, attempted
        # The adapter keeps its connections; only whose gate it asks is new.
        self._adapter.max_retries = retry
        return self._session


def _text(response: requests.Response) -> str | None:
    """The answer's body; None if it is endless, or drips."""
    found, until = bytearray(), time.monotonic() + ANSWER_WITHIN_S
    for piece in response.iter_content(4096):
        found += piece
        if len(found) > MOST_ANSWER_BYTES or time.monotonic() > until:
            response.close()
            return None
    return found.decode("utf-8", "replace")


def _result(response: requests.Response, text: str | None, *, expects_batch: bool) -> Result:
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


def _never_left(error: requests.RequestException) -> bool:
    return isinstance(error, (requests.exceptions.ConnectTimeout, requests.exceptions.SSLError)) or "NewConnectionError" in repr(error)


def _why(error: Exception) -> str:
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


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None
