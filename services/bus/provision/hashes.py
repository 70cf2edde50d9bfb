"""Passwords as Mosquitto's `password_file` keeps them: `user:$7$iterations$salt$hash`, PBKDF2 with SHA-512."""

import base64
import hashlib
import hmac
import secrets

ITERATIONS = 101
"""As `mosquitto_passwd` does. Our passwords are 192 random bits, which no number of iterations makes harder to guess."""
_SALT_BYTES = 12


def hashed(password: str) -> str:
    """`password` with a new salt."""
    return _with_salt(password, secrets.token_bytes(_SALT_BYTES), ITERATIONS)


def fits(password: str, kept: str) -> bool:
    """Whether `kept` was made of `password`."""
    try:
        empty, kind, iterations, salt, _ = kept.split("$")
        return (empty, kind) == ("", "7") and hmac.compare_digest(
            _with_salt(password, base64.b64decode(salt, validate=True), int(iterations)), kept
        )
    except ValueError:
        return False


def _with_salt(password: str, salt: bytes, iterations: int) -> str:
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
