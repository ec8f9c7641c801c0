"""A PIN that a user claims at plex.tv, which signs Home Assistant in."""

import asyncio
from base64 import b64encode
from contextlib import suppress
from typing import Final

from homeassistant.core import HomeAssistant, callback

from .api import (
    Pin,
    PlexAuthenticationError,
    PlexError,
    PlexNotFoundError,
    PlexTvClient,
    User,
)
from .const import LOGGER
from .identity import async_sign_out

# Seconds between two looks at whether a PIN was claimed.
POLL_INTERVAL = 2
POLL_BACKOFF = 1.5
POLL_MAX_INTERVAL = 10
# Seconds that the picture of a code may hold up the code itself.
QR_CODE_TIMEOUT: Final = 3


class PinSignIn:
    """Waits in the background until a PIN is claimed or has expired."""

    def __init__(self, hass: HomeAssistant, client: PlexTvClient, pin: Pin) -> None:
        """Begin to wait; `client` gets the token."""
        self.client = client
        self.pin = pin
        self._look_now = asyncio.Event()
        self.task = hass.async_create_background_task(self._async_wait(), "Plex PIN")

    @callback
    def async_look_now(self) -> None:
        """Do not wait for the next look: there is news."""
        self._look_now.set()

    async def async_end(self) -> User | None:
        """Wait no longer; return who has claimed the PIN just now, if anybody has."""
        self.task.cancel()
        try:
            return await self._async_look()
        except PlexError as err:
            LOGGER.debug("Nobody knows whether a Plex PIN was claimed: %s", err)
            return None

    async def _async_look(self) -> User | None:
        """Return the user who has claimed the PIN, None if nobody has."""
        if self.client.token is None:
            pin = await self.client.get_pin(self.pin.id)
            self.client.token = pin.auth_token
        return await self.client.get_user() if self.client.token else None

    async def _async_wait(self) -> User | None:
        """Return the user who claims the PIN, None when it has expired."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.pin.expires_in
        interval: float = POLL_INTERVAL
        while (left := deadline - loop.time()) > 0:
            await self._async_pause(min(interval, left))
            interval = min(interval * POLL_BACKOFF, POLL_MAX_INTERVAL)
            try:
                if user := await self._async_look():
                    return user
            except PlexNotFoundError, PlexAuthenticationError:
                break
            except PlexError as err:
                # The PIN outlives what ails plex.tv or the way to it.
                interval = max(interval, err.retry_after or 0)
        if self.client.token is not None:
            # It was claimed, but plex.tv has not told by whom.
            await async_sign_out(self.client)
        return None

    async def _async_pause(self, seconds: float) -> None:
        """Wait for the time of the next look, or for news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._look_now.wait()
        self._look_now.clear()

    async def async_get_qr_code(self) -> str:
        """Return the QR code of the PIN in Markdown, empty if there is none to be had.

        It is fetched here, so that the browser needs no way to plex.tv.
        """
        try:
            async with asyncio.timeout(QR_CODE_TIMEOUT):
                picture = await self.client.get_picture(self.pin.qr or "")
        except (PlexError, TimeoutError) as err:
            LOGGER.debug("No QR code for the link code: %r", err)
            return ""
        content = b64encode(picture.content).decode()
        return f"![](data:{picture.content_type};base64,{content})"
