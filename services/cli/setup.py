"""`sps setup`: make every secret, the broker's users and rules, and the certificates for TLS."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import WRONG_USAGE, fail
from services.cli.options import DEFAULT_CONFIG, ConfigOption, SecretsOption, load_station, secrets_of

if TYPE_CHECKING:
    from services.bus.provision import Finding, Owners

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*")
_OWNER = re.compile(r"(?:(?P<name>[A-Za-z0-9_][A-Za-z0-9_./-]*)=)?(?P<uid>\d{1,9}):(?P<gid>\d{1,9})")


def setup(
    config: ConfigOption = DEFAULT_CONFIG,
    secrets: SecretsOption = None,
    name: Annotated[
        list[str] | None,
        typer.Option(
            envvar="SPS_BROKER_NAMES",
            metavar="HOST",
            help="A name or address of this machine in your network, for the broker's certificate; may be repeated.",
        ),
    ] = None,
    owner: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PART=]UID:GID",
            help="Who is to own the files, or those of one part such as mosquitto or mqtt/gateway, so that a container may read them;"
            " may be repeated. Needs root.",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Make nothing; say what is missing or wrong (exit 1).")] = False,
) -> None:
    """Make every secret of a station that is missing: passwords, the broker's users and rules, certificates. None is overwritten.

    Says where each lies and never what it is. Run it again after each change of the station file, which the broker's rules follow,
    and once a year, for the broker's certificate; then restart the broker.

    Example: sps setup

    Example: sps setup --name powerstation.local --name 192.168.1.20

    Example: sps setup --owner 1000:1000 --owner mosquitto=1883:1883
    """
    from services.bus.clock import SystemClock
    from services.bus.provision import Wishes, set_up
    from services.bus.provision import check as look
    from services.bus.secrets import NoSecret

    station = load_station(config)
    wishes = Wishes(tuple(_host(one) for one in name or ()), _owners(owner or []))
    folder = (secrets or secrets_of()).absolute()
    clock = SystemClock()
    if not clock.known:
        fail("this machine's clock has not been set, and certificates begin with a date; wait for time synchronisation, and run it again")
    try:
        findings = (look if check else set_up)(folder, station, wishes, clock.now())
    except NoSecret as error:
        fail(str(error))
    except PermissionError as error:
        also = ", and --owner needs root" if owner else ""
        fail(f"{error.filename or folder} may not be written ({error.strerror}); run it as the folder's owner{also}")
    except OSError as error:
        fail(f"{error.filename or folder} cannot be written ({error.strerror}); name another folder with --secrets, or run it as its owner")
    _table(findings, folder)
    _conclude(findings, check=check)


def _table(findings: "list[Finding]", folder: Path) -> None:
    typer.echo(f"in {folder}:")
    words = [_word(finding) for finding in findings]
    wide, long = max(map(len, words)), max(len(finding.part.name) for finding in findings)
    for word, finding in zip(words, findings, strict=True):
        told = "; ".join(filter(None, [finding.part.meaning, finding.look.detail, finding.permissions]))
        typer.echo(f"  {word:{wide}}  {finding.part.name:{long}}  {told}")


def _word(finding: "Finding") -> str:
    from services.bus.provision import State

    if finding.made:
        return "made" if finding.look.state is State.MISSING else "made anew"
    return str(finding.look.state) if finding.permissions is None else "permissions"


def _conclude(findings: "list[Finding]", *, check: bool) -> None:
    from services.bus.provision import State

    wrong = [finding for finding in findings if finding.look.state is State.WRONG]
    if wrong:
        made = "" if check else "; nothing was made"
        fail(f"{len(wrong)} of {len(findings)} cannot be used: {', '.join(str(finding.path) for finding in wrong)}{made}")
    if check:
        undone = [finding for finding in findings if not finding.in_order]
        if undone:
            fail(f"{len(undone)} of {len(findings)} are not in order; run sps setup")
        typer.echo("all is in order")
        return
    if any(finding.made and finding.part.name.startswith("mosquitto/") and finding.look.state is State.OLD for finding in findings):
        typer.echo("a broker that runs already must read its files again: restart it (in its container it does so by itself)")


def _host(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if _HOST.fullmatch(text) is None:
        fail(f"--name {text!r} is neither a host name nor an IP address; write one such as powerstation.local or 192.168.1.20", WRONG_USAGE)
    return text.lower()


def _owners(texts: list[str]) -> "Owners":
    from services.bus.provision import Owner, Owners

    found = {}
    for text in texts:
        if (match := _OWNER.fullmatch(text)) is None:
            fail(f"--owner {text!r} is not understood; write numbers, such as 1000:1000 or mosquitto=1883:1883", WRONG_USAGE)
        found[(match["name"] or "").rstrip("/")] = Owner(int(match["uid"]), int(match["gid"]))
    return Owners(found)
