"""One request after the other to the aggregator: its outcome in words, whatever the server does. Blocks: for a worker thread."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from services.bus.secrets import NoSecret, read_secret, secrets_folder
from services.bus.uplink import request_signature
from services.core.config.aggregator import AggregatorHttp
from services.gateway.aggregator_link.gate import Gate, GatedBody, GatedRetry, Withdrawn
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.results import Outcome, Result, never_left, result_of, text_of, why

AGENT = "smart-power-station"
AT_ONCE = 2
"""A request that got no answer is sent again so often within the second; then the uploader waits, and longer each time."""


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    body: Packed | bytes | None
    key: str | None

    def wire(self) -> bytes:
        """The body as it goes over the wire."""
        return self.body.wire if isinstance(self.body, Packed) else self.body or b""

    def headers(self) -> dict[str, str]:
        """What goes with it, apart from who we are."""
        found = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": AGENT}
        if self.body is not None:
            found["Content-Type"] = "application/json"
        if isinstance(self.body, Packed):
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
        body: Packed | bytes | None,
        gate: Gate,
        *,
        key: str | None = None,
        expects_batch: bool = False,
        attempted: Callable[[], None] | None = None,
    ) -> Result:
        """Send JSON to `path` below the base URL; how it went. `attempted` is called before each attempt after the first."""
        try:
            return self._send(_Request(method, path, body, key), gate, expects_batch, attempted)
        except Withdrawn:
            self.close()  # half a request is on the line
            return Result(Outcome.WITHDRAWN, Outcome.WITHDRAWN.value)
        except NoSecret as missing:
            return Result(Outcome.LATER, f"aggregator.http.secret: {missing}", left=False)
        except requests.RequestException as error:
            self.close()
            return Result(Outcome.LATER, why(error), left=not never_left(error))
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
                text = text_of(response)
                result = result_of(response, text, expects_batch=False)
            return result, _json(text) if result.outcome is Outcome.TAKEN else None
        except Withdrawn:
            return Result(Outcome.WITHDRAWN, Outcome.WITHDRAWN.value), None
        except NoSecret as missing:
            return Result(Outcome.LATER, f"aggregator.http.secret: {missing}", left=False), None
        except (requests.RequestException, OSError) as error:
            self.close()
            return Result(Outcome.LATER, why(error)), None

    def _send(self, request: "_Request", gate: Gate, expects_batch: bool, attempted: Callable[[], None] | None) -> Result:
        gate.check()
        url = self._settings.url + request.path
        body = request.wire()
        headers = {**request.headers(), **self._authorization(request.method, url, body)}
        with self._opened(gate, attempted).request(
            request.method,
            url,
            data=GatedBody(body, gate) if body else None,
            headers=headers,
            timeout=self._timeout(),
            allow_redirects=False,
            stream=True,
        ) as response:
            return result_of(response, text_of(response), expects_batch=expects_batch)

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
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # nothing that a server could know us by again
            if self._settings.ca_file is not None:
                file = secrets_folder(self._var) / self._settings.ca_file
                if not file.is_file():
                    raise OSError(f"{file} is not there")
                session.verify = str(file)
            self._adapter = HTTPAdapter(pool_connections=1, pool_maxsize=1)
            session.mount("https://", self._adapter)
            session.mount("http://", self._adapter)
            self._session = session
        retry = GatedRetry(
            total=AT_ONCE,
            connect=0,  # nobody there: the uploader waits
            read=AT_ONCE,
            other=0,  # a certificate that is not believed will not be a moment later
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


def _json(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None
