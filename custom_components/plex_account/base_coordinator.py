"""What the coordinators of accounts and of servers have in common.

All that can be seen of an account or a server is in the `data` of its coordinator,
which tells its listeners when what they show changes. What else a coordinator has is
for whoever asks Plex for something, and to keep the data true.
"""

from abc import abstractmethod
import asyncio
from datetime import timedelta
import random
from typing import override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import (
    TimestampDataUpdateCoordinator,
    UpdateFailed,
)

from .const import CONF_CLIENT_IDENTIFIER, DOMAIN, LOGGER
from .errors import converted, translation
from .identity import client_identity

# Seconds that Plex may keep polls away at the most.
MAX_POLL_PAUSE: float = 3600


class PlexCoordinator[DataT](TimestampDataUpdateCoordinator[DataT]):
    """What the coordinators of accounts and of servers have in common."""

    config_entry: ConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        name: str,
        identifier: str,
        update_interval: timedelta,
    ) -> None:
        """Initialize the coordinator; `identifier` is that of the device."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=name,
            # Where many homes start at the same time they shall not go on in step.
            update_interval=update_interval * random.random(),
            always_update=False,
        )
        self._interval: timedelta | None = update_interval
        self.session = async_get_clientsession(hass)
        self.identity = client_identity(hass, entry.data[CONF_CLIENT_IDENTIFIER])
        self.device_identifier = (DOMAIN, identifier)
        self._refresh: asyncio.Task[None] | None = None

    @override
    async def _async_update_data(self) -> DataT:
        """Ask Plex, and turn what nobody expected into an error that is told once."""
        if self.last_update_success_time or self.last_exception:
            # Not the first time, as the first poll is after a part of it.
            self.update_interval = self._interval
        try:
            return await self._async_ask()
        except UpdateFailed, ConfigEntryAuthFailed:
            raise
        except Exception as err:
            raise UpdateFailed(
                **translation(
                    "unexpected_error", name=self.name, error=type(err).__name__
                )
            ) from err

    @abstractmethod
    async def _async_ask(self) -> DataT:
        """Return what Plex tells, or raise UpdateFailed or ConfigEntryAuthFailed."""

    async def async_refresh_together(self) -> None:
        """Refresh once for all who wait for it."""
        if self._refresh is None or self._refresh.done():
            # Home Assistant's start does not wait for it.
            self._refresh = self.hass.async_create_background_task(
                self.async_refresh(), f"{self.name} refresh"
            )
        # Who gives up must not take the others' refresh along.
        await asyncio.shield(self._refresh)

    async def async_refresh_or_raise(self) -> None:
        """Refresh for an action; raise a translated HomeAssistantError if it fails."""
        await self.async_refresh_together()
        if not self.last_update_success:
            cause = self.last_exception
            if not isinstance(cause, HomeAssistantError):
                # It was unloaded before it could be asked.
                raise HomeAssistantError(
                    **translation("cannot_connect", name=self.name)
                )
            raise converted(cause, HomeAssistantError) from cause
