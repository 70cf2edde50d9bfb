"""Where a backup is put together, and which one is refused."""

import io
import tarfile

import pytest
from typer.testing import CliRunner

from services.bus.access import USERS
from services.cli.main import app
from tests.support.ports import free_port
from tests.support.sps import SHIPPED

FILE = "station.sps.tar.gz"


@pytest.fixture
def var(tmp_path):
    """The state of a station that is stopped."""
    folder = tmp_path / "var"
    for service in ("controller", "recorder"):
        (folder / service).mkdir(parents=True)
    (folder / "controller" / "state.json").write_text("{}")
    return folder


def backup(*arguments, **environment):
    nobody = {"SPS_RECORDER_URL": f"http://127.0.0.1:{free_port()}"}
    return CliRunner().invoke(app, ["backup", *map(str, arguments), "--config", str(SHIPPED)], env=environment | nobody)


def passwords_of(folder, *users):
    (folder / "mqtt").mkdir(parents=True)
    for user in users:
        (folder / "mqtt" / user).write_text("sesame\n")
    return str(folder)


def test_from_a_container_that_has_its_own_secrets_alone_no_backup_of_secrets_is_made(tmp_path, var) -> None:
    dealt = {"SPS_BROKER_HOST": "mosquitto", "SPS_SECRETS": passwords_of(tmp_path / "dealt", "operator")}
    refused = backup(tmp_path / FILE, "--with-secrets", "--var", var, **dealt)
    assert refused.exit_code == 1
    assert "copy ./secrets (or what SPS_SECRETS_FOLDER names)" in refused.output
    assert not (tmp_path / FILE).exists()
    assert backup(tmp_path / FILE, "--var", var, **dealt).exit_code == 0


@pytest.mark.parametrize(
    ("users", "where"), [(USERS, {"SPS_BROKER_HOST": "mosquitto"}), (("relay_bridge",), {})], ids=["a container", "a bridge of its own"]
)
def test_where_the_folder_of_secrets_is_the_whole_one_it_goes_along(tmp_path, var, users, where) -> None:
    made = backup(tmp_path / FILE, "--with-secrets", "--var", var, SPS_SECRETS=passwords_of(tmp_path / "secrets", *users), **where)
    assert made.exit_code == 0, made.output
    with tarfile.open(tmp_path / FILE) as tar:
        assert {f"secrets/mqtt/{user}" for user in users} <= set(tar.getnames())


def test_what_goes_to_standard_output_is_put_together_beside_the_journal_and_not_in_memory(tmp_path, var, monkeypatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "memory, which is full"))
    made = backup("-", "--var", var)
    assert made.exit_code == 0, made.output
    with tarfile.open(fileobj=io.BytesIO(made.stdout_bytes)) as tar:
        assert "state/controller/state.json" in tar.getnames()
    assert not list((var / "recorder").iterdir())
