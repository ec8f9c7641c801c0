"""Keep an account's details, and a transient token for each of its servers, fresh."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import override

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .api import (
    Connection,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexServerClient,
    Resource,
    SourceConnectionInformation,
    TransientToken,
    User,
    probe_connections,
    usable_connections,
)
from .client import client_identity, plex_tv_client
from .const import CONF_CLIENT_IDENTIFIER, CONF_SERVER_URL, DOMAIN, LOGGER
from .errors import error_translation, server_error_translation, translation

ACCOUNT_UPDATE_INTERVAL = timedelta(minutes=30)
PING_INTERVAL = timedelta(days=1)
SERVER_UPDATE_INTERVAL = timedelta(minutes=5)
# A transient token dies after 48 hours; whoever gets one shall have some of them.
TRANSIENT_TOKEN_RENEWAL_AGE = timedelta(hours=44)

PLEX_TV = "plex.tv"

type PlexConfigEntry = ConfigEntry[PlexAccountCoordinator]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexAccountData:
    """What plex.tv tells of an account; the servers are in plex.tv's order."""

    user: User
    servers: dict[str, Resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexServerData:
    """How a server can be reached."""

    connection: Connection
    version: str | None
    token: TransientToken


class PlexCoordinator[DataT](DataUpdateCoordinator[DataT]):
    """What the coordinators of accounts and of servers have in common."""

    config_entry: PlexConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: PlexConfigEntry,
        name: str,
        update_interval: timedelta | None,
    ) -> None:
        """Initialize the coordinator."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=name,
            update_interval=update_interval,
            always_update=False,
        )
        self.session = async_get_clientsession(hass)
        self.identity = client_identity(hass, entry.data[CONF_CLIENT_IDENTIFIER])
        self._refresh: asyncio.Task[None] | None = None

    async def async_refresh_or_raise(self) -> None:
        """Refresh for an action, once for all actions that wait for it.

        Raises a translated HomeAssistantError if it fails.
        """
        if self._refresh is None or self._refresh.done():
            self._refresh = self.hass.async_create_task(
                self.async_refresh(), f"{self.name} refresh"
            )
        # An action that is given up must not take the others' refresh along.
        await asyncio.shield(self._refresh)
        if not self.last_update_success:
            cause = self.last_exception
            raise HomeAssistantError(
                translation_domain=getattr(cause, "translation_domain", None),
                translation_key=getattr(cause, "translation_key", None),
                translation_placeholders=getattr(
                    cause, "translation_placeholders", None
                ),
            ) from cause


class PlexAccountCoordinator(PlexCoordinator[PlexAccountData]):
    """Keep the details of an account, and a coordinator for each of its servers."""

    def __init__(self, hass: HomeAssistant, entry: PlexConfigEntry) -> None:
        """Initialize the coordinator."""
        super().__init__(
            hass, entry, f"Plex account {entry.title}", ACCOUNT_UPDATE_INTERVAL
        )
        self.client = plex_tv_client(
            hass,
            client_identifier=entry.data[CONF_CLIENT_IDENTIFIER],
            server_url=entry.data[CONF_SERVER_URL],
            token=entry.data[CONF_TOKEN],
        )
        self.servers: dict[str, PlexServerCoordinator] = {}
        self._pinged_at: datetime | None = None

    @override
    async def _async_update_data(self) -> PlexAccountData:
        """Fetch the account, and adjust the servers and devices to it."""
        try:
            data = await self._async_fetch()
        except PlexAuthenticationError as err:
            raise ConfigEntryAuthFailed(**error_translation(err, PLEX_TV)) from err
        except PlexError as err:
            raise UpdateFailed(
                **error_translation(err, PLEX_TV), retry_after=err.retry_after
            ) from err
        self._async_keep_token(data.user)
        await self._async_update_servers(data)
        return data

    async def _async_fetch(self) -> PlexAccountData:
        """Fetch the account's details and its servers at the same time."""
        user, servers = await asyncio.gather(
            self.client.get_user(), self.client.get_servers(), return_exceptions=True
        )
        if isinstance(user, BaseException):
            raise user
        if isinstance(servers, BaseException):
            raise servers
        return PlexAccountData(
            user=user, servers={server.client_identifier: server for server in servers}
        )

    @callback
    def _async_keep_token(self, user: User) -> None:
        """Store a token that plex.tv has changed, and extend its life once a day."""
        if user.auth_token not in {None, self.client.token}:
            self.client.token = user.auth_token
            self.hass.config_entries.async_update_entry(
                self.config_entry,
                data={**self.config_entry.data, CONF_TOKEN: user.auth_token},
            )
        if (
            self._pinged_at is None
            or dt_util.utcnow() - self._pinged_at >= PING_INTERVAL
        ):
            self.config_entry.async_create_background_task(
                self.hass, self._async_ping(), f"{self.name} ping"
            )

    async def _async_ping(self) -> None:
        """Extend the life of the token; the next refresh tries again if it fails."""
        try:
            await self.client.ping()
        except PlexError as err:
            LOGGER.debug("Could not extend the life of the Plex token: %s", err)
        else:
            self._pinged_at = dt_util.utcnow()

    async def _async_update_servers(self, data: PlexAccountData) -> None:
        """Follow the servers that the account has now, and no others."""
        owned = {key: server for key, server in data.servers.items() if server.owned}
        for key in self.servers.keys() - owned.keys():
            await self.servers.pop(key).async_shutdown()
        new: list[PlexServerCoordinator] = []
        due: list[PlexServerCoordinator] = []
        for key, resource in owned.items():
            if server := self.servers.get(key):
                if server.async_set_resource(resource):
                    due.append(server)
            else:
                server = PlexServerCoordinator(self, resource)
                self.servers[key] = server
                (new if resource.presence else due).append(server)
        self._async_update_devices(data.user)
        for server in due:
            self.config_entry.async_create_background_task(
                self.hass, server.async_refresh(), f"{server.name} refresh"
            )
        # All together, and only those that plex.tv believes to be online are waited
        # for: their entities shall have a state from the start.
        await asyncio.gather(*(server.async_refresh() for server in new))

    @callback
    def _async_update_devices(self, user: User) -> None:
        """Make the devices those of the account and its servers, and no others."""
        registry = dr.async_get(self.hass)
        entry_id = self.config_entry.entry_id
        account_device = registry.async_get_or_create(
            config_entry_id=entry_id,
            identifiers={(DOMAIN, user.uuid)},
            entry_type=dr.DeviceEntryType.SERVICE,
            manufacturer="Plex",
            model="Account",
            name=self.config_entry.title,
            configuration_url="https://app.plex.tv/desktop/#!/settings/account",
        )
        wanted = {account_device.id}
        for key, server in self.servers.items():
            wanted.add(
                registry.async_get_or_create(
                    config_entry_id=entry_id,
                    identifiers={(DOMAIN, key)},
                    manufacturer="Plex",
                    model=server.resource.product,
                    name=server.resource.name,
                    sw_version=server.resource.product_version,
                    via_device_id=account_device.id,
                ).id
            )
        for device in dr.async_entries_for_config_entry(registry, entry_id):
            if device.id not in wanted:
                registry.async_remove_device(device.id)


class PlexServerCoordinator(PlexCoordinator[PlexServerData | None]):
    """Keep a working connection to a server, and a transient token that it accepts."""

    def __init__(self, account: PlexAccountCoordinator, resource: Resource) -> None:
        """Initialize the coordinator."""
        super().__init__(
            account.hass,
            account.config_entry,
            f"Plex server {resource.name}",
            _update_interval(resource),
        )
        self.account = account
        self.resource = resource
        self._failed: PlexServerData | None = None

    @property
    def reachable(self) -> bool:
        """Return if the server answered when it was last asked."""
        return self.last_update_success and self.data is not None

    @callback
    def async_set_resource(self, resource: Resource) -> bool:
        """Take over what plex.tv tells, return if the server should be asked now."""
        was_online = self.resource.presence
        self.resource = resource
        self.update_interval = _update_interval(resource)
        return not (was_online and resource.presence and self.reachable)

    async def async_get_data(self) -> PlexServerData:
        """Return how to reach the server, after another try if we could not.

        Raises a translated HomeAssistantError if it still can't be reached.
        """
        while not self._shutdown_requested:
            data = self.data
            if data is not None and self.last_update_success and self._is_good(data):
                return data
            await self.async_refresh_or_raise()
        raise HomeAssistantError(
            **translation("server_unreachable", name=self.resource.name)
        )

    async def async_reconnect(self, failed: PlexServerData | None) -> PlexServerData:
        """Replace connection and token, once for all who ask for it at the same time.

        `failed` is what the caller tried. Raises as async_get_data does.
        """
        self._failed = failed
        return await self.async_get_data()

    async def async_get_source_connection_information(
        self, source: str, *, refresh: bool
    ) -> SourceConnectionInformation:
        """Ask the server for a source, a second time if we have to connect anew.

        Raises the PlexError of the server's answer, or a translated HomeAssistantError
        if the server can't be reached.
        """
        data = await self.async_get_data()
        try:
            return await self._client(data).get_source_connection_information(
                source, refresh=refresh
            )
        except PlexAuthenticationError, PlexConnectionError:
            data = await self.async_reconnect(data)
        return await self._client(data).get_source_connection_information(
            source, refresh=refresh
        )

    @override
    async def _async_update_data(self) -> PlexServerData:
        """Check the connection and the token, and replace what no longer works."""
        if (
            self.data is not None
            and self.last_update_success
            and (data := await self._async_check(self.data))
        ):
            return data
        try:
            return await self._async_connect()
        except PlexError as err:
            if isinstance(err, PlexAuthenticationError) and self.reachable:
                # The token that plex.tv gave for this server may have changed.
                self.config_entry.async_create_background_task(
                    self.hass,
                    self.account.async_request_refresh(),
                    f"{self.account.name} refresh",
                )
            raise UpdateFailed(
                **server_error_translation(err, self.resource.name),
                retry_after=err.retry_after,
            ) from err

    async def _async_check(self, data: PlexServerData) -> PlexServerData | None:
        """Return what still works, None if we have to connect anew."""
        if not self._is_good(data):
            return None
        try:
            server = await self._client(data).get_server()
        except PlexError:
            # A rejected token means a restart, anything else a lost connection.
            return None
        if server.machine_identifier != self.resource.client_identifier:
            return None
        return replace(data, version=server.version)

    async def _async_connect(self) -> PlexServerData:
        """Find a connection that works, and get a transient token there."""
        resource = self.resource
        outcome = await probe_connections(
            self.session,
            self.identity,
            resource.client_identifier,
            usable_connections(resource.connections, resource),
        )
        if (best := outcome.best) is None:
            raise UpdateFailed(**translation("server_unreachable", name=resource.name))
        client = PlexServerClient(
            self.session,
            self.identity,
            base_url=best.connection.uri,
            token=resource.access_token,
        )
        return PlexServerData(
            connection=best.connection,
            version=best.server.version,
            token=await client.get_transient_token(),
        )

    def _is_good(self, data: PlexServerData) -> bool:
        """Return if nothing is known against a connection and its token."""
        # A negative age is that of a token from before the clock was set back.
        age = dt_util.utcnow() - data.token.issued_at
        return data != self._failed and (
            timedelta() <= age < TRANSIENT_TOKEN_RENEWAL_AGE
        )

    def _client(self, data: PlexServerData) -> PlexServerClient:
        """Return a client that uses the transient token."""
        return PlexServerClient(
            self.session,
            self.identity,
            base_url=data.connection.uri,
            token=data.token.token,
            # We do not insist, since there may be a better address by now.
            retries=0,
        )


def _update_interval(resource: Resource) -> timedelta | None:
    """Return how often to ask a server.

    One that plex.tv lists as offline is only tried with the account's refresh: plex.tv
    can be wrong, but mostly is not.
    """
    return SERVER_UPDATE_INTERVAL if resource.presence else None
