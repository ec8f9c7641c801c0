"""Listens to a server: a WebSocket is kept open while the server can be reached.

What it brings is only a hint to look now; the polls stay the truth.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
import random

from homeassistant.core import callback
from homeassistant.util.async_ import create_eager_task

from .api import (
    Connection,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexServerClient,
    PushEvent,
)
from .const import LOGGER

# Seconds until it is tried again where something on the way does not like it; doubled
# each time, up to what the polls take.
MIN_PAUSE: float = 5
MAX_PAUSE: float = 300
# How many sockets an account opens at a time.
MAX_HANDSHAKES = 10


class PushListener:
    """Keeps a socket to one server, at its connection and with its token."""

    def __init__(
        self,
        name: str,
        slots: asyncio.Semaphore,
        client: Callable[[Connection, str], PlexServerClient],
        async_on_event: Callable[[PushEvent | None], None],
    ) -> None:
        """Do nothing yet; the last is called with events, and None to have a look."""
        self._name = name
        self._slots = slots
        self._client = client
        self._async_on_event = async_on_event
        self._target: tuple[Connection, str] | None = None
        self._refused: str | None = None
        self._task: asyncio.Task[None] | None = None

    @callback
    def async_follow(self, connection: Connection | None, token: str | None) -> None:
        """Listen there from now on, or nowhere."""
        target = (connection, token) if connection and token else None
        if target == self._target:
            return
        self._target = target
        if target is None:
            # It has been away, and may know everybody again.
            self._refused = None
        if self._task:
            self._task.cancel()
            self._task = None
        if target and token != self._refused:
            # It ends with its server only, so it is no task that anybody may wait for.
            self._task = create_eager_task(
                self._async_listen(*target), name=f"{self._name} push"
            )

    async def async_stop(self) -> None:
        """Listen no more, and leave nothing behind."""
        task = self._task
        self.async_follow(None, None)
        if task:
            await asyncio.wait({task})

    async def _async_listen(self, connection: Connection, token: str) -> None:
        """Listen again and again, less and less often where it does not last."""
        pause = MIN_PAUSE
        again = was_open = False
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._async_listen_once(
                    self._client(connection, token), again=again
                )
                was_open = True
            except PlexError as err:
                if isinstance(err, PlexAuthenticationError) and not was_open:
                    LOGGER.debug("%s does not push with this token", self._name)
                    self._refused = token
                    return
                if pause == MIN_PAUSE:
                    LOGGER.debug("%s does not push: %s", self._name, err)
                if was_open and isinstance(
                    err, (PlexAuthenticationError, PlexConnectionError)
                ):
                    # It may have told that it goes before it went, or started anew.
                    self._async_on_event(None)
            again = True
            if loop.time() - started > MAX_PAUSE:
                pause = MIN_PAUSE
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(2 * pause, MAX_PAUSE)

    async def _async_listen_once(
        self, client: PlexServerClient, *, again: bool
    ) -> None:
        """Listen until the socket is closed."""
        async with aclosing(client.listen()) as events:
            async with self._slots:
                await anext(events)
            LOGGER.debug("%s pushes", self._name)
            if again:
                # It may have started anew while nobody listened.
                self._async_on_event(None)
            async for event in events:
                self._async_on_event(event)
        self._async_on_event(None)
