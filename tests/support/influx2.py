"""What of InfluxDB 2's HTTP API `sps influx setup` uses, emulated: users, buckets, mappings, tokens and what they may.

A stand-in, and only that: it proves that our requests fit the models which influxdb-client generates from InfluxDB's own OpenAPI
document, and that doing all of it again changes nothing. It does not prove that InfluxDB 2 answers so.
"""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from influxdb_client.domain.authorization_post_request import AuthorizationPostRequest
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.domain.onboarding_request import OnboardingRequest
from influxdb_client.domain.post_bucket_request import PostBucketRequest

ORG = "0a0a0a0a0a0a0a0a"


@dataclass
class State:
    """What the server keeps."""

    allowed: bool = True
    org: str = ""
    buckets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id."""
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id; the administrator's is all-powerful."""
    points: dict[str, int] = field(default_factory=dict)
    """How many were written into each bucket, by name."""
    careless: bool = False
    """Gives every new token all rights, as a faulty server might."""
    next: int = 1

    def new_id(self) -> str:
        self.next += 1
        return f"{self.next:016x}"

    def may(self, token: str, action: str, bucket_id: str) -> bool:
        for one in self.tokens.values():
            if one["token"] == token:
                rights = one["permissions"]
                return rights == "all" or any(r["action"] == action and r["resource"]["id"] == bucket_id for r in rights)
        return False

    def known(self, token: str) -> bool:
        return any(one["token"] == token for one in self.tokens.values())

    def is_admin(self, token: str) -> bool:
        return any(one["token"] == token and one["permissions"] == "all" for one in self.tokens.values())

    def bucket(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.buckets.values() if one["name"] == name), None)


def fits(model: type, body: dict[str, Any]) -> None:
    """Raise ValueError if `body` has a field that the model does not know, or lacks one that it needs."""
    names = {json_name: name for name, json_name in model.attribute_map.items()}  # type: ignore[attr-defined]
    if unknown := set(body) - set(names):
        raise ValueError(f"{model.__name__} has no {unknown}")
    model(**{names[name]: value for name, value in body.items()})


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers for the state in its class."""

    state: State

    def _ask(self) -> tuple[str, dict[str, str], Any]:
        asked = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        body = json.loads(text) if text and "json" in self.headers.get("Content-Type", "") else text
        return asked.path, {name: values[0] for name, values in parse_qs(asked.query).items()}, body

    def _say(self, status: int, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if data:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    @property
    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Token ").strip()

    def _serve(self) -> None:
        path, query, body = self._ask()
        try:
            match (self.command, path):
                case ("GET", "/health"):
                    self._say(200, {"name": "influxdb", "status": "pass"})
                case ("GET", "/api/v2/setup"):
                    self._say(200, {"allowed": self.state.allowed})
                case ("POST", "/api/v2/setup"):
                    self._onboard(body)
                case ("POST", "/api/v2/write"):
                    self._write(query)
                case ("GET", "/query"):
                    self._query(query)
                case _ if not self.state.is_admin(self._token):
                    self._say(401, {"code": "unauthorized", "message": "unauthorized access"})
                case _:
                    self._administer(path, query, body)
        except ValueError as error:
            self._say(400, {"code": "invalid", "message": str(error)})

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - what the library calls

    def _onboard(self, body: dict[str, Any]) -> None:
        fits(OnboardingRequest, body)
        if not self.state.allowed:
            self._say(422, {"code": "conflict", "message": "onboarding has already been completed"})
            return
        self.state.allowed, self.state.org = False, body["org"]
        self.state.tokens[self.state.new_id()] = {"token": body["token"], "permissions": "all", "description": "admin's Token"}
        self._make_bucket(body["bucket"], body["retentionPeriodSeconds"])
        self._say(201, {"org": {"id": ORG, "name": body["org"]}})

    def _make_bucket(self, name: str, kept_s: int) -> dict[str, Any]:
        bucket_id = self.state.new_id()
        self.state.buckets[bucket_id] = {"id": bucket_id, "orgID": ORG, "name": name, "retentionRules": _rules(kept_s)}
        return self.state.buckets[bucket_id]

    def _administer(self, path: str, query: dict[str, str], body: Any) -> None:
        state = self.state
        match (self.command, path.removeprefix("/api/v2/").split("/")):
            case ("GET", ["orgs"]):
                if query["org"] != state.org:
                    self._say(404, {"code": "not found", "message": f'organization name "{query["org"]}" not found'})
                else:
                    self._say(200, {"orgs": [{"id": ORG, "name": state.org}]})
            case ("GET", ["buckets"]):
                self._say(200, {"buckets": [one for one in state.buckets.values() if one["name"] == query["name"]]})
            case ("POST", ["buckets"]):
                fits(PostBucketRequest, body)
                self._say(201, self._make_bucket(body["name"], body["retentionRules"][0]["everySeconds"]))
            case ("PATCH", ["buckets", bucket_id]):
                state.buckets[bucket_id]["retentionRules"] = _rules(body["retentionRules"][0]["everySeconds"])
                self._say(200, state.buckets[bucket_id])
            case ("GET", ["dbrps"]):
                found = [one for one in state.mappings.values() if one["database"] == query["db"]]
                self._say(200, {"content": found})
            case ("POST", ["dbrps"]):
                fits(DBRPCreate, body)
                made = {**body, "id": state.new_id(), "virtual": False}
                state.mappings[made["id"]] = made
                self._say(201, made)
            case ("DELETE", ["dbrps", mapping_id]):
                del state.mappings[mapping_id]
                self._say(204)
            case ("GET", ["authorizations"]):
                self._say(200, {"authorizations": [_shown(name, one) for name, one in state.tokens.items()]})
            case ("POST", ["authorizations"]):
                fits(AuthorizationPostRequest, {name: value for name, value in body.items() if name != "token"})
                name = state.new_id()
                rights = "all" if state.careless else body["permissions"]
                state.tokens[name] = {"token": f"made-{name}", "permissions": rights, "description": body["description"]}
                self._say(201, _shown(name, state.tokens[name]))
            case ("DELETE", ["authorizations", token_id]):
                del state.tokens[token_id]
                self._say(204)
            case _:
                self._say(404, {"code": "not found", "message": path})

    def _write(self, query: dict[str, str]) -> None:
        bucket = self.state.bucket(query["bucket"])
        if not self.state.known(self._token):
            self._say(401, {"code": "unauthorized", "message": "unauthorized access"})
        elif bucket is None or not self.state.may(self._token, "write", bucket["id"]):
            self._say(403, {"code": "forbidden", "message": "insufficient permissions for write"})
        else:
            self.state.points[bucket["name"]] = self.state.points.get(bucket["name"], 0) + 1
            self._say(204)

    def _query(self, query: dict[str, str]) -> None:
        policy = query["q"].split('FROM "')[1].split('"')[0]
        found = [one for one in self.state.mappings.values() if (one["database"], one["retention_policy"]) == (query["db"], policy)]
        if not self.state.known(self._token):
            self._say(401, {"error": "unauthorized access"})
        elif not found or not self.state.may(self._token, "read", found[0]["bucketID"]):
            self._say(200, {"results": [{"statement_id": 0, "error": "not authorized or no such bucket"}]})
        else:
            name = self.state.buckets[found[0]["bucketID"]]["name"]
            series = [{"name": "setup", "columns": ["time", "last"], "values": [[0, 1]]}] if self.state.points.get(name) else []
            self._say(200, {"results": [{"statement_id": 0, **({"series": series} if series else {})}]})

    def log_message(self, *_: object) -> None:
        pass


def _rules(kept_s: int) -> list[dict[str, Any]]:
    return [{"type": "expire", "everySeconds": kept_s, "shardGroupDurationSeconds": 86_400}] if kept_s else []


def _shown(name: str, one: dict[str, Any]) -> dict[str, Any]:
    rights = [] if one["permissions"] == "all" else one["permissions"]
    return {"id": name, "token": one["token"], "description": one["description"], "orgID": ORG, "status": "active", "permissions": rights}


@contextlib.contextmanager
def influx2() -> Iterator[tuple[str, State]]:
    """A running one: its URL, and what it keeps."""
    state = State()
    handler = type("Serving", (Handler,), {"state": state})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
