"""From the bytes of a message to its model, or to what is wrong with it."""

from typing import TypeVar

from pydantic import ValidationError

from services.bus.messages.base import Payload
from services.core.problems import FieldProblem, field_problems, shortened

MAX_BYTES = 65_536
"""No message of ours comes near it; a larger one is refused unread."""
MOST_PROBLEMS = 3
"""As many as help; the rest shows once these are mended."""

P = TypeVar("P", bound=Payload)


class Refused(ValueError):
    """A payload that cannot be accepted, with its problems."""

    def __init__(self, problems: list[FieldProblem]) -> None:
        super().__init__("; ".join(f"{p.field}: {p.value}: {p.remedy}" for p in problems))
        self.problems = problems


def decode(model: type[P], payload: bytes) -> P:
    """The message in `payload`. Raises Refused."""
    if len(payload) > MAX_BYTES:
        raise Refused([FieldProblem((), shortened(payload[:40]), f"it has {len(payload)} bytes; send at most {MAX_BYTES}")])
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise Refused([FieldProblem((), shortened(payload[:40]), f"byte {error.start} is not UTF-8; send JSON in UTF-8")]) from None
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise Refused(field_problems(error, tuple(model.model_fields))[:MOST_PROBLEMS]) from None
