"""Gradient boosting for the low-bias estimate, where scikit-learn is installed (extra `estimate`)."""

from collections.abc import Sequence
from importlib.util import find_spec

from services.core.low_bias.walk import Learn, Predict, Row


def learner() -> Learn | None:
    """Boosted trees, or None where scikit-learn is not installed. It is imported only once there is enough to learn from."""
    return _learn if find_spec("sklearn") is not None else None


def _learn(rows: Sequence[Row], targets: Sequence[float]) -> Predict:
    from sklearn.ensemble import HistGradientBoostingRegressor  # noqa: PLC0415 - a second, and 100 MB
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with it

    # Small trees and slow learning: a home has thousands of hours, not millions. No randomness is left in it.
    model = HistGradientBoostingRegressor(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=20, early_stopping=False, random_state=0
    )
    # So little work is slowed by sharing it out, and the other cores belong to the services.
    with threadpool_limits(1):
        model.fit([list(row) for row in rows], list(targets))

    def predict(asked: Sequence[Row]) -> list[float]:
        with threadpool_limits(1):
            return [float(value) for value in model.predict([list(row) for row in asked])]

    return predict
