"""Passwords: how one is kept, checked, made and judged."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.gateway.languages.reason_patterns import N_

LEAST_LENGTH = 10
GREATEST_LENGTH = 256
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Argon2id by OWASP's least of 19 MiB and two rounds: a small board has to do it, too, and guesses are slowed down besides."""
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without those that look alike."""


def hashed(password: str) -> str:
    """What is kept of `password`. Takes tens of milliseconds of a core: not for the event loop."""
    return _HASHER.hash(password)


def matches(password: str, kept: str) -> bool:
    """Whether `password` is the one that `kept` was made of; as slow as `hashed`."""
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False


def generated() -> str:
    """A password of 100 random bits, such as `k3vpa-…`."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


def complaint(password: str) -> str | None:
    """Why `password` cannot be taken, with `{least}` and `{most}` for the limits; None if it can."""
    if len(password) < LEAST_LENGTH:
        return N_("The password is too short: use at least {least} characters. Three or four unrelated words are a good one.")
    if len(password) > GREATEST_LENGTH:
        return N_("The password is too long: use at most {most} characters.")
    if len(set(password)) < 5:
        return N_("The password repeats a few characters only: use a less regular one.")
    return None
