import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.core.config.load import parse_station
from services.recorder.history import History
from services.recorder.journal import FILE_NAME, Journal
from services.recorder.keeping import keep_up

SHIPPED = Path(__file__).parents[3] / "config" / "station.yaml"


@pytest.fixture
def station():
    return parse_station(SHIPPED.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def rolled_up(tmp_path_factory):
    """Makes a journal with a row a minute, rolled up as the recorder does; made once, as that takes its time, and copied."""
    made = {}

    def copy(start, minutes, values, to):
        key = (start, minutes, tuple(values.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("rolled_up") / FILE_NAME
            journal = Journal(made[key])
            write_minutes(journal, start, minutes, lambda _: values)
            while keep_up(journal, 150, 150_000):
                pass
            journal.close()
        return shutil.copy(made[key], to)

    return copy


@pytest.fixture
def begun(tmp_path):
    """Fills the path of the journal beforehand; to be overridden."""


@pytest.fixture
def journal(tmp_path, begun):
    opened = Journal(tmp_path / FILE_NAME)
    yield opened
    opened.close()


@pytest.fixture
def history(journal):
    return History(journal.path)


@pytest.fixture
def fill(journal):
    """Writes a row each minute: `fill("2026-07-01T12:00", 90, lambda i: {"p1_w": 5.0})`."""

    return lambda start, minutes, values: write_minutes(journal, start, minutes, values)


def write_minutes(journal, start, minutes, values):
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    journal.append_rows((begin + timedelta(minutes=i), values(i)) for i in range(minutes))
