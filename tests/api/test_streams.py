"""What is streamed of a server: a file, and what its WebSocket brings."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
import gzip
from hashlib import sha1
import re
from typing import Any

from aiohttp import ClientSession, ClientTimeout, CookieJar
import pytest
from yarl import URL

from custom_components.plex_account.api import (
    ClientIdentity,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexResponseError,
    PlexServerClient,
    PlexTimeoutError,
    http,
    read_stream,
)
from custom_components.plex_account.api.http import PlexSession
from custom_components.plex_account.api.reading import Json
from tests import PATIENCE
from tests.const import CLIENT_IDENTIFIER
from tests.plex_emulator import (
    Account,
    Answer,
    CertificateAuthority,
    Drip,
    Ending,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
    redirect,
)
from tests.plex_emulator.host import Listener

from . import TOKEN, answer

PLEX_DIRECT = "192-168-1-5.0123456789abcdef0123456789abcdef.plex.direct"
FILE = "/library/parts/1/2/file.mp4"
PUSH = "/:/websockets/notifications"
# What is hashed with a key, by RFC 6455.
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture
def plex_session(session: ClientSession, identity: ClientIdentity) -> PlexSession:
    """Return what sends the requests."""
    return PlexSession(session, identity)


@pytest.fixture
async def pinned(attic: MediaServer, authority: CertificateAuthority) -> Listener:
    """Return where Attic answers for a name that nobody can look up."""
    listener = attic.add_listener(ssl_context=authority.server_context(PLEX_DIRECT))
    await listener.start()
    return listener


@pytest.fixture
async def cookies(session: ClientSession, attic: MediaServer) -> None:
    """Let the session have a cookie for the server."""
    jar = CookieJar(unsafe=True)
    jar.update_cookies({"tracked": "yes"}, URL(attic.url))
    session._cookie_jar = jar


@pytest.mark.usefixtures("cookies")
async def test_request(
    plex_session: PlexSession, plex: PlexEmulator, attic: MediaServer
) -> None:
    """A file is asked for as it is, with the token where no log has it."""
    answer(plex, b"film", content_type="video/mp4")
    async with await plex_session.stream(
        "GET",
        URL(f"{attic.url}{FILE}"),
        token=TOKEN,
        headers={"Range": "bytes=0-"},
        params={"width": "400"},
    ) as response:
        assert await response.read() == b"film"
    (request,) = plex.requests
    assert (request.method, request.path) == ("GET", FILE)
    assert request.query == {"width": "400"}
    assert request.headers["X-Plex-Token"] == TOKEN
    assert request.headers["X-Plex-Client-Identifier"] == CLIENT_IDENTIFIER
    assert "X-Plex-Product" not in request.headers
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Range"] == "bytes=0-"
    assert "Cookie" not in request.headers


async def test_pinned(
    session: ClientSession,
    identity: ClientIdentity,
    plex: PlexEmulator,
    pinned: Listener,
) -> None:
    """The name need not resolve, but its certificate has to be there."""
    answer(plex, b"film", content_type="video/mp4")
    for name, works in ((PLEX_DIRECT, True), (f"other-{PLEX_DIRECT}", False)):
        base_url = f"https://{name}:{pinned.port}"
        client = PlexServerClient(
            session, identity, base_url=base_url, token=None, address="127.0.0.1"
        )
        for asking in (
            client.request(FILE.removeprefix("/"), 1000, bool),
            client.stream("GET", FILE, headers={}),
            anext(client.listen()),
        ):
            # What is no WebSocket says so, once it is known who it is.
            try:
                await asking
            except PlexConnectionError:
                assert not works
            except PlexError:
                assert works
    tokens = [request.headers.get("X-Plex-Token") for request in plex.requests]
    assert tokens == [None, "", ""]
    assert plex.requests[2].query == {"filters": "reachability,preference"}


async def test_as_it_is(
    plex_session: PlexSession, plex: PlexEmulator, attic: MediaServer
) -> None:
    """What is packed stays packed, as its length is that of what was sent."""
    packed = gzip.compress(b"film")
    headers = {"Content-Encoding": "gzip"}
    answer(plex, packed, content_type="video/mp4", headers=headers)
    async with await plex_session.stream(
        "GET", URL(attic.url), token=TOKEN, headers={}
    ) as response:
        assert await read_stream(response, 100) == packed


async def test_may_take_long(
    identity: ClientIdentity,
    session: ClientSession,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A film takes longer than any request may, and than it may pause."""
    session._timeout = ClientTimeout(total=0.1)
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.4))
    plex.faults.add(Drip(0.01), path="/identity")
    async with await PlexSession(session, identity).stream(
        "GET", URL(f"{attic.url}/identity"), token=TOKEN, headers={}
    ) as response:
        pieces = [piece async for piece in response.content.iter_any()]
    assert len(pieces) > 20


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(401, 1001, PlexAuthenticationError), (418, 4711, PlexResponseError)],
)
async def test_refused(
    plex_session: PlexSession,
    plex: PlexEmulator,
    attic: MediaServer,
    status: int,
    code: int,
    kind: type[PlexResponseError],
) -> None:
    """An error says what was asked for, and what Plex calls it."""
    plex.faults.add(error(status, code=code))
    with pytest.raises(kind) as raised:
        await plex_session.stream(
            "GET", URL(f"{attic.url}{FILE}"), token=TOKEN, headers={}
        )
    assert (raised.value.status, raised.value.code) == (status, code)
    assert str(raised.value).startswith(f"GET {FILE}: HTTP {status}")


@pytest.mark.parametrize("ending", [Ending.CLOSE, Ending.SILENCE])
async def test_nothing_comes(
    plex_session: PlexSession,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    ending: Ending,
) -> None:
    """Who says nothing is given up, whatever was asked for."""
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.1))
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.1)
    plex.faults.add(Vanish(ending))
    kind = PlexTimeoutError if ending is Ending.SILENCE else PlexConnectionError
    with pytest.raises(kind, match=f"GET {FILE}: "):
        await plex_session.stream(
            "GET", URL(f"{attic.url}{FILE}"), token=TOKEN, headers={}
        )
    with pytest.raises(kind, match=f"GET {PUSH}: "):
        await anext(
            plex_session.listen(URL(f"{attic.url}{PUSH}"), token=TOKEN, params={})
        )


async def test_head_byte_by_byte(
    plex_session: PlexSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head that does not end is given up, though something comes all the time."""
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.2))
    left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        with suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        left.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(PlexTimeoutError, match=f"GET {FILE}: "):
                await plex_session.stream(
                    "GET",
                    URL(f"http://127.0.0.1:{port}{FILE}"),
                    token=TOKEN,
                    headers={},
                )
            await left.wait()


async def test_redirected(
    plex_session: PlexSession, plex: PlexEmulator, attic: MediaServer
) -> None:
    """Nobody is led elsewhere with the token."""
    plex.faults.add(redirect(f"{plex.url}/elsewhere"))
    with pytest.raises(PlexResponseError):
        await plex_session.stream("GET", URL(attic.url), token=TOKEN, headers={})
    with pytest.raises(PlexResponseError) as raised:
        await anext(plex_session.listen(URL(attic.url), token=TOKEN, params={}))
    assert raised.value.status == 302
    assert {request.host for request in plex.requests} == {"Attic"}


@pytest.mark.parametrize("size", [100, 101])
async def test_too_large(
    plex_session: PlexSession, plex: PlexEmulator, attic: MediaServer, size: int
) -> None:
    """A body is read whole, but not if it is larger than it may be."""
    answer(plex, b"x" * size, content_type="image/png")
    async with await plex_session.stream(
        "GET", URL(f"{attic.url}{FILE}"), token=TOKEN, headers={}
    ) as response:
        if size == 100:
            assert await read_stream(response, 100) == b"x" * size
        else:
            with pytest.raises(PlexResponseError, match=f"GET {FILE}: more than 100"):
                await read_stream(response, 100)


async def test_stalls(
    plex_session: PlexSession,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A body of which the rest does not come is given up."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.1)
    headers = {"Content-Length": "100"}
    plex.faults.add(Reply(Answer(200, b"x", "image/png", headers)))
    async with await plex_session.stream(
        "GET", URL(f"{attic.url}{FILE}"), token=TOKEN, headers={}
    ) as response:
        with pytest.raises(PlexTimeoutError, match=f"GET {FILE}: "):
            await read_stream(response, 100)


@pytest.fixture
async def messages(
    plex_session: PlexSession, ada: Account, attic: MediaServer, cookies: None
) -> AsyncGenerator[AsyncGenerator[Json]]:
    """Return what is pushed, after the socket was opened."""
    async with aclosing(
        plex_session.listen(
            URL(f"{attic.url}{PUSH}"),
            token=attic.access_token(ada),
            params={"filters": "reachability"},
        )
    ) as messages:
        assert await anext(messages) is None
        yield messages


async def test_listen(
    ada: Account, attic: MediaServer, messages: AsyncGenerator[Json]
) -> None:
    """What is pushed is read one by one, and what can't be read passed over."""
    (socket,) = attic.push.sockets
    assert socket.received.query == {"filters": "reachability"}
    assert socket.received.headers["X-Plex-Token"] == attic.access_token(ada)
    assert socket.received.headers["X-Plex-Client-Identifier"] == CLIENT_IDENTIFIER
    assert "Cookie" not in socket.received.headers
    for nothing in ("{", "null"):
        await socket.response.send_str(nothing)
    await socket.response.send_bytes(b'{"binary": true}')
    for number in range(5):
        await socket.response.send_json({"number": number})
    async with asyncio.timeout(2):
        found = [await anext(messages) for _ in range(5)]
    assert found == [{"number": number} for number in range(5)]
    hanging_up = asyncio.create_task(attic.push.hang_up())
    assert not [message async for message in messages]
    await hanging_up


async def test_too_long_a_message(
    attic: MediaServer, messages: AsyncGenerator[Json]
) -> None:
    """Who sends more than there is to say is not listened to."""
    (socket,) = attic.push.sockets
    await socket.response.send_json({"long": "x" * 70_000})
    await socket.response.send_json({"short": "x"})
    assert not [message async for message in messages]


async def test_no_sign_of_life(
    plex_session: PlexSession,
    ada: Account,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that does not answer a ping is gone."""
    monkeypatch.setattr(http, "HEARTBEAT", 0.1)
    attic.push.answers_pings = False
    url = URL(f"{attic.url}{PUSH}")
    token = attic.access_token(ada)
    async with asyncio.timeout(5):
        found: list[Any] = [
            message
            async for message in plex_session.listen(url, token=token, params={})
        ]
    assert found == [None]


async def test_no_goodbye(plex_session: PlexSession) -> None:
    """A server that does not say good-bye is not waited for."""

    async def accept(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        (key,) = re.findall(r"Sec-WebSocket-Key: (\S+)", head)
        accepted = b64encode(
            sha1(f"{key}{WEBSOCKET}".encode(), usedforsecurity=False).digest()
        ).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accepted}\r\n\r\n".encode()
        )
        await reader.read()
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        messages = plex_session.listen(
            URL(f"http://127.0.0.1:{port}{PUSH}"), token=TOKEN, params={}
        )
        assert await anext(messages) is None
        async with asyncio.timeout(2):
            await messages.aclose()


async def test_not_for_everybody(
    plex_session: PlexSession, plex: PlexEmulator, attic: MediaServer
) -> None:
    """A server may not let us listen."""
    with pytest.raises(
        PlexAuthenticationError, match=f"GET {PUSH}: HTTP 401"
    ) as raised:
        await anext(
            plex_session.listen(URL(f"{attic.url}{PUSH}"), token=None, params={})
        )
    assert raised.value.status == 401
    assert plex.requests[0].headers["X-Plex-Token"] == ""
