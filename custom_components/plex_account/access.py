"""Ask a server for something, wherever it can be reached now."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from aiohttp import ClientResponse

from homeassistant.core import callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task

from .api import (
    PlexAuthenticationError,
    PlexConnectionError,
    PlexLibrary,
    PlexNotFoundError,
    PlexTimeoutError,
    SourceConnectionInformation,
)
from .errors import server_errors, translation
from .server_coordinator import PATIENCE, PlexServerCoordinator, ServerAccess, Trouble

# Seconds that a server is given to answer at all, however often it is looked for.
ANSWER_TIMEOUT: float = 14
# Seconds that a server is given to begin a file before it is looked for: it may have to
# wake a disk, or to draw all other pictures of a page first.
FILE_PATIENCE: float = 5


async def async_get_checked_access(server: PlexServerCoordinator) -> ServerAccess:
    """Return access with a token that the server has just accepted.

    Raises as async_get_access does, or the PlexError of the server's answer.
    """

    async def check(access: ServerAccess) -> ServerAccess:
        await server.client(access).get_server(owned=server.data.resource.owned)
        return access

    return await _async_with_access(server, check, PATIENCE)


async def async_get_source_connection_information(
    server: PlexServerCoordinator, source: str, *, refresh: bool
) -> SourceConnectionInformation:
    """Ask the server for a source, a second time if we have to connect anew.

    Raises as async_get_access does, or the PlexError of the server's answer.
    """

    async def ask(access: ServerAccess) -> SourceConnectionInformation:
        return await server.client(access).get_source_connection_information(
            source, refresh=refresh
        )

    return await _async_with_access(server, ask, PATIENCE)


async def async_ask_library[T](
    server: PlexServerCoordinator, ask: Callable[[PlexLibrary], Coroutine[Any, Any, T]]
) -> T:
    """Ask the server for something of its library.

    Raises a translated HomeAssistantError, whatever is the matter.
    """
    name = server.data.resource.name
    with server_errors(name):
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                return await _async_with_access(
                    server,
                    lambda access: ask(PlexLibrary(server.client(access))),
                    PATIENCE,
                )
        except TimeoutError as err:
            raise PlexTimeoutError(f"No answer in {ANSWER_TIMEOUT} s") from err
        except PlexNotFoundError as err:
            not_found = translation("media_not_found", name=name)
            raise HomeAssistantError(**not_found) from err


async def async_stream(
    server: PlexServerCoordinator,
    method: str,
    path: str,
    *,
    headers: Mapping[str, str],
    params: Mapping[str, str] | None = None,
) -> ClientResponse:
    """Return the answer for a file, which may be that after we have connected anew.

    Whoever gets it closes it. Raises as async_get_access does, or the PlexError of the
    server's answer.
    """
    return await _async_with_access(
        server,
        lambda access: server.client(access).stream(
            method, path, headers=headers, params=params
        ),
        FILE_PATIENCE,
    )


async def _async_with_access[T](
    server: PlexServerCoordinator,
    ask: Callable[[ServerAccess], Coroutine[Any, Any, T]],
    patience: float,
) -> T:
    """Ask something of the server, and look for it while it does not answer."""
    access = await server.async_get_access()
    looked: asyncio.Task[ServerAccess] | None = None

    async def look() -> ServerAccess:
        try:
            found = await server.async_replace_access(access.token, Trouble.SILENT)
        except HomeAssistantError:
            limit.reschedule(0)
            raise
        # Where it was before it is there, but slow.
        if found.connection != access.connection:
            limit.reschedule(0)
        return found

    @callback
    def begin_to_look() -> None:
        nonlocal looked
        looked = create_eager_task(look())

    # Most answers come at once, and need no task of their own.
    timer = server.hass.loop.call_later(patience, begin_to_look)
    try:
        async with asyncio.timeout(None) as limit:
            return await ask(access)
    except PlexAuthenticationError:
        trouble = Trouble.REJECTED
    except PlexConnectionError:
        trouble = Trouble.LOST
    except TimeoutError:
        # It was found elsewhere, or not at all.
        assert looked
        return await ask(await looked)
    finally:
        timer.cancel()
        if looked and not looked.cancel() and not looked.cancelled():
            # Not to be missed by anybody once the server is given up.
            looked.exception()
    return await ask(await server.async_replace_access(access.token, trouble))
