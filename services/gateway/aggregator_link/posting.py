"""Sends, and notes in the log of what left: before it leaves, and what became of it. Blocks: for a worker thread."""

from dataclasses import dataclass

from services.bus.clock import Clock
from services.gateway.aggregator_link.gate import Gate
from services.gateway.aggregator_link.packing import Packed
from services.gateway.aggregator_link.results import Outcome, Result
from services.gateway.aggregator_link.sending import Sender
from services.gateway.aggregator_link.sent_log import SentLog


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be sent, and what the log says of it."""

    method: str
    path: str
    body: Packed
    kind: str
    records: int
    key: str | None = None
    """A batch's: it may be sent again, as it is."""
    resume: str | None = None
    moved: str | None = None
    """Where the station stands once it is taken, or set aside."""
    splits: bool = False
    """Too large a body is sent anew in pieces, so that nothing has moved on then."""
    packed: bool = True


@dataclass(frozen=True, slots=True)
class Poster:
    """To one aggregator."""

    sender: Sender
    sent: SentLog
    clock: Clock
    receiver: str

    def post(self, letter: Letter, gate: Gate, number: int | None = None) -> tuple[Result, int | None]:
        """How it went, and its number in the log unless it never left. `number` is that of an earlier attempt. Raises OSError.

        What cannot be noted does not leave.
        """
        if number is None:
            number = self.sent.begin(
                self.clock.now(),
                to=self.receiver,
                route="http",
                kind=letter.kind,
                records=letter.records,
                body=letter.body,
                resume=letter.resume,
            )
        else:
            self.sent.again(number)
        noted = number
        result = self.sender.send(
            letter.method,
            letter.path,
            letter.body if letter.packed else letter.body.plain(),
            gate,
            key=letter.key,
            expects_batch=letter.key is not None,
            attempted=lambda: self.sent.again(noted),
        )
        return result, self._note(noted, letter, result)

    def _note(self, number: int, letter: Letter, result: Result) -> int | None:
        if not result.left and self.sent.never_left(number):
            return None
        moved = letter.moved
        if result.outcome is Outcome.LATER:
            why = f"not taken, though some of it may have left: {result.detail}"
            (self.sent.end if letter.key is None else self.sent.waits)(number, why)
            return number
        words = result.outcome.value
        if result.outcome in (Outcome.REFUSED, Outcome.TOO_LARGE):
            words = f"{words}: {result.detail}"
        if result.outcome is Outcome.WITHDRAWN or (result.outcome is Outcome.TOO_LARGE and letter.splits):
            moved = None
        self.sent.end(number, words, moved=moved)
        return number
