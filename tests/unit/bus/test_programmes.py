"""Programme files: found, checked, and refused with the line and the remedy."""

from datetime import date

import pytest
import yaml

from services.bus import programmes
from services.bus.runtime import load_station
from services.core.config.load import ConfigError, parse_station
from services.core.programme import Season
from tests.support.recorder import SHIPPED


def problem_of(folder, text, name="mine"):
    (folder / "programmes").mkdir(exist_ok=True)
    (folder / "programmes" / f"{name}.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        programmes.load(name, folder)
    return str(refused.value)


def changed(**fields):
    body = yaml.safe_load((programmes._SHIPPED / "coned-csrp.yaml").read_text(encoding="utf-8")) | {"name": "mine"}
    return yaml.safe_dump(body | fields)


def rules_in(path):
    return load_station(path).programme.rules


@pytest.mark.parametrize("name", programmes.names(SHIPPED.parent))
def test_every_shipped_programme_is_right(name) -> None:
    assert programmes.load(name, SHIPPED.parent).name == name


def test_ones_own_file_goes_before_a_shipped_one(tmp_path) -> None:
    (tmp_path / "programmes").mkdir()
    text = (programmes._SHIPPED / "coned-csrp.yaml").read_text(encoding="utf-8").replace("look_back: 30", "look_back: 40", 1)
    (tmp_path / "programmes" / "coned-csrp.yaml").write_text(text, encoding="utf-8")
    assert programmes.load("coned-csrp", tmp_path).baseline.weekday.look_back == 40
    assert programmes.load("coned-csrp").baseline.weekday.look_back == 30


@pytest.mark.parametrize(
    ("fields", "where", "remedy"),
    [
        ({"seasn": {}}, "seasn", "this field is not known here"),
        ({"season": {"first": "05-01", "last": "31.9."}}, "season.last", 'such as "05-01"'),
        ({"calls": {"windows": ["4pm-8pm"]}}, "calls.windows.0", '"11:00-15:00"'),
        ({"settlement_interval": "PT10S"}, "the station", "between one minute and 24 hours"),
        ({"recall": ["rates.colour"]}, "the station", "'rates.colour' is no field of this file"),
        ({"name": "other"}, "name", "must be the file's own name, mine"),
        ({"rates": {"currency": "dollars"}}, "rates.currency", "pattern"),
    ],
)
def test_a_wrong_field_is_named_with_its_file_and_the_remedy(tmp_path, fields, where, remedy) -> None:
    problem = problem_of(tmp_path, changed(**fields))
    assert "mine.yaml" in problem
    assert remedy in problem
    assert where in problem or where == "the station"


def test_a_rule_that_cannot_be_is_refused(tmp_path) -> None:
    rule = {"days": "weekdays", "look_back": 30, "take": 5, "keep": "highest", "keep_days": 6}
    baseline = {"method": "m", "weekday": rule, "weekend": {"days": "weekends", "look_back": 3, "take": 1}}
    assert "keep_days (6) cannot exceed take (5)" in problem_of(tmp_path, changed(baseline=baseline))


def test_what_is_not_yaml_is_told_with_its_line(tmp_path) -> None:
    assert "line 2" in problem_of(tmp_path, "name: mine\ntitle: [")


def test_an_unknown_programme_names_those_there_are(tmp_path) -> None:
    with pytest.raises(ConfigError) as refused:
        programmes.load("coned", tmp_path)
    assert "choose from caiso-10-of-10, coned-csrp" in str(refused.value)
    assert f"put coned.yaml into {tmp_path / 'programmes'}" in str(refused.value)


def test_the_station_file_chooses_by_name_or_with_a_pledge(tmp_path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    assert rules_in(SHIPPED).name == "recent-days"  # what stood before there were programmes
    for line, pledge_w in (("programme: coned-csrp", None), ("programme: {name: coned-csrp, pledge_w: 200}", 200)):
        path = tmp_path / "station.yaml"
        path.write_text(f"{text}\n{line}\n", encoding="utf-8")
        enrolment = load_station(path).programme
        assert (rules_in(path).name, enrolment.pledge_w) == ("coned-csrp", pledge_w)


def test_a_station_that_chooses_what_is_not_there_is_refused_at_the_start(tmp_path) -> None:
    path = tmp_path / "station.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8") + "\nprogramme: nowhere\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="'nowhere'; there is none of this name"):
        load_station(path)
    assert parse_station(path.read_text(encoding="utf-8")).programme.rules is None  # reading the text alone asks no file


def test_a_season_may_run_over_the_new_year() -> None:
    assert Season(first="11-01", last="02-29").span(2026) == (date(2026, 11, 1), date(2027, 2, 28))
