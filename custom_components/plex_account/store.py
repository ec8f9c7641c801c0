"""What has to outlive a restart, beside the entry itself."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store

from .api import Connection, PlexError, Resource, User, objects
from .const import DOMAIN, LOGGER

VERSION: Final = 1
# Seconds. What is new mostly comes together.
SAVE_DELAY: Final = 1

CONNECTIONS: Final = "connections"
HTTPS_WORKED: Final = "https_worked"
PINNED: Final = "pinned"
ROTATION: Final = "rotation"
SERVERS: Final = "servers"
USER: Final = "user"


class PlexStore:
    """A private file for each account, written when something in it is new.

    `user` and `servers` are what plex.tv last told, None and nothing if that is not
    known. Home Assistant writes what is still to be written when it stops.
    """

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Know the file; nothing is read."""
        self._store: Store[dict[str, Any]] = Store(
            hass, VERSION, f"{DOMAIN}.{entry_id}", private=True, atomic_writes=True
        )
        self.user: User | None = None
        self.servers: tuple[Resource, ...] = ()
        self._connections: dict[str, Connection] = {}
        self._https_worked: list[str] = []
        self._rotation: list[str] = []
        self._is_closed = False

    async def async_load(self, uuid: str) -> None:
        """Read the file, or begin anew if it can't be understood or is another's."""
        try:
            stored = await self._async_read() or {}
            self._https_worked = _texts(stored.get(HTTPS_WORKED))
            self._rotation = _texts(stored.get(ROTATION))
            if stored.get(USER) is not None:
                self._read_account(stored, uuid)
        except (HomeAssistantError, NotImplementedError, PlexError) as err:
            LOGGER.warning("What was stored of a Plex account can't be read: %s", err)

    async def _async_read(self) -> dict[str, Any] | None:
        """Return what the file holds, None if there is none."""
        try:
            stored = await self._store.async_load()
        except (AttributeError, LookupError, TypeError, ValueError) as err:
            # It is JSON, but not of the shape that Home Assistant writes.
            raise PlexError(f"It is damaged: {type(err).__name__}") from err
        if not isinstance(stored, dict | None):
            raise PlexError("It is damaged")
        return stored

    def _read_account(self, stored: dict[str, Any], uuid: str) -> None:
        """Read what plex.tv told, as carefully as if it told it now."""
        user = User.from_json(stored[USER])
        if user.uuid != uuid:
            raise PlexError("It is another account's")
        if not isinstance(stored.get(SERVERS), list):
            raise PlexError("It is damaged")
        servers = [Resource.from_json(item) for item in objects(stored[SERVERS])]
        self.user, self.servers = user, tuple(servers)
        connections = stored.get(CONNECTIONS)
        if isinstance(connections, dict):
            self._connections = {
                key: replace(connection, pinned=data.get(PINNED) is True)
                for key, data in connections.items()
                if isinstance(data, dict) and (connection := Connection.from_json(data))
            }

    async def async_remove(self) -> None:
        """Delete the file."""
        await self._store.async_remove()

    async def async_close(self) -> None:
        """Write what is known, and nothing from now on."""
        self._is_closed = True
        await self._store.async_save(self._data())

    @callback
    def async_set_account(self, user: User, servers: Iterable[Resource]) -> None:
        """Remember what plex.tv tells, and forget what is about other servers."""
        # Its token is that of the entry.
        user, new = replace(user, auth_token=None), tuple(servers)
        if (user, new) == (self.user, self.servers):
            return
        self.user, self.servers = user, new
        known = {server.client_identifier for server in new}
        self._connections = {
            key: item for key, item in self._connections.items() if key in known
        }
        self._async_save_soon()

    @callback
    def async_drop_token(self, server: Resource) -> None:
        """Forget the token that plex.tv lists for a server, as that rejects it."""
        if server in self.servers and server.access_token:
            self.servers = tuple(
                replace(item, access_token=None) if item == server else item
                for item in self.servers
            )
            self._async_save_soon()

    def connection(self, machine_identifier: str) -> Connection | None:
        """Return where a server was last reached."""
        return self._connections.get(machine_identifier)

    @callback
    def async_set_connection(
        self, machine_identifier: str, connection: Connection
    ) -> None:
        """Remember where a server was reached."""
        if self._connections.get(machine_identifier) != connection:
            self._connections[machine_identifier] = connection
            self._async_save_soon()

    def https_worked(self, machine_identifier: str) -> bool:
        """Return if a certificate has ever proven who this server is."""
        return machine_identifier in self._https_worked

    @callback
    def async_set_https_worked(self, machine_identifier: str, *, worked: bool) -> None:
        """Remember that HTTPS has worked with a server, or forget it."""
        if worked == self.https_worked(machine_identifier):
            return
        others = [item for item in self._https_worked if item != machine_identifier]
        self._https_worked = [*others, machine_identifier] if worked else others
        self._async_save_soon()

    def successor(self, token: str) -> str:
        """Return what plex.tv has put in the place of a token, else the token itself.

        Entries are stored a moment later, and an older one may be read after a crash.
        """
        match self._rotation:
            case [old, new] if old == token:
                return new
        return token

    async def async_set_successor(self, token: str, successor: str) -> None:
        """Remember at once that plex.tv has put another token in the place of one."""
        self._rotation = [token, successor]
        await self._store.async_save(self._data())

    @callback
    def _async_save_soon(self) -> None:
        """Write the file a moment later, with all that is new until then."""
        # Who is still busy when the account goes must not bring its file back.
        if not self._is_closed:
            self._store.async_delay_save(self._data, SAVE_DELAY)

    def _data(self) -> dict[str, Any]:
        """Return what is to be stored."""
        return {
            CONNECTIONS: {
                key: {**connection.to_json(), PINNED: connection.pinned}
                for key, connection in self._connections.items()
            },
            HTTPS_WORKED: self._https_worked,
            ROTATION: self._rotation,
            SERVERS: [server.to_json() for server in self.servers],
            USER: self.user.to_json() if self.user else None,
        }


def _texts(value: object) -> list[str]:
    """Return the texts of a list that was read."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, str)]
