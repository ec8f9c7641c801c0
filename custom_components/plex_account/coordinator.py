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
from homeassistant.util.async_ import create_eager_task

from .api import (
    Connection,
    ConnectionTier,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexServerClient,
    ProbeOutcome,
    Resource,
    ServerIdentity,
    SourceConnectionInformation,
    TransientToken,
    User,
    probe_connections,
    tier,
    usable_connections,
)
from .client import client_identity, plex_tv_client
from .const import CONF_CLIENT_IDENTIFIER, CONF_SERVER_URL, DOMAIN, LOGGER
from .errors import error_translation, server_error_translation, translation
from .issues import async_delete_issues, async_update_issues

ACCOUNT_UPDATE_INTERVAL = timedelta(minutes=30)
PING_INTERVAL = timedelta(days=1)
SERVER_UPDATE_INTERVAL = timedelta(minutes=5)
# Seconds between two looks for a better kind of connection.
BETTER_CONNECTION_INTERVAL: float = 1800
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
    token: TransientToken


class PlexCoordinator[DataT](DataUpdateCoordinator[DataT]):
    """What the coordinators of accounts and of servers have in common."""

    config_entry: PlexConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: PlexConfigEntry,
        name: str,
        identifier: str,
        update_interval: timedelta | None,
    ) -> None:
        """Initialize the coordinator; `identifier` is that of the device."""
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
        self.device_identifier = (DOMAIN, identifier)
        self.refreshed_at: datetime | None = None
        self._refresh: asyncio.Task[None] | None = None

    @property
    def device(self) -> dr.DeviceEntry | None:
        """Return the device of the account or the server, None until it is made."""
        return dr.async_get(self.hass).async_get_device_by_identifier(
            self.device_identifier, self.config_entry.entry_id
        )

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Remember when Plex was last heard of."""
        if self.last_update_success:
            self.refreshed_at = dt_util.utcnow()

    async def async_refresh_together(self) -> None:
        """Refresh once for all who wait for it."""
        if self._refresh is None or self._refresh.done():
            self._refresh = self.hass.async_create_task(
                self.async_refresh(), f"{self.name} refresh"
            )
        # Who gives up must not take the others' refresh along.
        await asyncio.shield(self._refresh)

    async def async_refresh_or_raise(self) -> None:
        """Refresh for an action; raise a translated HomeAssistantError if it fails."""
        await self.async_refresh_together()
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
            hass,
            entry,
            f"Plex account {entry.title}",
            str(entry.unique_id),
            ACCOUNT_UPDATE_INTERVAL,
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
        except PlexError as err:
            message = error_translation(err, PLEX_TV)
            # Who removes the account signs it out, and is not asked to sign in again.
            if isinstance(err, PlexAuthenticationError) and not (
                self._shutdown_requested
            ):
                raise ConfigEntryAuthFailed(**message) from err
            raise UpdateFailed(**message, retry_after=err.retry_after) from err
        if self._shutdown_requested:
            # The account was unloaded, or even removed, while it was asked for.
            return data
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
        # A negative age is that of a ping from before the clock was set back.
        if self._pinged_at is None or not (
            timedelta() <= dt_util.utcnow() - self._pinged_at < PING_INTERVAL
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
        self._async_update_devices()
        for server in self.servers.values():
            server.async_update_device()
        for server in due:
            self.config_entry.async_create_background_task(
                self.hass, server.async_refresh(), f"{server.name} refresh"
            )
        # All together, and only those that plex.tv believes to be online are waited
        # for: their entities shall have a state from the start.
        await asyncio.gather(
            *(create_eager_task(server.async_refresh()) for server in new)
        )

    @callback
    def _async_update_devices(self) -> None:
        """Make the account's device, and let there be none of other servers."""
        registry = dr.async_get(self.hass)
        entry_id = self.config_entry.entry_id
        registry.async_get_or_create(
            config_entry_id=entry_id,
            identifiers={self.device_identifier},
            entry_type=dr.DeviceEntryType.SERVICE,
            manufacturer="Plex",
            name=self.config_entry.title,
            configuration_url="https://app.plex.tv/desktop/#!/settings/account",
        )
        wanted = {self.device_identifier} | {
            server.device_identifier for server in self.servers.values()
        }
        for device in dr.async_entries_for_config_entry(registry, entry_id):
            if device.identifiers.isdisjoint(wanted):
                registry.async_remove_device(device.id)


class PlexServerCoordinator(PlexCoordinator[PlexServerData | None]):
    """Keep a working connection to a server, and a transient token that it accepts."""

    def __init__(self, account: PlexAccountCoordinator, resource: Resource) -> None:
        """Initialize the coordinator."""
        super().__init__(
            account.hass,
            account.config_entry,
            f"Plex server {resource.name}",
            resource.client_identifier,
            _update_interval(resource),
        )
        self.account = account
        self.resource = resource
        # That a server does not answer which plex.tv lists as offline is no news.
        self.last_update_success = resource.presence
        self.server: ServerIdentity | None = None
        self.outcome: ProbeOutcome | None = None
        self.name_blocked = False
        self._looked_at: float = -BETTER_CONNECTION_INTERVAL
        self._failed: PlexServerData | None = None

    @property
    def reachable(self) -> bool:
        """Return if the server answered when it was last asked."""
        return self.last_update_success and self.data is not None

    @property
    def version(self) -> str | None:
        """Return the version that the server tells, or plex.tv of it."""
        told = self.server.version if self.server else None
        return told or self.resource.product_version

    @callback
    def async_update_device(self) -> None:
        """Make the device that of the server as we know it."""
        device, account = self.device, self.account.device
        assert account, "Its device is made before those of its servers"
        product, name, version = self.resource.product, self.resource.name, self.version
        # What is known from before a restart stays until there is something better.
        url = device.configuration_url if device else None
        if self.data:
            url = f"{self.data.connection.uri}/web"
        # There mostly is nothing new, which takes the registry much longer to find out.
        if device and (product, name, version, url, account.id) == (
            device.model,
            device.name,
            device.sw_version,
            device.configuration_url,
            device.via_device_id,
        ):
            return
        dr.async_get(self.hass).async_get_or_create(
            config_entry_id=self.config_entry.entry_id,
            identifiers={self.device_identifier},
            manufacturer="Plex",
            model=product,
            name=name,
            sw_version=version,
            configuration_url=url,
            via_device_id=account.id,
        )

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Take over what the server told about itself."""
        super()._async_refresh_finished()
        # The server may have been forgotten while it was asked.
        if not self._shutdown_requested:
            self.async_update_device()
            async_update_issues(self)

    @override
    async def async_shutdown(self) -> None:
        """Stop to follow the server, and to complain about it."""
        await super().async_shutdown()
        async_delete_issues(self)

    @callback
    def async_set_resource(self, resource: Resource) -> bool:
        """Take over what plex.tv tells, return if the server should be asked now."""
        was_online = self.resource.presence
        if resource.connections != self.resource.connections:
            # Somebody has changed the network, so there may be a better way.
            self._looked_at = -BETTER_CONNECTION_INTERVAL
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

        async def look_up(data: PlexServerData) -> SourceConnectionInformation:
            return await self._client(data).get_source_connection_information(
                source, refresh=refresh
            )

        data = await self.async_get_data()
        try:
            return await look_up(data)
        except PlexAuthenticationError, PlexConnectionError:
            return await look_up(await self.async_reconnect(data))

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
                    self.account.async_refresh_together(),
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
        self.server = server
        return await self._async_improve(data)

    async def _async_improve(self, data: PlexServerData) -> PlexServerData:
        """Move to a better kind of connection, if it is time to look for one."""
        now = self.hass.loop.time()
        better = [
            connection
            for connection in self._usable_connections()
            if _kind(connection) < _kind(data.connection)
        ]
        if not better or now - self._looked_at < BETTER_CONNECTION_INTERVAL:
            return data
        best = (await self._async_probe(better)).best
        if best is None or _kind(best.connection) >= _kind(data.connection):
            return data
        self.name_blocked = best.name_blocked
        return replace(data, connection=best.connection)

    async def _async_connect(self) -> PlexServerData:
        """Find a connection that works, and get a transient token there."""
        was_reachable = self.reachable
        outcome = await self._async_probe(self._usable_connections())
        if was_reachable and (outcome.best is None or outcome.certificate_failed):
            # The server may have another address, or its certificate another name.
            await self.account.async_refresh_together()
            outcome = await self._async_probe(self._usable_connections())
        if (best := outcome.best) is None:
            raise UpdateFailed(
                **translation("server_unreachable", name=self.resource.name)
            )
        self.server = best.server
        self.name_blocked = best.name_blocked
        client = PlexServerClient.at(
            best.connection, self.session, self.identity, self.resource.access_token
        )
        return PlexServerData(
            connection=best.connection, token=await client.get_transient_token()
        )

    async def _async_probe(self, connections: list[Connection]) -> ProbeOutcome:
        """Try connections of the server."""
        self._looked_at = self.hass.loop.time()
        self.outcome = await probe_connections(
            self.session,
            self.identity,
            self.resource.client_identifier,
            connections,
            https_required=self.resource.https_required,
        )
        return self.outcome

    def _usable_connections(self) -> list[Connection]:
        """Return the connections of the server that may be tried."""
        return usable_connections(self.resource.connections, self.resource)

    def _is_good(self, data: PlexServerData) -> bool:
        """Return if nothing is known against a connection and its token."""
        # A negative age is that of a token from before the clock was set back.
        age = dt_util.utcnow() - data.token.issued_at
        return data != self._failed and (
            timedelta() <= age < TRANSIENT_TOKEN_RENEWAL_AGE
        )

    def _client(self, data: PlexServerData) -> PlexServerClient:
        """Return a client that does not insist: there may be a better address."""
        return PlexServerClient.at(
            data.connection, self.session, self.identity, data.token.token, retries=0
        )


def _kind(connection: Connection) -> tuple[ConnectionTier, bool]:
    """Return what a better connection is smaller in."""
    return tier(connection), connection.pinned


def _update_interval(resource: Resource) -> timedelta | None:
    """Return how often to ask a server.

    One that plex.tv lists as offline is only tried with the account's refresh: plex.tv
    can be wrong, but mostly is not.
    """
    return SERVER_UPDATE_INTERVAL if resource.presence else None
