"""The signature of a request: HMAC-SHA256 over time, method, path and the body as sent."""

import hashlib
import hmac
import re

TIMESTAMP = "X-SPS-Timestamp"
SIGNATURE = "X-SPS-Signature"
WINDOW_S = 300
"""How far the clocks of both may be apart."""


def signature(secret: str, timestamp: str, method: str, path: str, body: bytes) -> str:
    """`v1=<hex>` over `timestamp.METHOD.path.sha256(body)`; `path` is what the server sees, with its query; `timestamp` in Unix seconds."""
    text = f"{timestamp}.{method.upper()}.{path}.{hashlib.sha256(body).hexdigest()}"
    return "v1=" + hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def untimely(timestamp: str, now_s: float) -> str | None:
    """Why the time of a request is refused; known before its body is."""
    if re.fullmatch(r"\d{9,11}", timestamp) is None:
        return f"{TIMESTAMP} must be the time in Unix seconds"
    if abs(now_s - int(timestamp)) > WINDOW_S:
        return f"{TIMESTAMP} is more than {WINDOW_S} s off; check the station's clock"
    return None


def refusal(secret: str, given: str, timestamp: str, method: str, path: str, body: bytes, now_s: float) -> str | None:
    """Why a request is refused, in words for its sender; None if its signature holds."""
    if (why := untimely(timestamp, now_s)) is not None:
        return why
    if not hmac.compare_digest(signature(secret, timestamp, method, path, body).encode(), given.encode()):
        return f"{SIGNATURE} does not hold for this request"
    return None
