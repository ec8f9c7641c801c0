"""What is no connection that works."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
import socket

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiohttp.abc import ResolveResult
import pytest
from yarl import URL

from custom_components.plex_account.api import (
    ClientIdentity,
    PlexConnectionError,
    PlexTimeoutError,
    http,
)
from custom_components.plex_account.api.http import PlexSession
from tests.plex_emulator import LoopbackResolver

from . import TOKEN, request
from .sockets import raw_server

ELSEWHERE = URL("http://nowhere.invalid")


class PlainResolver(LoopbackResolver):
    """Minds what a name looks like, in the way of Python's own resolver."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up as socket.getaddrinfo does."""
        host.encode("idna")
        return await super().resolve(host, port, family)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\0" * 1000,
    ],
    ids=["ssh", "no_status", "odd_length", "long_header", "odd_chunk", "zeros"],
)
async def test_no_http(
    session: ClientSession, identity: ClientIdentity, garbage: bytes
) -> None:
    """What speaks something else is a connection that does not work."""
    async with raw_server(garbage) as server:
        with pytest.raises(PlexConnectionError) as raised:
            await request(session, identity, "GET", URL(server.url), token=TOKEN)
    # It would quote what came.
    assert raised.value.__cause__ is None
    assert server.connections == 3


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a..b", f"{'a' * 64}.plex.direct", "h h", "0"]
)
@pytest.mark.parametrize("resolver_type", [LoopbackResolver, PlainResolver])
async def test_bad_name(
    identity: ClientIdentity, host: str, resolver_type: type[LoopbackResolver]
) -> None:
    """A name that does not resolve, or is none, is a connection that does not work."""
    connector = TCPConnector(resolver=resolver_type())
    async with ClientSession(connector=connector) as session:
        with pytest.raises(PlexConnectionError):
            await request(session, identity, "GET", URL(f"http://{host}:1"))


async def get(session: PlexSession) -> None:
    """Send a request."""
    await session.request("GET", ELSEWHERE, size=1, retries=0)


async def stream(session: PlexSession) -> None:
    """Begin to read a file."""
    await session.stream("GET", ELSEWHERE, token=TOKEN, headers={})


async def listen(session: PlexSession) -> None:
    """Begin to listen."""
    await anext(session.listen(ELSEWHERE, token=TOKEN, params={}))


@pytest.mark.parametrize("begin", [get, stream, listen])
@pytest.mark.parametrize("by_itself", [True, False])
async def test_name_that_fails_late(
    identity: ClientIdentity,
    monkeypatch: pytest.MonkeyPatch,
    begin: Callable[[PlexSession], Coroutine[None, None, None]],
    by_itself: bool,
) -> None:
    """Nothing is logged of a name that fails when nobody waits for it any more."""
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: errors.append(context)
    )
    if by_itself:
        timeout = ClientTimeout(connect=0.1)
        monkeypatch.setattr(http, "_TIMEOUT", timeout)
        monkeypatch.setattr(http, "STREAM_TIMEOUT", timeout)
        monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.1)
    connector = TCPConnector(resolver=LoopbackResolver(delay=0.2))
    async with ClientSession(connector=connector) as own:
        begun = asyncio.create_task(begin(PlexSession(own, identity)))
        await asyncio.sleep(0.05)
        if not by_itself:
            begun.cancel()
        with suppress(asyncio.CancelledError, PlexTimeoutError):
            await begun
        await asyncio.sleep(0.3)
    assert errors == []
