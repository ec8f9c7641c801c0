"""How aiohttp is kept from more than it is told, and what its errors stand for."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Final, override

from aiohttp import (
    BaseConnector,
    ClientConnectorDNSError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSSLError,
    ServerDisconnectedError,
    hdrs,
)
from aiohttp.connector import Connection

from .exceptions import (
    PlexCertificateError,
    PlexConnectionError,
    PlexNameError,
    PlexTimeoutError,
)

# Answers such as 102 that only say that there will be one.
MAX_INTERIM: Final = 8


@contextmanager
def connecting(what: str) -> Generator[None]:
    """Turn what aiohttp raises where a connection fails into a PlexError."""
    try:
        yield
    except TimeoutError as err:
        raise PlexTimeoutError(f"{what}: no connection in time") from err
    except (ClientError, UnicodeError) as err:
        # The latter is Python's own resolver's, about a name that can't be one.
        raise _connection_error(err, what) from _harmless(err)


async def once(
    connector: BaseConnector | None, req: ClientRequest, handler: ClientHandlerType
) -> ClientResponse:
    """Send a request without cookies, and do not let aiohttp do so again by itself."""
    req.headers.pop(hdrs.COOKIE, None)
    req.response_class = _Response
    try:
        with _quiet(connector):
            response = await handler(req)
    except (ClientOSError, ServerDisconnectedError) as err:
        # As one of its own errors, aiohttp would send a DELETE or a GET again.
        what = f"{req.method} {req.url.path}"
        raise _connection_error(err, what) from _harmless(err)
    if response.cookies:
        response.cookies = SimpleCookie()
    return response


@contextmanager
def _quiet(connector: BaseConnector | None) -> Generator[None]:
    """Let nothing be logged of a name that fails when nobody waits for it any more."""
    # aiohttp shields a look-up, and asyncio logs what fails behind a shield as an error
    # that nobody has expected. Neither of the two that are needed here has a public
    # name, so there may come a day without them.
    before = set(getattr(connector, "_resolve_host_tasks", ()))
    try:
        yield
    except asyncio.CancelledError, TimeoutError:
        log = vars(asyncio.tasks).get("_log_on_exception")
        for task in getattr(connector, "_resolve_host_tasks", before) - before:
            task.remove_done_callback(log)
        raise


def media_type(response: ClientResponse) -> str:
    """Return of what type an answer says that it is, without parameters."""
    # aiohttp reads all of it as that of a mail, which can take long, and fail.
    header = response.headers.get(hdrs.CONTENT_TYPE, "")
    return header.partition(";")[0].strip().lower()


class _Response(ClientResponse):
    """A response that is not held up for ever by interim ones."""

    @override
    async def start(self, connection: Connection) -> ClientResponse:
        """Read the head of the response, and give up if it does not come."""
        protocol = connection.protocol
        assert protocol is not None
        read, left = protocol.read, MAX_INTERIM

        async def limited() -> object:
            nonlocal left
            if left < 0:
                raise ClientPayloadError("Too many interim responses")
            left -= 1
            return await read()

        # aiohttp reads on while there are more. There may come a day on which nothing
        # can be put in place of its way to read; then it is time that ends this.
        replaced = getattr(protocol, "__dict__", {})
        replaced["read"] = limited
        try:
            return await super().start(connection)
        finally:
            del replaced["read"]


def _connection_error(err: Exception, what: str) -> PlexConnectionError:
    """Return the error for a connection that failed."""
    kind: type[PlexConnectionError] = PlexConnectionError
    if isinstance(err, ClientSSLError):
        kind = PlexCertificateError
    elif isinstance(err, ClientConnectorDNSError):
        kind = PlexNameError
    return kind(f"{what}: {type(err).__name__}")


def _harmless(err: Exception) -> Exception | None:
    """Return a cause that may be logged: others quote an answer that is no HTTP."""
    return err if isinstance(err, OSError) else None
