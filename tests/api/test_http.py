"""What is sent to Plex, and what is made of the answer."""

import asyncio
from collections.abc import Awaitable, Callable
import gzip
import random
import threading
import traceback

from aiohttp import ClientSession, ClientTimeout, ServerTimeoutError
import pytest
from yarl import URL

from custom_components.plex_account.api import (
    ClientIdentity,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexResponseError,
    PlexServerError,
    PlexTimeoutError,
    http,
)
from custom_components.plex_account.api.http import PlexSession
from custom_components.plex_account.api.reading import Json
from tests.const import CLIENT_IDENTIFIER
from tests.plex_emulator import (
    Answer,
    Cut,
    Drip,
    Ending,
    Flood,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
    gzip_bomb,
    redirect,
)
from tests.plex_emulator.faults import MEGABYTE, Fault

from . import PATH, TOKEN, Fetch, answer, request
from .sockets import raw_server

DEPTH = 10_000

# What is sent


async def test_headers(fetch: Fetch, plex: PlexEmulator) -> None:
    """Each request says who we are, and the token is in its header alone."""
    answer(plex, b"{}")
    await fetch()
    (received,) = plex.requests
    expected = {
        "Accept": "application/json",
        "X-Plex-Client-Identifier": CLIENT_IDENTIFIER,
        "X-Plex-Product": "Plex Account",
        "X-Plex-Version": "1.2.3",
        "X-Plex-Platform": "Home Assistant",
        "X-Plex-Platform-Version": "2026.11.0",
        "X-Plex-Device": "Computer",
        "X-Plex-Device-Name": "Ada's 🏠",
        "X-Plex-Token": TOKEN,
    }
    assert {name: received.headers.get(name) for name in expected} == expected
    assert (received.method, received.path) == ("GET", PATH)
    assert dict(received.query) == {}
    assert received.body == b""


async def test_no_token(
    session: ClientSession, identity: ClientIdentity, url: URL, plex: PlexEmulator
) -> None:
    """Without a token there is no header for it."""
    answer(plex, b"{}")
    await request(session, identity, "GET", url)
    assert "X-Plex-Token" not in plex.requests[0].headers


async def test_arguments(
    session: ClientSession, identity: ClientIdentity, url: URL, plex: PlexEmulator
) -> None:
    """Arguments are sent as they are, however odd."""
    answer(plex, b"{}")
    odd = "server://a/b?c=d&e#ü 🎬+%20"
    await request(
        session, identity, "POST", url, params={"source": odd}, form={"password": odd}
    )
    (received,) = plex.requests
    assert dict(received.query) == {"source": odd}
    assert dict(received.form) == {"password": odd}


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
async def test_redirect(
    send: Callable[[str], Awaitable[Json]],
    plex: PlexEmulator,
    attic: MediaServer,
    status: int,
) -> None:
    """A redirect is not followed, so the token does not get to another host."""
    plex.faults.add(redirect(f"{attic.url}/identity", status))
    for method in ("GET", "POST", "DELETE"):
        with pytest.raises(PlexResponseError) as caught:
            await send(method)
        assert caught.value.status == status
    assert [received.host for received in plex.requests] == ["plex.tv"] * 3


# Attempts


PASSING: list[Fault] = [
    Vanish(Ending.RESET),
    Vanish(Ending.CLOSE),
    Cut(Ending.RESET),
    Cut(Ending.CLOSE),
    error(502, kind="html"),
    error(503, kind="html"),
    error(504, kind="html"),
]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_retry(
    fetch: Fetch, plex: PlexEmulator, fault: Fault, times: int
) -> None:
    """A passing fault is survived twice."""
    answer(plex, b'{"a": 1}')
    plex.faults.add(fault, times=times)
    if times < 3:
        assert await fetch() == {"a": 1}
    else:
        with pytest.raises((PlexConnectionError, PlexServerError)):
            await fetch()
    assert len(plex.requests) == min(times + 1, 3)
    assert {received.token for received in plex.requests} == {TOKEN}


@pytest.mark.parametrize("fault", PASSING, ids=repr)
async def test_no_retry_of_a_change(
    send: Callable[[str], Awaitable[Json]], plex: PlexEmulator, fault: Fault
) -> None:
    """What changes something at Plex is asked for once."""
    plex.faults.add(fault)
    methods = ["POST", "DELETE", "PUT"]
    for method in methods:
        with pytest.raises((PlexConnectionError, PlexServerError)):
            await send(method)
    assert [received.method for received in plex.requests] == methods


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 408, 429, 498, 500, 501])
async def test_no_retry(fetch: Fetch, plex: PlexEmulator, status: int) -> None:
    """What a moment later would be the same is asked for once."""
    plex.faults.add(error(status))
    with pytest.raises(PlexError):
        await fetch()
    assert len(plex.requests) == 1


async def test_refused(
    session: ClientSession, identity: ClientIdentity, plex: PlexEmulator
) -> None:
    """Where nothing listens, a connection error says so."""
    url = URL(f"http://127.0.0.1:{plex.refusing_port}/x")
    with pytest.raises(PlexConnectionError) as caught:
        await request(session, identity, "GET", url)
    assert caught.type is PlexConnectionError
    assert str(caught.value) == "GET /x: ClientConnectorError"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.status is None


async def test_retry_after_refusal(
    session: ClientSession,
    identity: ClientIdentity,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that has just restarted is reached at the next attempt."""
    monkeypatch.setattr(http, "BACKOFF", 0.2)
    await attic.stop()
    asyncio.get_running_loop().call_later(
        0.05, lambda: asyncio.ensure_future(attic.start())
    )
    assert await request(session, identity, "GET", URL(f"{attic.url}/identity"))


@pytest.mark.parametrize(("jitter", "expected"), [(min, [2, 4]), (max, [3, 6])])
async def test_backoff(
    fetch: Fetch,
    plex: PlexEmulator,
    monkeypatch: pytest.MonkeyPatch,
    jitter: Callable[[float, float], float],
    expected: list[float],
) -> None:
    """The second pause is twice as long, and both differ between clients."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def pause(seconds: float) -> None:
        if seconds:
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", pause)
    monkeypatch.setattr(http, "BACKOFF", 2)
    monkeypatch.setattr(random, "uniform", jitter)
    plex.faults.add(error(502))
    with pytest.raises(PlexServerError):
        await fetch()
    assert pauses == expected
    assert len(plex.requests) == 3


async def test_retry_after_is_honoured(fetch: Fetch, plex: PlexEmulator) -> None:
    """Plex says itself when to come back."""
    answer(plex, b"{}")
    plex.faults.add(error(503, headers={"Retry-After": "1"}), times=1)
    await fetch()
    first, second = plex.requests
    assert second.time - first.time >= 0.99


@pytest.mark.parametrize("seconds", [15, 60])
async def test_retry_after_is_too_long(
    fetch: Fetch, plex: PlexEmulator, seconds: int
) -> None:
    """Nobody waits for an attempt that would come too late."""
    plex.faults.add(error(503, headers={"Retry-After": str(seconds)}))
    async with asyncio.timeout(5):
        with pytest.raises(PlexServerError) as caught:
            await fetch()
    assert caught.value.retry_after == seconds
    assert len(plex.requests) == 1


async def test_backoff_is_too_long(
    fetch: Fetch, plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same goes for our own pauses."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 1)
    monkeypatch.setattr(http, "BACKOFF", 2)
    plex.faults.add(error(503))
    with pytest.raises(PlexServerError) as caught:
        await fetch()
    assert caught.value.status == 503
    assert len(plex.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [Vanish(Ending.SILENCE), Cut(Ending.SILENCE), Cut(Ending.SILENCE, 0), Drip(0.05)],
    ids=repr,
)
async def test_total_timeout(
    fetch: Fetch, plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """An answer that does not end is not waited for, and nothing is left behind."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.2)
    plex.faults.add(fault)
    with pytest.raises(PlexTimeoutError) as caught:
        await fetch()
    assert str(caught.value) == f"GET {PATH}: no answer in 0.2 s"
    assert caught.value.status is None
    assert len(plex.requests) == 1


async def test_total_timeout_is_for_all_attempts(
    fetch: Fetch, plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second attempt has only what the first one left."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.4)
    plex.tv.latency = 0.25
    plex.faults.add(error(502))
    with pytest.raises(PlexTimeoutError):
        await fetch()
    assert len(plex.requests) == 2


async def test_connect_timeout(
    session: ClientSession, identity: ClientIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not shake hands is given up sooner, and tried again."""
    monkeypatch.setattr(http, "_TIMEOUT", ClientTimeout(total=None, connect=0.1))
    async with raw_server() as silent:
        url = URL(silent.url).with_scheme("https") / "identity"
        with pytest.raises(PlexTimeoutError) as caught:
            await request(session, identity, "GET", url)
    assert str(caught.value) == "GET /identity: no connection in time"
    assert isinstance(caught.value.__cause__, ServerTimeoutError)
    assert silent.connections == 3


def test_timeouts() -> None:
    """The times are those that are promised."""
    assert ClientTimeout(total=None, connect=5) == http._TIMEOUT
    assert http.TOTAL_TIMEOUT == 15


async def test_cancelled(
    fetch: Fetch, plex: PlexEmulator, session: ClientSession
) -> None:
    """Who gives up a request is rid of it."""
    plex.faults.add(Vanish(Ending.SILENCE))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await fetch()
    assert len(plex.requests) == 1
    assert session.connector is not None
    assert not session.connector._acquired
    assert not session.connector._conns


@pytest.mark.parametrize(
    "fault",
    [
        *PASSING,
        error(401, code=1001),
        error(401, kind="html"),
        error(500),
        redirect("http://127.0.0.1:1/"),
        Reply(Answer(200, b"<html>")),
        Reply(Answer(200, b"gzip", headers={"Content-Encoding": "gzip"})),
        Reply(Answer(200, b'"' + TOKEN.encode())),
        Reply(Answer(200, b"<" + TOKEN.encode())),
        Vanish(Ending.SILENCE),
    ],
    ids=repr,
)
async def test_no_error_shows_the_token(
    fetch: Fetch, plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """Whatever fails may be logged, with all that led to it."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.2)
    plex.faults.add(fault)
    with pytest.raises(PlexError) as caught:
        await fetch()
    told = [str(caught.value), repr(caught.value), repr(vars(caught.value))]
    told += traceback.format_exception(caught.value)
    assert TOKEN not in "".join(told)
    assert all(TOKEN not in str(received.query) for received in plex.requests)
    assert all(TOKEN not in received.path for received in plex.requests)


# Bodies


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", None),
        (b"null", None),
        (b"{}", {}),
        (b' \r\n{"a": [1, 2.5, "x", true, null]}\n', {"a": [1, 2.5, "x", True, None]}),
        (b'"\\u003cb\\u003e \xf0\x9f\x8e\xac"', "<b> 🎬"),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"<a/>", {"a": {}}),
        (b' \r\n<a b="1"/> ', {"a": {"b": "1"}}),
        (
            b'<a b="1"><c/><d/><c e="&lt;&#x1f3ac;"/>text</a>',
            {"a": {"b": "1", "c": [{}, {"e": "<🎬"}], "d": [{}]}},
        ),
        (b'<?xml version="1.0" encoding="UTF-8"?><a b="\xc3\xa9"/>', {"a": {"b": "é"}}),
        (b'<?xml version="1.0" encoding="latin-1"?><a b="\xe9"/>', {"a": {"b": "é"}}),
    ],
)
async def test_body(
    fetch: Fetch, plex: PlexEmulator, body: bytes, expected: Json
) -> None:
    """JSON and XML are told apart by what they are, not by what they are called."""
    for content_type in (
        "application/json",
        "text/xml;charset=utf-8",
        "text/html; charset=latin-1",
        "application/json; charset=no-such-thing",
        "nonsense",
        "",
    ):
        answer(plex, body, content_type=content_type)
        assert (content_type, await fetch()) == (content_type, expected)


BOMB = b"".join(
    b'<!ENTITY l%d "%s">' % (level, b"&l%d;" % (level - 1) * 10 if level else b"ha")
    for level in range(10)
)
REFUSED = {
    "spaces": b"  ",
    "text": b"OK",
    "page": b"<html><head><meta><title>Sign in</title></head></html>",
    "page_type": b"<!DOCTYPE html><html/>",
    "page_well_formed": b"<html><head><title>Sign in</title></head></html>",
    "json_cut": b'{"a": [1, 2',
    "json_more": b"{}{}",
    "json_number": b"1e400",
    "json_nan": b"NaN",
    "json_latin_1": b'"\xe9"',
    "json_utf_16": '{"a": 1}'.encode("utf-16"),
    "json_arrays": b"[" * DEPTH + b"]" * DEPTH,
    "json_objects": b'{"a":' * DEPTH + b"1" + b"}" * DEPTH,
    "xml_cut": b'<a b="1"><c>',
    "xml_more": b"<a/><b/>",
    "xml_twice": b'<a b="1" b="2"/>',
    "xml_entity": b"<a>&nbsp;</a>",
    "xml_utf_16": '<a b="é"/>'.encode("utf-16"),
    "xml_utf_16_type": "<!DOCTYPE a><a/>".encode("utf-16-le"),
    "xml_charset": b'<?xml version="1.0" encoding="no-such-thing"?><a/>',
    "xml_codec": b'<?xml version="1.0" encoding="base64"?><a/>',
    "xml_multibyte": b'<?xml version="1.0" encoding="shift_jis"?><a/>',
    "xml_deep": b"<a>" * 33 + b"</a>" * 33,
    "xml_very_deep": b"<a>" * DEPTH + b"</a>" * DEPTH,
    "xml_type": b"<!DOCTYPE user><user/>",
    "xml_bomb": b"<!DOCTYPE a [" + BOMB + b"]><a>&l9;</a>",
    "xml_file": b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hosts">]><a>&f;</a>',
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_refused_body(fetch: Fetch, plex: PlexEmulator, body: bytes) -> None:
    """What is neither JSON nor harmless XML is not from Plex, except in a refusal."""
    for status in (200, 201):
        answer(plex, body, status)
        with pytest.raises(PlexResponseError) as caught:
            await fetch()
        assert str(caught.value) == f"GET {PATH}: neither JSON nor XML"
        assert caught.value.status == status
    answer(plex, body, 401)
    with pytest.raises(PlexAuthenticationError) as refused:
        await fetch()
    assert refused.value.code is None
    # What a moment later would be the same is asked for once.
    assert len(plex.requests) == 3


async def test_external_entity(
    fetch: Fetch, plex: PlexEmulator, attic: MediaServer
) -> None:
    """XML does not make us ask anyone."""
    answer(
        plex,
        b'<!DOCTYPE a SYSTEM "%b/type" [<!ENTITY %% e SYSTEM "%b/entity">%%e;]><a/>'
        % (attic.url.encode(), attic.url.encode()),
    )
    with pytest.raises(PlexResponseError):
        await fetch()
    assert [received.host for received in plex.requests] == ["plex.tv"]


@pytest.mark.parametrize("packed", [False, True])
async def test_largest_body(fetch: Fetch, plex: PlexEmulator, packed: bool) -> None:
    """A body has a size from which on it is refused, packed or not."""
    largest = b'"' + b"x" * (8 * MEGABYTE - 2) + b'"'
    encoding = {"Content-Encoding": "gzip"} if packed else {}

    def pack(body: bytes) -> bytes:
        return gzip.compress(body, 1) if packed else body

    answer(plex, pack(largest), headers=encoding)
    assert await fetch() == "x" * (8 * MEGABYTE - 2)
    answer(plex, pack(largest + b" "), headers=encoding)
    with pytest.raises(PlexResponseError) as caught:
        await fetch()
    assert str(caught.value) == f"GET {PATH}: more than 8388608 bytes"
    assert caught.value.status == 200
    # A refusal is one, however long it is.
    answer(plex, pack(largest + b" "), 401, headers=encoding)
    with pytest.raises(PlexAuthenticationError):
        await fetch()


@pytest.mark.parametrize("more", [0, 1])
async def test_where_a_body_is_read(
    session: ClientSession, identity: ClientIdentity, plex: PlexEmulator, more: int
) -> None:
    """A large body is read in a thread, so that nobody else has to wait for it."""
    answer(plex, b'"' + b"x" * (http.MAX_INLINE_SIZE - 2 + more) + b'"')
    plex_session = PlexSession(session, identity)
    found = await plex_session.request("GET", URL(f"{plex.url}{PATH}"), size=MEGABYTE)
    reader = await found.read(lambda _: threading.current_thread())
    assert (reader is threading.main_thread()) is not bool(more)


@pytest.mark.parametrize("fault", [Flood, gzip_bomb])
async def test_endless_body(
    fetch: Fetch,
    plex: PlexEmulator,
    session: ClientSession,
    fault: Callable[[int], Fault],
) -> None:
    """What is far too long is not read to its end."""
    plex.faults.add(fault(64))
    with pytest.raises(PlexResponseError, match="more than"):
        await fetch()
    assert len(plex.requests) == 1
    assert session.connector is not None
    assert not session.connector._acquired
    assert not session.connector._conns


async def test_broken_gzip(fetch: Fetch, plex: PlexEmulator) -> None:
    """What cannot be unpacked did not arrive."""
    packed = gzip.compress(b"{}")
    answer(plex, b"{}" + packed, headers={"Content-Encoding": "gzip"})
    with pytest.raises(PlexConnectionError):
        await fetch()
