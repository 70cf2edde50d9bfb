"""Questions to the recorder's query API, off the event loop."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from pydantic_core import from_json

from services.gateway.problems import ApiError, Problem

TIMEOUT_S = 10.0
AT_ONCE = 4
"""Questions under way. They have threads of their own: a recorder that hangs must not take those that connect to the broker."""


class RecorderLink:
    """Reads from the recorder at `base_url`."""

    def __init__(self, base_url: str, headers: Callable[[], Mapping[str, str]] = dict) -> None:
        """`headers` gives what a request must carry: the recorder's token, if it wants one."""
        self._base_url = base_url
        self._headers = headers
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="recorder")
        self._kept = threading.local()
        """A session of each thread's own: requests does not share one."""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON at `path`. Raises ApiError: 404 as the recorder says, 502 for an unusable answer, 503 if there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._get, path, params or {})

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        try:
            response = self._answer(path, params)
        except requests.RequestException:
            raise ApiError(
                503, Problem(message="the recorder does not answer", remedy=f"is it running? It is asked at {self._base_url}")
            ) from None
        try:
            body = from_json(response.content, allow_inf_nan=False)
        except ValueError:
            raise _unusable(f"status {response.status_code} without JSON") from None
        if response.status_code == 404:
            raise ApiError(404, Problem(message="the recorder knows no such thing", field="id"))
        if not response.ok:
            raise _unusable(f"status {response.status_code}")
        return body

    def _answer(self, path: str, params: Mapping[str, str]) -> requests.Response:
        session: requests.Session | None = getattr(self._kept, "session", None)
        if session is not None:
            try:
                return self._ask(session, path, params)
            except requests.ConnectionError:
                session.close()  # hung up meanwhile, as after a restart: that says nothing of a new connection
        self._kept.session = session = requests.Session()
        # The recorder is on this machine: no proxy may stand between.
        session.trust_env = False
        return self._ask(session, path, params)

    def _ask(self, session: requests.Session, path: str, params: Mapping[str, str]) -> requests.Response:
        return session.get(f"{self._base_url}{path}", params=dict(params), headers=dict(self._headers()), timeout=TIMEOUT_S)


def _unusable(why: str) -> ApiError:
    return ApiError(502, Problem(message=f"the recorder's answer cannot be used: {why}", remedy="its log says more"))
