"""Least squares for a handful of terms. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt


class Singular(ValueError):
    """The terms cannot be told apart in these data."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """The coefficients, and how certain they are."""

    values: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]

    def error(self, i: int) -> float:
        """The standard error of coefficient `i`."""
        return sqrt(max(0.0, self.covariance[i][i]))


def fitted(terms: Sequence[Sequence[float]], targets: Sequence[float]) -> Fitted:
    """The coefficients c that bring sum(c x terms) nearest to the targets. Raises Singular."""
    count = len(terms[0]) if terms else 0
    if len(terms) <= count or not count:
        raise Singular(f"{len(terms)} equations for {count} terms")
    # Scaled to one, so that the test for singularity means the same for Wh and for hours.
    scales = [sqrt(sum(row[j] ** 2 for row in terms)) for j in range(count)]
    if min(scales) <= 0.0:
        raise Singular("a term is always zero")
    scaled = [[value / scale for value, scale in zip(row, scales, strict=True)] for row in terms]
    normal = [[sum(row[i] * row[j] for row in scaled) for j in range(count)] for i in range(count)]
    inverse = _inverse(normal)
    right = [sum(row[i] * target for row, target in zip(scaled, targets, strict=True)) for i in range(count)]
    solution = [sum(inverse[i][j] * right[j] for j in range(count)) for i in range(count)]
    residuals = (target - sum(c * x for c, x in zip(solution, row, strict=True)) for row, target in zip(scaled, targets, strict=True))
    variance = sum(residual**2 for residual in residuals) / (len(terms) - count)
    return Fitted(
        tuple(value / scale for value, scale in zip(solution, scales, strict=True)),
        tuple(tuple(variance * inverse[i][j] / (scales[i] * scales[j]) for j in range(count)) for i in range(count)),
    )


def _inverse(matrix: list[list[float]]) -> list[list[float]]:
    """Gauss and Jordan, with pivots from the column."""
    size = len(matrix)
    work = [[*row, *(1.0 if i == j else 0.0 for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(work[row][column]))
        if abs(work[pivot][column]) < 1e-9:
            raise Singular("two terms always move together")
        work[column], work[pivot] = work[pivot], work[column]
        lead = work[column][column]
        work[column] = [value / lead for value in work[column]]
        for row in range(size):
            if row != column and (factor := work[row][column]):
                work[row] = [value - factor * base for value, base in zip(work[row], work[column], strict=True)]
    return [row[size:] for row in work]
