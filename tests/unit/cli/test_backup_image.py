"""The command line's image has less than a whole station: no web server. A backup and a restore need none."""

import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import packages_distributions
from pathlib import Path

REPO = Path(__file__).parents[3]
LOCK = REPO / "requirements" / "images" / "setup.txt"
ALONE = """
import sys
from importlib.abc import MetaPathFinder
lacking, *arguments = sys.argv[1:]
class Lacking(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name in lacking.split(","):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Lacking())
from services.cli.main import app
app(arguments)
"""


def lacking() -> str:
    """The top modules of what is installed here and not in that image."""
    locked = {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK.read_text(), re.MULTILINE)}
    ours = locked | {"smart-power-station"}
    found = packages_distributions().items()
    return ",".join(module for module, names in found if not {name.lower().replace("_", "-") for name in names} & ours)


def test_a_stopped_station_is_backed_up_and_put_back_with_what_that_image_has(tmp_path: Path) -> None:
    without, var = lacking(), tmp_path / "var"
    assert "fastapi" in without.split(",")
    for name in ("recorder/journal.db", "gateway/sent.db"):
        (var / name).parent.mkdir(parents=True)
        with closing(sqlite3.connect(var / name)) as db, db:
            db.execute("CREATE TABLE kept (what TEXT)")
    shared = ["--config", str(REPO / "config" / "station.yaml"), "--var", str(var)]
    file = str(tmp_path / "station.sps.tar.gz")
    for arguments in (["backup", file], ["restore", file, "--yes"]):
        done = subprocess.run(
            [sys.executable, "-c", ALONE, without, *arguments, *shared],
            # As docker-compose.yml has it: one of several containers.
            env=os.environ | {"SPS_SIMULATOR_HOST": "simulator", "SPS_BROKER_HOST": "mosquitto"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for name in ("recorder/journal.db", "gateway/sent.db"):
        with closing(sqlite3.connect(var / name)) as db:
            assert db.execute("SELECT count(*) FROM kept").fetchone() == (0,)
