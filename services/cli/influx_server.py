"""An InfluxDB 2 made ready for a station: its first user, two buckets, their names in InfluxQL, and two tokens with one right each.

All of it may be done again: what is there stays. At the end both tokens are tried for what they may and for what they must not.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.domain.authorization import Authorization
from influxdb_client.domain.bucket import Bucket
from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.domain.onboarding_request import OnboardingRequest
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from influxdb_client.rest import ApiException
from influxdb_client.service.dbr_ps_service import DBRPsService
from influxdb_client.service.setup_service import SetupService
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError

from services.bus.secrets import NoSecret
from services.core.config.station import InfluxFeed

DATABASE, RAW, LONG = "sps", "raw", "long"
"""What InfluxQL calls the buckets: one database, and a retention policy for each."""
ADMIN = "admin"
MARK = "smart-power-station:"
"""So begins the description of each token of ours."""
TRIED = "setup"
"""The measurement of the points that try a token."""
DAY_S = 86_400
NOT_ALLOWED = (401, 403, 404)
"""A bucket that a token must not see is one that is not there."""


class NotReady(Exception):
    """InfluxDB cannot be made ready; says why, for a person."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """The files that hold what opens it. The administrator's two are there already; the others are written."""

    admin_password: Path
    admin_token: Path
    recorder_token: Path
    grafana_token: Path


@dataclass(frozen=True, slots=True)
class Kind:
    """A token: whose it is, and its one right on both buckets."""

    whose: str
    action: str


RECORDER, GRAFANA = Kind("recorder", "write"), Kind("grafana", "read")


def answers(url: str, timeout_s: float = 5.0) -> bool:
    """Whether an InfluxDB answers there."""
    try:
        return int(PoolManager().request("GET", f"{url}/health", timeout=timeout_s, retries=False).status) == 200
    except HTTPError:
        return False


def prepare(settings: InfluxFeed, secrets: Secrets, keep_days: int | None, *, made_days: int) -> Iterator[str]:
    """Make it ready, telling each thing done or found. Blocks. Raises NotReady, NoSecret, OSError.

    Readings are kept `keep_days`; without, a bucket that is there stays as it is, and one that is made keeps them `made_days`.
    """
    try:
        yield from _prepare(settings, secrets, keep_days, made_days)
    except ApiException as error:
        raise NotReady(
            f"InfluxDB at {settings.url} refused: {error.status} {' '.join(str(error.body or error.reason).split())[:200]}"
        ) from error
    except HTTPError as error:
        raise NotReady(f"InfluxDB at {settings.url} does not answer: {error}") from error


def _prepare(settings: InfluxFeed, secrets: Secrets, keep_days: int | None, made_days: int) -> Iterator[str]:
    long_bucket = settings.long_bucket
    if long_bucket is None or long_bucket == settings.bucket:
        raise NotReady("recorder.influx.long_bucket must name a second bucket, such as 'station_long'")
    admin_token = _secret(secrets.admin_token)
    made_s = (made_days if keep_days is None else keep_days) * DAY_S
    if _onboard(settings, admin_token, secrets, made_s):
        yield f"first user '{ADMIN}', organisation '{settings.org}'"
    with InfluxDBClient(url=settings.url, token=admin_token, org=settings.org, timeout=20_000) as client:
        org_id = _organisation(client, settings)
        buckets = {}
        for name, new_s, asked in ((settings.bucket, made_s, keep_days is not None), (long_bucket, 0, False)):
            buckets[name], told = _bucket(client, org_id, name, new_s, asked=asked)
            yield told
        for policy, name in ((RAW, settings.bucket), (LONG, long_bucket)):
            yield _map(client, org_id, policy, buckets[name])
        tries = _Tries(settings, long_bucket)
        for kind, path in ((RECORDER, secrets.recorder_token), (GRAFANA, secrets.grafana_token)):
            yield _token(client, org_id, kind, path, list(buckets.values()), tries)


def _onboard(settings: InfluxFeed, admin_token: str, secrets: Secrets, kept_s: int) -> bool:
    with InfluxDBClient(url=settings.url, token="", org=settings.org, timeout=20_000) as client:
        service = SetupService(client.api_client)
        if not service.get_setup().allowed:
            return False
        wanted = OnboardingRequest(
            username=ADMIN,
            password=_secret(secrets.admin_password),
            org=settings.org,
            bucket=settings.bucket,
            retention_period_seconds=kept_s,
            token=admin_token,
        )
        service.post_setup(wanted)
        return True


def _organisation(client: InfluxDBClient, settings: InfluxFeed) -> str:
    try:
        found = client.organizations_api().find_organizations(org=settings.org)
    except ApiException as error:
        if error.status in (401, 403):
            raise NotReady(
                f"InfluxDB at {settings.url} was set up with another administrator's token than influx/admin.token; put the old one back,"
                " or stop InfluxDB, run `influxd recovery auth create-operator`, and write what it prints there (docs/security.md)"
            ) from error
        if error.status != 404:
            raise
        found = []
    if not found:
        raise NotReady(f"InfluxDB at {settings.url} knows no organisation '{settings.org}'; check recorder.influx.org")
    return str(found[0].id)


def _bucket(client: InfluxDBClient, org_id: str, name: str, kept_s: int, *, asked: bool) -> tuple[Bucket, str]:
    """Found or made. How long one that is there keeps its points is a person's affair unless somebody `asked` now."""
    api = client.buckets_api()
    rules = BucketRetentionRules(type="expire", every_seconds=kept_s)
    if (found := api.find_bucket_by_name(name)) is None:
        return api.create_bucket(bucket_name=name, org=org_id, retention_rules=rules), f"bucket '{name}', {_kept(kept_s)}"
    is_s = found.retention_rules[0].every_seconds if found.retention_rules else 0
    if is_s == kept_s or not asked:
        return found, f"bucket '{name}' is there, {_kept(is_s)}"
    found.retention_rules = [rules]
    api.update_bucket(found)
    return found, f"bucket '{name}' is there, now {_kept(kept_s)}"


def _kept(kept_s: int) -> str:
    return f"kept {kept_s / DAY_S:g} days" if kept_s else "kept for ever"


def _map(client: InfluxDBClient, org_id: str, policy: str, bucket: Bucket) -> str:
    service = DBRPsService(client.api_client)
    told = f"InfluxQL finds '{bucket.name}' as {DATABASE}.{policy}"
    for one in service.get_dbr_ps(org_id=org_id, db=DATABASE).content or []:
        if one.retention_policy != policy or one.virtual:
            continue
        if one.bucket_id == bucket.id:
            return f"{told} already"
        service.delete_dbrpid(one.id, org_id=org_id)  # of a bucket that was made anew
    service.post_dbrp(DBRPCreate(org_id=org_id, bucket_id=bucket.id, database=DATABASE, retention_policy=policy, default=policy == RAW))
    return told


def _token(client: InfluxDBClient, org_id: str, kind: Kind, path: Path, buckets: list[Bucket], tries: "_Tries") -> str:
    told = f"token of {kind.whose}, to {kind.action} these buckets and nothing else: {path}"
    if (kept := _token_in(path)) is not None and tries.fault(kind, kept) is None:
        return f"{told} (there, and tried)"
    api = client.authorizations_api()
    for old in api.find_authorizations(org_id=org_id):
        if old.description == f"{MARK} {kind.whose}":
            api.delete_authorization(old)
    rights = [Permission(action=kind.action, resource=PermissionResource(type="buckets", id=one.id, org_id=org_id)) for one in buckets]
    made = api.create_authorization(authorization=Authorization(org_id=org_id, permissions=rights, description=f"{MARK} {kind.whose}"))
    _write(path, str(made.token))
    if (fault := tries.fault(kind, str(made.token))) is not None:
        raise NotReady(f"the new token of {kind.whose} is not right: {fault}")
    return f"{told} (made, and tried)"


class _Tries:
    """Tries tokens by use: what the server says of a token is one thing, what it lets it do the other."""

    def __init__(self, settings: InfluxFeed, long_bucket: str) -> None:
        self._settings = settings
        self._buckets = (settings.bucket, long_bucket)
        self._writer: str | None = None

    def fault(self, kind: Kind, token: str) -> str | None:
        """What the token may that it must not, or may not that it must; None if it is right."""
        writes = [self._may_write(bucket, token) for bucket in self._buckets]
        reads = [self._may_read(policy, token) for policy in (RAW, LONG)]
        may, must_not, word = (writes, reads, "read") if kind is RECORDER else (reads, writes, "write")
        if not all(may):
            return f"it may not {kind.action} every bucket"
        return f"it may {word}, too" if any(must_not) else None

    def _may_write(self, bucket: str, token: str) -> bool:
        with InfluxDBClient(url=self._settings.url, token=token, org=self._settings.org, timeout=20_000) as client:
            try:
                client.write_api(write_options=SYNCHRONOUS).write(bucket, self._settings.org, record=f"{TRIED} may_write=1")
            except ApiException as error:
                if error.status in NOT_ALLOWED:
                    return False
                raise
        return True

    def _may_read(self, policy: str, token: str) -> bool:
        """Whether it finds the point that the recorder's token left there."""
        fields = {"db": DATABASE, "q": f'SELECT last("may_write") FROM "{policy}"."{TRIED}"'}  # noqa: S608 - fixed names
        answer = PoolManager().request(
            "GET", f"{self._settings.url}/query", fields=fields, headers={"Authorization": f"Token {token}"}, timeout=20.0, retries=False
        )
        if answer.status != 200:
            if answer.status in NOT_ALLOWED:
                return False
            raise NotReady(f"a query in InfluxQL was answered {answer.status}: {answer.data[:200]!r}")
        body: dict[str, Any] = answer.json()
        return any(result.get("series") for result in body.get("results", []))


def _secret(path: Path) -> str:
    text = _token_in(path)
    if text is None:
        raise NoSecret(f"{path} is missing or empty; `sps setup` makes it")
    return text


def _token_in(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _write(path: Path, token: str) -> None:
    """In its place, so that owner, permissions and mounts of a file that is there already stay."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
