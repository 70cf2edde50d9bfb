"""A service that runs alone: how it starts, refuses and stops."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from services.bus.clock import FollowedClock, SystemClock
from services.bus.runtime import load_station, make_context
from services.bus.state_format import StateFolderError
from services.core.config.load import ConfigError

SHIPPED = Path(__file__).parents[2] / "config" / "station.yaml"
SERVICE = textwrap.dedent("""
    import asyncio
    from services.bus.runtime import standalone
    async def run(context):
        print(context.station.station, context.state_dir("probe"), flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print("put to rest", flush=True)
    standalone("probe", run)
""")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVICE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=SHIPPED.parents[1]
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_service_clean_up_and_exit_well(tmp_path, number) -> None:
    with start("--var", str(tmp_path)) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == f"demo {tmp_path / 'probe'}\n"
        service.send_signal(number)
        output, errors = service.communicate(timeout=10)
    assert (service.returncode, output, errors) == (0, "put to rest\n", "")


def test_a_wrong_station_file_is_told_by_line_and_field(tmp_path) -> None:
    wrong = tmp_path / "station.yaml"
    wrong.write_text(SHIPPED.read_text(encoding="utf-8").replace("Europe/Paris", "Mars"), encoding="utf-8")
    with start("--config", str(wrong), "--var", str(tmp_path)) as service:
        output, errors = service.communicate(timeout=10)
    assert (service.returncode, output) == (2, "")
    assert errors == "line 4: timezone: 'Mars'; use an IANA time zone such as 'America/New_York'\n"


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read: No such file"), (b"\xff", "not UTF-8")])
def test_a_station_file_that_cannot_be_read_is_said_so(tmp_path, content, words) -> None:
    path = tmp_path / "station.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        load_station(path)


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StateFolderError, match=r"cannot write to .*; choose another folder with --var") as refused:
        make_context(load_station(SHIPPED), file / "var")
    assert "\n" not in str(refused.value)


def test_the_clock_is_the_configured_one(tmp_path) -> None:
    station = load_station(SHIPPED)
    assert isinstance(make_context(station, tmp_path).clock, FollowedClock)
    assert isinstance(make_context(station.model_copy(update={"clock": "system"}), tmp_path).clock, SystemClock)
