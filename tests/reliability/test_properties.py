"""Tests with whatever hypothesis can think of."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, fields, is_dataclass
import gc
from itertools import chain
import json
import os
from pathlib import Path
import tracemalloc
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from aiohttp import ClientSession, TCPConnector
from hypothesis import HealthCheck, given, settings, strategies as st
import pytest
import voluptuous as vol

from custom_components.plex_account import services
from custom_components.plex_account.api import (
    ClientIdentity,
    PlexError,
    PlexResponseError,
    PlexServerClient,
    PlexTvClient,
    http,
)
from custom_components.plex_account.const import DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util.yaml import load_yaml_dict
from tests.const import CLIENT_IDENTIFIER, PASSWORD
from tests.plex_emulator import (
    Answer,
    CertificateAuthority,
    Fault,
    Flood,
    MediaServer,
    PlexEmulator,
    Raw,
    Reply,
    gzip_bomb,
)

from .cases import Tamper
from .world import World

SERVICES = Path(services.__file__).with_name("services.yaml")
MEGABYTE = 1024 * 1024
# Seconds that one request may take when it gives up after one.
TIME_CAP = 5
# What is kept of a body that is too big, and what is read at once.
MEMORY_CAP = 3 * http.LIST_SIZE

USUAL = settings(
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt, nor long for an answer."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 1)


@dataclass(frozen=True)
class Clients:
    """A client of plex.tv and one of a server, and all that they need."""

    session: ClientSession
    identity: ClientIdentity
    plex: PlexEmulator
    attic: MediaServer

    @property
    def tv(self) -> PlexTvClient:
        """Return a client of plex.tv."""
        token = self.plex.tv.issue(self.attic.owner, CLIENT_IDENTIFIER).text
        return PlexTvClient(
            self.session, self.identity, token=token, server_url=self.plex.url
        )

    @property
    def pms(self) -> PlexServerClient:
        """Return a client of the server."""
        return PlexServerClient(
            self.session,
            self.identity,
            base_url=self.attic.url,
            token=self.attic.access_token(self.attic.owner),
            retries=0,
        )


type Ask = Callable[[Clients], Awaitable[object]]

ENDPOINTS: dict[str, Ask] = {
    "sign_in": lambda plex: plex.tv.sign_in("ada", PASSWORD),
    "create_pin": lambda plex: plex.tv.create_pin(),
    "get_pin": lambda plex: plex.tv.get_pin(1),
    "get_user": lambda plex: plex.tv.get_user(),
    "get_servers": lambda plex: plex.tv.get_servers(),
    "get_picture": lambda plex: plex.tv.get_picture(f"{plex.plex.url}/users/1/avatar"),
    "ping": lambda plex: plex.tv.ping(),
    "sign_out": lambda plex: plex.tv.sign_out(),
    "get_identity": lambda plex: plex.pms.get_identity(),
    "get_server": lambda plex: plex.pms.get_server(),
    "get_transient_token": lambda plex: plex.pms.get_transient_token(),
    "get_source": lambda plex: plex.pms.get_source_connection_information(
        f"server://{plex.attic.machine_identifier}"
    ),
}


@pytest.fixture
async def clients(
    plex: PlexEmulator,
    attic: MediaServer,
    identity: ClientIdentity,
    authority: CertificateAuthority,
) -> AsyncGenerator[Clients]:
    """Return clients that can ask everything."""
    connector = TCPConnector(ssl=authority.client_context())
    async with ClientSession(connector=connector) as session:
        yield Clients(session, identity, plex, attic)


def fits(value: object, kind: Any) -> bool:
    """Return if a value is what its annotation says, and so on for its parts."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(fits(value, option) for option in args)
    if origin in {list, tuple}:
        return isinstance(value, origin) and all(
            fits(item, args[0]) for item in cast(list[object], value)
        )
    if type(value) is not (NoneType if kind is None else kind):
        return False
    hints = get_type_hints(kind) if is_dataclass(kind) else {}
    return all(
        fits(getattr(value, item.name), hints[item.name])
        for item in (fields(kind) if is_dataclass(kind) else ())
    )


def is_valid(answer: object) -> bool:
    """Return if an answer is a model, as its class says, or a list of models."""
    if isinstance(answer, list):
        return all(is_valid(item) for item in answer)
    return answer is None or (is_dataclass(answer) and fits(answer, type(answer)))


async def check(
    plex: PlexEmulator, clients: Clients, endpoint: str, fault: Fault
) -> None:
    """Check that a request with this answer comes to a good end."""
    plex.faults.clear()
    plex.requests.clear()
    plex.faults.add(fault)
    try:
        async with asyncio.timeout(TIME_CAP):
            answer = await ENDPOINTS[endpoint](clients)
    except PlexError:
        return
    assert is_valid(answer), answer


# Bytes


PIECES = (
    *(b"<", b">", b"/", b"{", b"}", b"[", b"]", b'"', b":", b",", b"=", b" ", b"\0"),
    *(b"null", b"true", b"1", b"-1", b"1e999", b"NaN", b"\\ud800", b"\xff\xfe"),
    *(b"<a ", b"</a>", b"<!DOCTYPE a", b"<?xml ", b"&amp;", b"&x;", b"<![CDATA["),
    *(b"MediaContainer", b"errors", b"code", b"user", b"resources", b"Device"),
)
bodies = st.binary() | st.lists(st.sampled_from(PIECES)).map(b"".join)
statuses = st.sampled_from((200, 200, 200, 201, 204, 301, 400, 401, 404, 422, 429, 503))
content_types = st.sampled_from(
    ("", "application/json", "text/xml", "text/html; charset=x", "image/png", "x")
)
headers = st.dictionaries(
    st.sampled_from(("Retry-After", "Content-Encoding", "Location", "Set-Cookie")),
    st.sampled_from(("", "0", "5", "-1", "gzip", "br", "deflate", "zstd", "x, y"))
    | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)),
)


@settings(USUAL, max_examples=300)
@given(
    st.sampled_from(sorted(ENDPOINTS)),
    st.builds(
        lambda *answer: Reply(Answer(*answer)), statuses, bodies, content_types, headers
    )
    | st.builds(Raw, st.binary() | bodies.map(b"HTTP/1.1 200 OK\r\n\r\n".__add__)),
)
async def test_any_bytes(
    plex: PlexEmulator, clients: Clients, endpoint: str, fault: Fault
) -> None:
    """Whatever bytes come back, they are a model or a PlexError."""
    await check(plex, clients, endpoint, fault)


# Data


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(("", "0", "1", "true", "server", "http://[", "https://a:b", "٣"))
)
data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(("id", "code", "error")), inner)
    ),
    max_leaves=5,
)


def places_in(value: Any, *path: str | int) -> list[tuple[str | int, ...]]:
    """Return the ways to all that is in a value."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    return [path, *(way for key, item in items for way in places_in(item, *path, key))]


def put(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """Return a copy in which something else is at a place."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


async def real_answers(plex: PlexEmulator, clients: Clients) -> dict[str, Any]:
    """Return what each endpoint answers in truth, if that is JSON."""
    answers: dict[str, Any] = {}
    for endpoint in sorted(ENDPOINTS.keys() - {"get_pin", "get_picture", "sign_out"}):

        def keep(answer: Answer, endpoint: str = endpoint) -> Answer:
            answers[endpoint] = json.loads(answer.body)
            return answer

        rule = plex.faults.add(Tamper(keep))
        await ENDPOINTS[endpoint](clients)
        plex.faults.remove(rule)
    return answers


@settings(USUAL, max_examples=30)
@given(st.data())
async def test_any_change_of_a_real_answer(
    plex: PlexEmulator, clients: Clients, draw: st.DataObject
) -> None:
    """Whatever stands in the place of whatever, it is a model or a PlexError."""
    plex.faults.clear()
    for endpoint, answer in (await real_answers(plex, clients)).items():
        rule = plex.faults.add(Reply(Answer(200, dump(answer))))
        assert is_valid(await ENDPOINTS[endpoint](clients)), endpoint
        plex.faults.remove(rule)
        place = draw.draw(st.sampled_from(places_in(answer)))
        changed = put(answer, place, draw.draw(data))
        await check(plex, clients, endpoint, Reply(Answer(200, dump(changed))))


def dump(value: Any) -> bytes:
    """Write JSON, with what is none in Python's way."""
    return json.dumps(value).encode()


@pytest.mark.parametrize("fault", [Flood, gzip_bomb])
async def test_memory(
    plex: PlexEmulator, clients: Clients, fault: Callable[[int], Fault]
) -> None:
    """What is too big is not kept."""
    plex.faults.add(fault(100))
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(PlexResponseError):
            await clients.tv.get_user()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY_CAP


# What callers send


ACTIONS = {
    name: list(action["fields"])
    for name, action in load_yaml_dict(str(SERVICES)).items()
}
values = (
    data
    | st.binary()
    | st.text(st.characters())
    | st.sampled_from(("server://x", "provider://\ud800", "server://x/y", "yes", "on"))
    | st.text(st.characters()).map("server://".__add__)
)
action_data = st.dictionaries(
    st.sampled_from(sorted({*chain(*ACTIONS.values())})) | st.text() | st.integers(),
    values,
    max_size=5,
)


@settings(USUAL, max_examples=150)
@given(
    st.sampled_from(sorted(ACTIONS)),
    action_data,
    st.booleans(),
    st.none() | st.text(st.characters()),
)
async def test_any_action_data(
    hass: HomeAssistant,
    ready: World,
    action: str,
    given_data: dict[Any, Any],
    named: bool,
    source: str | None,
) -> None:
    """Whatever a caller sends, there is an answer, or it is said to be wrong."""
    sent = dict(given_data)
    if named:
        sent["config_entry_id"] = ready.account.config_entry.entry_id
    if source is not None:
        sent["source"] = f"server://{source}"
    try:
        answer = await hass.services.async_call(
            DOMAIN, action, sent, blocking=True, return_response=True
        )
    except ServiceValidationError, vol.Invalid:
        return
    assert isinstance(answer, dict)


def test_fits() -> None:
    """What checks the models can tell right from wrong."""
    assert fits([1], list[int])
    assert not fits(["1"], list[int])
    assert fits(None, int | None)
    assert not fits(True, int)
    assert not fits("1", bytes)
