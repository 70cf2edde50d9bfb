"""How much each may send: a bucket that fills with time."""

from collections import OrderedDict
from math import ceil

MOST_KNOWN = 50_000


class Allowance:
    """`per_minute` on the long run and as many at once, for each name. Forgets who has been quiet longest."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._known: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str, now_s: float) -> int:
        """0 if `name` may, which then counts; else after how many seconds it may. `now_s` is monotonic."""
        left = self._left(name, now_s)
        self._known.pop(name, None)
        granted = left >= 1
        self._known[name] = (left - 1 if granted else left, now_s)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return 0 if granted else self._until_one_s(left)

    def would_wait_s(self, name: str, now_s: float) -> int:
        """The same, but nothing counts."""
        left = self._left(name, now_s)
        return 0 if left >= 1 else self._until_one_s(left)

    def _left(self, name: str, now_s: float) -> float:
        left, at = self._known.get(name, (float(self._per_minute), now_s))
        return min(float(self._per_minute), left + (now_s - at) * self._per_minute / 60)

    def _until_one_s(self, left: float) -> int:
        return max(1, ceil((1 - left) * 60 / self._per_minute))
