"""Least squares that learns an hour at a time, forgets slowly, and is drawn towards a first guess."""

from collections.abc import Sequence

FORGET = 0.998
"""Weight of an hour that is one hour of the window older: with four hours a day, a half-life of three months."""
PULL = 4.0
"""How many hours of evidence the first guess is worth."""


class Ridge:
    """Coefficients c that bring c · x nearest to y, over all that was learnt."""

    def __init__(self, guess: Sequence[float]) -> None:
        size = len(guess)
        self._moments = [[PULL if i == j else 0.0 for j in range(size)] for i in range(size)]
        self._targets = [PULL * value for value in guess]
        self._guess = guess
        self._solved: list[float] | None = list(guess)

    def learn(self, rows: Sequence[Sequence[float]], targets: Sequence[float]) -> None:
        """Take in what came true."""
        for row, target in zip(rows, targets, strict=True):
            for i, x in enumerate(row):
                own = self._moments[i]
                for j, y in enumerate(row):
                    own[j] = own[j] * FORGET + x * y
                self._targets[i] = self._targets[i] * FORGET + x * target
        for i, value in enumerate(self._guess):  # what the first guess lost by forgetting
            lost = PULL * (1.0 - FORGET ** len(rows))
            self._moments[i][i] += lost
            self._targets[i] += lost * value
        self._solved = None

    def predict(self, row: Sequence[float]) -> float:
        """What to expect."""
        if self._solved is None:
            self._solved = _solve(self._moments, self._targets)
        return sum(c * x for c, x in zip(self._solved, row, strict=True))


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Cholesky: the matrix is symmetric, and positive by the pull towards the guess."""
    size = len(right)
    low = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(low[i][k] * low[j][k] for k in range(j))
            low[i][j] = max(rest, 1e-12) ** 0.5 if i == j else rest / low[j][j]
    middle: list[float] = []
    for i in range(size):
        middle.append((right[i] - sum(low[i][k] * middle[k] for k in range(i))) / low[i][i])
    found = [0.0] * size
    for i in reversed(range(size)):
        found[i] = (middle[i] - sum(low[k][i] * found[k] for k in range(i + 1, size))) / low[i][i]
    return found
