"""The examples in docs/policies.md are right as they stand."""

import re
from pathlib import Path

import pytest
import yaml

from services.core.config.load import parse_station
from services.core.pv_forecast import parse
from tests.support.sps import SHIPPED

DOCS = (Path(__file__).parents[3] / "docs" / "policies.md").read_text(encoding="utf-8")


def blocks(kind):
    return re.findall(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)


@pytest.mark.parametrize("example", blocks("yaml"))
def test_each_station_file_example_is_accepted(example):
    station = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    for section, values in yaml.safe_load(example).items():
        station[section] |= values
    parse_station(yaml.safe_dump(station))


def test_both_forecasts_say_the_same():
    [json_form], [csv_form] = blocks("json"), blocks("csv")
    assert parse(json_form) == parse(csv_form) != {}
