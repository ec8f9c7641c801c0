"""What has to outlive a restart, beside the entry itself."""

from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from .const import DOMAIN, LOGGER

VERSION: Final = 1

HTTPS_WORKED: Final = "https_worked"
ROTATION: Final = "rotation"


class PlexStore:
    """A private file for each account, written at once when something is new."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Know the file; nothing is read."""
        self._store: Store[dict[str, Any]] = Store(
            hass, VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True
        )
        self._https_worked: list[str] = []
        self._rotation: list[str] = []

    async def async_load(self) -> None:
        """Read the file, or begin anew if it can't be understood."""
        try:
            stored = await self._store.async_load() or {}
        except (HomeAssistantError, NotImplementedError) as err:
            LOGGER.warning("What was stored of a Plex account can't be read: %s", err)
            return
        self._https_worked = _texts(stored.get(HTTPS_WORKED))
        self._rotation = _texts(stored.get(ROTATION))

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()

    def https_worked(self, machine_identifier: str) -> bool:
        """Return if a certificate has ever proven who this server is."""
        return machine_identifier in self._https_worked

    async def async_set_https_worked(
        self, machine_identifier: str, *, worked: bool
    ) -> None:
        """Remember that HTTPS has worked with a server, or forget it."""
        others = [item for item in self._https_worked if item != machine_identifier]
        self._https_worked = [*others, machine_identifier] if worked else others
        await self._async_save()

    def successor(self, token: str) -> str:
        """Return what plex.tv has put in the place of a token, else the token itself.

        Entries are stored a moment later, and an older one may be read after a crash.
        """
        match self._rotation:
            case [old, new] if old == token:
                return new
        return token

    async def async_set_successor(self, token: str, successor: str) -> None:
        """Remember that plex.tv has put another token in the place of one."""
        self._rotation = [token, successor]
        await self._async_save()

    async def _async_save(self) -> None:
        """Write the file now."""
        await self._store.async_save(
            {HTTPS_WORKED: self._https_worked, ROTATION: self._rotation}
        )


def _texts(value: object) -> list[str]:
    """Return the texts of a list that was read."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, str)]
