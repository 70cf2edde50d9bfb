"""Questions to the recorder's query API, off the event loop."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

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

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """The JSON at `path`. Raises ApiError: 404 as the recorder says, 502 for an unusable answer, 503 if there is none."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._get, path, params or {})

    def _get(self, path: str, params: Mapping[str, str]) -> Any:
        try:
            with requests.Session() as session:
                # The recorder is on this machine: no proxy may stand between.
                session.trust_env = False
                response = session.get(f"{self._base_url}{path}", params=dict(params), headers=dict(self._headers()), timeout=TIMEOUT_S)
                body = response.json()
        except requests.exceptions.JSONDecodeError:
            raise _unusable(f"status {response.status_code} without JSON") from None
        except requests.RequestException:
            raise ApiError(
                503, Problem(message="the recorder does not answer", remedy=f"is it running? It is asked at {self._base_url}")
            ) from None
        if response.status_code == 404:
            raise ApiError(404, Problem(message="the recorder knows no such thing", field="id"))
        if not response.ok:
            raise _unusable(f"status {response.status_code}")
        return body


def _unusable(why: str) -> ApiError:
    return ApiError(502, Problem(message=f"the recorder's answer cannot be used: {why}", remedy="its log says more"))
