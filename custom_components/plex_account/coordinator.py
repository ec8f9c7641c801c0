"""Keep an account's details, and a transient token for each of its servers, fresh.

All that can be seen of an account or a server is in the `data` of its coordinator,
which tells its listeners when that changes. What else a coordinator has is machinery.
"""

from abc import abstractmethod
import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
import random
from typing import Any, override

from aiohttp import ClientResponse

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import create_eager_task

from .api import (
    Connection,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexLibrary,
    PlexNotFoundError,
    PlexRateLimitError,
    PlexServerClient,
    PlexServerError,
    PlexTimeoutError,
    PushEvent,
    Resource,
    SourceConnectionInformation,
    TransientToken,
    User,
    is_encrypted,
)
from .connection import PlexServerData, ServerConnector
from .const import (
    CONF_ADDED_SERVERS,
    CONF_CLIENT_IDENTIFIER,
    CONF_LEFT_OUT_SERVERS,
    CONF_SERVER_URL,
    DOMAIN,
    LOGGER,
    PLEX_TV,
)
from .errors import error_translation, server_error_translation, translation
from .identity import client_identity, plex_tv_client
from .issues import async_delete_issues, async_update_issues
from .push import MAX_HANDSHAKES, PushListener
from .store import PlexStore

ACCOUNT_UPDATE_INTERVAL = timedelta(minutes=30)
PING_INTERVAL = timedelta(days=1)
SERVER_UPDATE_INTERVAL = timedelta(minutes=5)
# Seconds between two looks for a better kind of connection.
BETTER_CONNECTION_INTERVAL: float = 1800
# A transient token dies after 48 hours; whoever gets one shall have some of them.
TRANSIENT_TOKEN_RENEWAL_AGE = timedelta(hours=44)
# Attempts beyond the first to get a token where a server has just answered.
MAX_RETRIES = 2
# Seconds that Plex may keep us away at the most, by what would have to wait.
MAX_POLL_PAUSE: float = 3600
MAX_SETUP_PAUSE: float = 900
# Seconds that nobody asks after having asked too often, if Plex does not say how many.
RATE_LIMIT_PAUSE: float = 60
# Seconds until plex.tv is asked again that has not answered since the start; doubled
# each time, up to the usual interval.
RETRY_INTERVAL: float = 60
# Seconds that the servers may hold up Home Assistant's start.
START_TIMEOUT: float = 1.5
# Seconds that a server is given: to say that it is there, to answer somebody before it
# is looked for, and after its failure, in which nobody looks for it again.
CHECK_TIMEOUT: float = 3
PATIENCE: float = 1.25
KNOWN_DEAD_TIME: float = 10
# Seconds between two looks for a server that is down: at first and at the most; and how
# long such looks go on before the usual interval holds again.
DOWN_INTERVAL: float = 5
MAX_DOWN_INTERVAL: float = 60
DOWN_TIME: float = 300
# Seconds between two questions to a server for its account.
ACCOUNT_COOLDOWN: float = 1
# Seconds in which a server that has just been found has to give a token.
TOKEN_TIMEOUT: float = 4
# Seconds that plex.tv is given to know another address of a server.
PLEX_TV_PATIENCE: float = 0.5

type PlexConfigEntry = ConfigEntry[PlexAccountCoordinator]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexAccountData:
    """What plex.tv tells of an account; the servers are in plex.tv's order.

    `left_out` is how many servers of its list are not among them, as they could not be
    told from others. What is only `stored` was told before the last start.
    """

    user: User
    servers: dict[str, Resource]
    left_out: int = 0
    stored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccess:
    """Where a server is reached, and the token that it accepts there."""

    connection: Connection
    token: TransientToken


class Trouble(Enum):
    """What somebody has noticed about the access to a server."""

    LOST = auto()
    SILENT = auto()
    REJECTED = auto()
    RENEWAL_WANTED = auto()


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
            # Where many homes start at the same time they shall not go on in step.
            update_interval=update_interval and update_interval * random.random(),
            always_update=False,
        )
        self._interval = update_interval
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

    @override
    async def _async_update_data(self) -> DataT:
        """Ask Plex, and turn what nobody expected into an error that is told once."""
        if self._listeners:
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

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Remember when Plex was last heard of."""
        if self.last_update_success:
            self.refreshed_at = dt_util.utcnow()

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
            assert isinstance(cause, HomeAssistantError)
            raise HomeAssistantError(
                translation_domain=cause.translation_domain,
                translation_key=cause.translation_key,
                translation_placeholders=cause.translation_placeholders,
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
        self.store = PlexStore(hass, entry.entry_id)
        self.servers: dict[str, PlexServerCoordinator] = {}
        self.push_slots = asyncio.Semaphore(MAX_HANDSHAKES)
        self._pinged_at: datetime | None = None
        # By the clock of the event loop: until when nobody asks by himself, and until
        # when not even an action does.
        self._paused_until = self._closed_until = 0.0
        self._retry_interval = RETRY_INTERVAL

    async def async_start(self) -> None:
        """Connect to the servers that are known, while plex.tv is asked for news.

        An account of which nothing is known has to wait for plex.tv, and raises what
        `async_config_entry_first_refresh` does.
        """
        self.config_entry.async_on_unload(
            self.hass.bus.async_listen_once(
                EVENT_HOMEASSISTANT_STOP, self._async_hang_up
            )
        )
        await self.store.async_load(str(self.config_entry.unique_id))
        assert self.client.token
        self._async_use_token(self.store.successor(self.client.token))
        if self.store.user is None:
            await self.async_config_entry_first_refresh()
            return
        servers = {server.client_identifier: server for server in self.store.servers}
        self.data = PlexAccountData(user=self.store.user, servers=servers, stored=True)
        self.config_entry.async_create_background_task(
            self.hass, self.async_refresh_together(), f"{self.name} refresh"
        )
        await self._async_update_servers(self.data)

    async def async_close(self) -> None:
        """Let go of the servers, and write what is still to be written."""
        await asyncio.gather(*(each.async_shutdown() for each in self.servers.values()))
        await self.async_shutdown()
        await self.store.async_close()

    async def _async_hang_up(self, _: Event) -> None:
        """Close what is open, whose end by Home Assistant would look like a loss."""
        await asyncio.gather(
            *(server.async_hang_up() for server in self.servers.values())
        )

    @property
    def is_signed_out(self) -> bool:
        """Return if plex.tv does not accept the sign-in any more."""
        return isinstance(self.last_exception, ConfigEntryAuthFailed) and not (
            self.last_update_success
        )

    async def async_refresh_for_server(self) -> None:
        """Ask plex.tv about a server in trouble, unless it wants to be left alone."""
        if self.hass.loop.time() >= self._paused_until:
            await self.async_refresh_together()

    @override
    async def async_refresh_or_raise(self) -> None:
        """Refresh for an action, but not at once again if that was too often."""
        if self.hass.loop.time() < self._closed_until:
            raise HomeAssistantError(**translation("rate_limited", name=PLEX_TV))
        await super().async_refresh_or_raise()

    @override
    async def _async_ask(self) -> PlexAccountData:
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
            raise UpdateFailed(**message, retry_after=self._pause_after(err)) from err
        if data.user.uuid != self.config_entry.unique_id:
            # Whoever it is, nothing of it is taken over.
            raise UpdateFailed(**translation("unexpected_response", name=PLEX_TV))
        if self._shutdown_requested:
            # The account was unloaded, or even removed, while it was asked for.
            return data
        await self._async_keep_token(data.user)
        self.store.async_set_account(data.user, data.servers.values())
        await self._async_update_servers(data)
        return data

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Let the servers know whether their names could be told at all."""
        super()._async_refresh_finished()
        for server in self.servers.values():
            server.async_set_plex_tv_answers(answers=self.last_update_success)

    async def _async_fetch(self) -> PlexAccountData:
        """Fetch the account's details and its servers at the same time."""
        user, listed = await asyncio.gather(
            self.client.get_user(), self.client.get_servers(), return_exceptions=True
        )
        if isinstance(user, BaseException):
            raise user
        if isinstance(listed, BaseException):
            raise listed
        servers = {
            server.client_identifier: server
            for server in listed.servers
            # It would have the account's own device.
            if server.client_identifier != user.uuid
        }
        left_out = (
            len(listed.servers) - len(servers) + listed.duplicates + listed.unreadable
        )
        if listed.unreadable and self.data:
            # What can't be read may be one of those that are known.
            servers = self.data.servers | servers
        return PlexAccountData(user=user, servers=servers, left_out=left_out)

    @callback
    def _pause_after(self, err: PlexError) -> float | None:
        """Remember how long plex.tv wants to be left alone, and return that."""
        pause = err.retry_after
        now = self.hass.loop.time()
        if isinstance(err, PlexRateLimitError):
            pause = pause or RATE_LIMIT_PAUSE
            self._closed_until = now + min(pause, RATE_LIMIT_PAUSE)
        if pause is None:
            if self.data and self.data.stored:
                return self._retry_soon()
            return None
        is_polled = self.data and not self.data.stored
        longest = MAX_POLL_PAUSE if is_polled else MAX_SETUP_PAUSE
        # Not all at once when it is over, whichever of the two it is.
        pause = min(pause * random.uniform(1, 1.25), longest * random.uniform(0.8, 1))
        self._paused_until = now + pause
        return pause

    @callback
    def _retry_soon(self) -> float:
        """Return when to ask plex.tv again, which has told nothing since the start."""
        pause = min(self._retry_interval, ACCOUNT_UPDATE_INTERVAL.total_seconds())
        self._retry_interval = 2 * pause
        return pause * random.uniform(0.5, 1)

    @callback
    def _async_use_token(self, token: str) -> None:
        """Use a token from now on, and let the entry have it."""
        self.client.token = token
        self.hass.config_entries.async_update_entry(
            self.config_entry, data={**self.config_entry.data, CONF_TOKEN: token}
        )

    async def _async_keep_token(self, user: User) -> None:
        """Store a token that plex.tv has changed, and extend its life once a day."""
        if self.client.token and user.auth_token not in {None, self.client.token}:
            assert user.auth_token
            await self.store.async_set_successor(self.client.token, user.auth_token)
            self._async_use_token(user.auth_token)
        if self.data is None or self.data.stored:
            # Where many homes start at the same time it can wait for the next refresh.
            return
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
        options = self.config_entry.options
        left_out = options.get(CONF_LEFT_OUT_SERVERS, ())
        added = options.get(CONF_ADDED_SERVERS, ())
        followed = {
            key: server
            for key, server in data.servers.items()
            if (key not in left_out if server.owned else key in added)
        }
        gone = [self.servers.pop(key) for key in self.servers.keys() - followed.keys()]
        await asyncio.gather(*(server.async_shutdown() for server in gone))
        new: list[PlexServerCoordinator] = []
        due: list[PlexServerCoordinator] = []
        for key, resource in followed.items():
            if server := self.servers.get(key):
                if server.async_set_resource(resource):
                    due.append(server)
            else:
                server = PlexServerCoordinator(self, resource)
                self.servers[key] = server
                (new if resource.presence else due).append(server)
        self._async_update_devices(data)
        for server in list(self.servers.values()):
            server.async_update_device()
            # There may be hundreds, and others want to go on meanwhile.
            await asyncio.sleep(0)
        for server in due:
            self.config_entry.async_create_background_task(
                self.hass, server.async_refresh(), f"{server.name} refresh"
            )
        # All together, and only those that plex.tv believes to be online are waited
        # for, but not for long: their entities shall have a state from the start.
        if new:
            refreshes = [
                create_eager_task(server.async_refresh_together()) for server in new
            ]
            await asyncio.wait(refreshes, timeout=START_TIMEOUT)

    @callback
    def _async_update_devices(self, data: PlexAccountData) -> None:
        """Make the account's device, and let there be none of other servers."""
        registry = dr.async_get(self.hass)
        entry_id = self.config_entry.entry_id
        registry.async_get_or_create(
            config_entry_id=entry_id,
            identifiers={self.device_identifier},
            entry_type=dr.DeviceEntryType.SERVICE,
            manufacturer="Plex",
            model="Plex account",
            name=self.config_entry.title,
            configuration_url="https://app.plex.tv/desktop/#!/settings/account",
        )
        wanted = {self.device_identifier} | {
            server.device_identifier for server in self.servers.values()
        }
        known = {(DOMAIN, key) for key in data.servers}
        for device in dr.async_entries_for_config_entry(registry, entry_id):
            if device.identifiers.isdisjoint(wanted) and not (
                # What is only stored says nothing of others.
                data.stored and device.identifiers.isdisjoint(known)
            ):
                registry.async_remove_device(device.id)


class PlexServerCoordinator(PlexCoordinator[PlexServerData]):
    """Keep a working connection to a server, and a transient token that it accepts."""

    def __init__(self, account: PlexAccountCoordinator, resource: Resource) -> None:
        """Initialize the coordinator."""
        identifier = resource.client_identifier
        super().__init__(
            account.hass,
            account.config_entry,
            f"Plex server {resource.name}",
            identifier,
            SERVER_UPDATE_INTERVAL if resource.presence else None,
        )
        self.account = account
        self.data = PlexServerData(
            resource=resource,
            https_worked=account.store.https_worked(identifier),
            connection=account.store.connection(identifier),
        )
        # That a server does not answer which plex.tv lists as offline is no news.
        self.last_update_success = resource.presence
        self._connector = ServerConnector(self.session, self.identity, identifier)
        self._push = PushListener(
            self.name,
            account.push_slots,
            self._connector.client,
            self._async_handle_push,
        )
        # Of its account it may tell more often than anybody wants to know.
        self._account_debouncer = Debouncer(
            self.hass,
            LOGGER,
            cooldown=ACCOUNT_COOLDOWN,
            immediate=True,
            function=self._async_fetch_account,
            background=True,
        )
        self._looked_at: float = -BETTER_CONNECTION_INTERVAL
        self._account_asked_at: float = -ACCOUNT_UPDATE_INTERVAL.total_seconds()
        # Whether it is looked for by its name as there was no internet before.
        self._is_looked_again = False
        # Whether its socket was closed since it was last heard of.
        self._in_doubt = False
        self._down_since: float | None = None
        self._down_interval = DOWN_INTERVAL
        # What somebody has noticed about a token, which is over with the next one.
        self._trouble: tuple[TransientToken, Trouble] | None = None
        self._tried_at: float = -KNOWN_DEAD_TIME
        self._told = self.data
        # Those who fetch files from it, and are not to outlive it.
        self.players: set[asyncio.Task[Any]] = set()

    @property
    def is_followed(self) -> bool:
        """Return if the server is one of an account that is loaded."""
        return not self._shutdown_requested

    @callback
    def async_update_device(self) -> None:
        """Make the device that of the server as we know it."""
        device, account = self.device, self.account.device
        assert account, "Its device is made before those of its servers"
        resource, version = self.data.resource, self.data.version
        # What is known from before a restart stays until there is something better.
        url = device.configuration_url if device else None
        if self.data.connection:
            url = f"{self.data.connection.uri}/web"
        # There mostly is nothing new, which takes the registry much longer to find out.
        platform = resource.platform
        if device and (
            resource.product,
            platform,
            resource.name,
            version,
            url,
            account.id,
        ) == (
            device.model,
            device.model_id,
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
            model=resource.product,
            model_id=platform,
            name=resource.name,
            sw_version=version,
            configuration_url=url,
            via_device_id=account.id,
        )

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Let the device and the issues be as the data is now."""
        super()._async_refresh_finished()
        if not self.last_update_success:
            self._tried_at = self.hass.loop.time()
            # Once it is back, much may be different.
            self._forget_when_account_was_asked()
        # The server may have been forgotten while it was asked.
        if not self._shutdown_requested:
            self._async_listen()
            self._async_ask_account()
            self.async_update_device()
            async_update_issues(self.hass, self.config_entry, self.data)
            if not self.last_update_success and self.data != self._told:
                # Home Assistant does so for the first failure only.
                self.async_update_listeners()
        self._told = self.data

    @override
    async def async_shutdown(self) -> None:
        """Stop to follow the server, and to complain about it."""
        await super().async_shutdown()
        self._account_debouncer.async_shutdown()
        async_delete_issues(self.hass, self.config_entry, self.data)
        await self.async_hang_up()

    async def async_hang_up(self) -> None:
        """Close what is open for long, for good or because Home Assistant stops."""
        for player in self.players:
            player.cancel()
        await self._push.async_stop()

    @callback
    def _async_listen(self) -> None:
        """Let the server tell what happens to it as long as it can be reached."""
        data = self.data
        token = data.resource.access_token
        if data.connection and not is_encrypted(data.connection):
            # That one is not for all to read, so a new one is needed now and then.
            token = data.token.token if data.token else None
        is_good = self.last_update_success and not self.hass.is_stopping
        self._push.async_follow(data.connection if is_good else None, token)

    @callback
    def _async_handle_push(self, event: PushEvent | None) -> None:
        """Look at the server, of which we have heard or hear no more."""
        self._forget_when_account_was_asked()
        if event is None:
            self._in_doubt = True
            self.config_entry.async_create_background_task(
                self.hass, self.async_refresh_together(), f"{self.name} push"
            )
        else:
            self._async_ask_account()

    @callback
    def _forget_when_account_was_asked(self) -> None:
        """Let the server be asked for its account at the next occasion."""
        self._account_asked_at = -ACCOUNT_UPDATE_INTERVAL.total_seconds()

    @callback
    def _async_ask_account(self) -> None:
        """Ask an own server for its account and remote access now and then."""
        asked = self.hass.loop.time() - self._account_asked_at
        if (
            self.data.resource.owned
            and self.last_update_success
            and asked >= ACCOUNT_UPDATE_INTERVAL.total_seconds()
        ):
            self._account_asked_at = self.hass.loop.time()
            self._account_debouncer.async_schedule_call()

    async def _async_fetch_account(self) -> None:
        """Take over what the server tells of its account; keep it if it does not."""
        data = self.data
        # Nobody comes here for a server that has not been reached.
        assert data.connection
        assert data.token
        client = self._connector.client(data.connection, data.token.token)
        try:
            account = await client.get_account()
        except PlexError as err:
            LOGGER.debug("%s does not tell of its account: %s", self.name, err)
            if isinstance(err, (PlexConnectionError, PlexServerError)):
                self._forget_when_account_was_asked()
            return
        if account != self.data.account and not self._shutdown_requested:
            self.data = replace(self.data, account=account)
            async_update_issues(self.hass, self.config_entry, self.data)
            self.async_update_listeners()

    @callback
    def async_set_resource(self, resource: Resource) -> bool:
        """Take over what plex.tv tells, return if the server should be asked now."""
        before = self.data.resource
        if resource.connections != before.connections:
            # Somebody has changed the network, so there may be a better way.
            self._looked_at = -BETTER_CONNECTION_INTERVAL
        if resource != before:
            self.data = replace(self.data, resource=resource)
            self._choose_interval()
            self._async_listen()
            self.async_update_listeners()
        return not (
            before.presence
            and resource.presence
            and self.last_update_success
            and self._connector.may_be_used(self.data)
        )

    @callback
    def _choose_interval(self) -> None:
        """Ask now and then, unless plex.tv lists the server as offline.

        That can be wrong, but mostly is not, so it is only tried with the account's
        refresh. One that has only just gone is looked for all the same.
        """
        is_awaited = self._down_since is not None and (
            self.hass.loop.time() - self._down_since < DOWN_TIME
        )
        self.update_interval = self._interval = (
            SERVER_UPDATE_INTERVAL
            if self.data.resource.presence or is_awaited
            else None
        )

    @callback
    def async_set_plex_tv_answers(self, *, answers: bool) -> None:
        """Take over whether a name that does not resolve says something."""
        if self.data.plex_tv_answers == answers:
            return
        if answers and self.data.name_blocked and not self._is_looked_again:
            # While there was no internet no name resolved, so look again before.
            self._is_looked_again = True
            self._looked_at = -BETTER_CONNECTION_INTERVAL
            self.config_entry.async_create_background_task(
                self.hass, self._async_look_again(), f"{self.name} refresh"
            )
            return
        self.data = replace(self.data, plex_tv_answers=answers)
        async_update_issues(self.hass, self.config_entry, self.data)

    async def _async_look_again(self) -> None:
        """Look for the server by its name, now that names resolve."""
        await self.async_refresh_together()
        self.async_set_plex_tv_answers(answers=self.account.last_update_success)
        self._is_looked_again = False

    async def async_allow_plain_http(self) -> None:
        """Forget that HTTPS has worked, so that plain HTTP may be used again."""
        self.data = replace(self.data, https_worked=False)
        self.account.store.async_set_https_worked(
            self.data.resource.client_identifier, worked=False
        )
        await self.async_refresh_together()

    async def async_get_access(self) -> ServerAccess:
        """Return how to reach the server, after another try if we could not.

        Raises a translated HomeAssistantError if it still can't be reached, at once if
        that was only just tried.
        """
        while not self._shutdown_requested:
            data = self.data
            tried = self.hass.loop.time() - self._tried_at
            if data.outcome and not data.reachable and tried < KNOWN_DEAD_TIME:
                raise HomeAssistantError(
                    **translation(
                        "server_just_tried",
                        name=data.resource.name,
                        seconds=str(round(tried)),
                    )
                )
            if (
                self.last_update_success
                and data.connection
                and data.token
                and _is_young(data.token)
                and self._known_trouble is None
            ):
                return ServerAccess(connection=data.connection, token=data.token)
            await self.async_refresh_or_raise()
        raise HomeAssistantError(
            **translation("server_unreachable", name=self.data.resource.name)
        )

    async def async_replace_access(
        self, token: TransientToken, trouble: Trouble
    ) -> ServerAccess:
        """Return access with another token than one with which there is trouble.

        All who ask for it share it. Raises as async_get_access does.
        """
        self._trouble = token, trouble
        return await self.async_get_access()

    async def async_renew_token(self) -> ServerAccess:
        """Return access with a new token, though there may be nothing wrong.

        Raises as async_get_access does.
        """
        if self.data.token is None:
            return await self.async_get_access()
        return await self.async_replace_access(self.data.token, Trouble.RENEWAL_WANTED)

    @property
    def _known_trouble(self) -> Trouble | None:
        """Return what somebody has noticed about the present token."""
        if self._trouble and self._trouble[0] == self.data.token:
            return self._trouble[1]
        return None

    async def async_get_checked_access(self) -> ServerAccess:
        """Return access with a token that the server has just accepted.

        Raises as async_get_access does, or the PlexError of the server's answer.
        """

        async def check(access: ServerAccess) -> ServerAccess:
            await self._client(access).get_server()
            return access

        return await self._async_with_access(check)

    async def async_get_source_connection_information(
        self, source: str, *, refresh: bool
    ) -> SourceConnectionInformation:
        """Ask the server for a source, a second time if we have to connect anew.

        Raises as async_get_access does, or the PlexError of the server's answer.
        """

        async def ask(access: ServerAccess) -> SourceConnectionInformation:
            return await self._client(access).get_source_connection_information(
                source, refresh=refresh
            )

        return await self._async_with_access(ask)

    async def async_ask_library[T](
        self, ask: Callable[[PlexLibrary], Coroutine[Any, Any, T]]
    ) -> T:
        """Ask the server for something of its library.

        Raises a translated HomeAssistantError, whatever is the matter.
        """
        name = self.data.resource.name
        try:
            return await self._async_with_access(
                lambda access: ask(PlexLibrary(self._client(access)))
            )
        except PlexNotFoundError as err:
            raise HomeAssistantError(
                **translation("media_not_found", name=name)
            ) from err
        except PlexError as err:
            raise HomeAssistantError(**server_error_translation(err, name)) from err

    @asynccontextmanager
    async def async_stream(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[ClientResponse]:
        """Give the answer for a file, a second time if we have to connect anew.

        Raises as async_get_access does, or the PlexError of the server's answer.
        """
        async with AsyncExitStack() as stack:

            async def ask(access: ServerAccess) -> ClientResponse:
                return await stack.enter_async_context(
                    self._client(access).stream(
                        method, path, headers=headers, params=params
                    )
                )

            yield await self._async_with_access(ask)

    async def async_tell(
        self, path: str, *, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> None:
        """Tell the server something, if it is there: it is not looked for.

        Raises the PlexError of the server's answer.
        """
        data = self.data
        if data.reachable and data.connection and data.token:
            client = self._connector.client(data.connection, data.token.token)
            async with client.stream("GET", path, headers=headers, params=params):
                pass

    def _client(self, access: ServerAccess) -> PlexServerClient:
        """Return a client of the server."""
        return self._connector.client(access.connection, access.token.token)

    async def _async_with_access[T](
        self, ask: Callable[[ServerAccess], Coroutine[Any, Any, T]]
    ) -> T:
        """Ask something of the server, and look for it while it does not answer."""
        access = await self.async_get_access()
        asked = create_eager_task(ask(access))
        looked: asyncio.Task[ServerAccess] | None = None
        try:
            done, _ = await asyncio.wait({asked}, timeout=PATIENCE)
            if not done:
                looked = create_eager_task(
                    self.async_replace_access(access.token, Trouble.SILENT)
                )
                await asyncio.wait({asked, looked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() or (
                # It is there, but slow.
                looked and (await looked).connection == access.connection
            ):
                return await asked
            trouble = Trouble.LOST
        except PlexAuthenticationError:
            trouble = Trouble.REJECTED
        except PlexConnectionError:
            trouble = Trouble.LOST
        finally:
            for task in filter(None, (asked, looked)):
                if not task.cancel() and not task.cancelled():
                    # Not to be missed by anybody once the server is given up.
                    task.exception()
        return await ask(await self.async_replace_access(access.token, trouble))

    @override
    async def _async_ask(self) -> PlexServerData:
        """Check the connection and the token, and replace what no longer works."""
        trouble = self._known_trouble
        was_good = self.last_update_success
        patience = PATIENCE if self._in_doubt else CHECK_TIMEOUT
        self._in_doubt = False
        try:
            if trouble is None and was_good and self.data.token:
                trouble = await self._async_check(self.data.token, patience)
                if trouble is None:
                    return self.data
            await self._async_connect(trouble)
        except PlexError as err:
            pause = min(err.retry_after or 0, MAX_POLL_PAUSE) or None
            if isinstance(
                err, (PlexAuthenticationError, PlexConnectionError, PlexServerError)
            ):
                # It may have only just started, and know nobody yet.
                pause = pause or self._pause_while_down()
            if isinstance(err, PlexAuthenticationError):
                self.account.store.async_drop_token(self.data.resource)
                if was_good:
                    # The token that plex.tv gave for this server may have changed.
                    await self._async_wait_for_plex_tv()
                if self.account.is_signed_out:
                    signed_out = translation("auth_failed", name=PLEX_TV)
                    raise UpdateFailed(**signed_out) from err
            raise UpdateFailed(
                **server_error_translation(err, self.data.resource.name),
                retry_after=pause,
            ) from err
        self._down_since = None
        self._choose_interval()
        return self.data

    async def _async_wait_for_plex_tv(self) -> None:
        """Ask plex.tv about the server, and wait for it a little."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PLEX_TV_PATIENCE):
                await self.account.async_refresh_for_server()

    @callback
    def _async_ask_plex_tv(self) -> None:
        """Ask plex.tv about the server, without waiting for it."""
        self.config_entry.async_create_background_task(
            self.hass,
            self.account.async_refresh_for_server(),
            f"{self.account.name} refresh",
        )

    async def _async_check(
        self, token: TransientToken, patience: float
    ) -> Trouble | None:
        """Return what is wrong with the access that we have."""
        if not self._connector.may_be_used(self.data):
            return Trouble.LOST
        if not _is_young(token):
            return Trouble.RENEWAL_WANTED
        try:
            async with asyncio.timeout(patience):
                checked = await self._connector.check(self.data)
        except PlexAuthenticationError:
            # As after a restart.
            return Trouble.REJECTED
        except PlexTimeoutError, TimeoutError:
            return Trouble.SILENT
        except PlexError:
            return Trouble.LOST
        self._async_learn(checked)
        now = self.hass.loop.time()
        if now - self._looked_at >= BETTER_CONNECTION_INTERVAL and (
            self._connector.has_better(self.data)
        ):
            self._looked_at = now
            self._async_learn(await self._connector.improve(self.data))
        return None

    async def _async_connect(self, trouble: Trouble | None) -> None:
        """Get a new token, at a new connection unless the present one will do."""
        connection = self.data.connection
        if (
            trouble in {Trouble.REJECTED, Trouble.RENEWAL_WANTED}
            and self.data.reachable
            and connection
            # The token that plex.tv lists only goes unencrypted if there is no other
            # way, which has to be looked for.
            and is_encrypted(connection)
        ):
            try:
                async with asyncio.timeout(PATIENCE):
                    renewed = await self._connector.renew_token(self.data)
            except (PlexConnectionError, PlexServerError, TimeoutError) as err:
                LOGGER.debug("%s has to be looked for: %r", self.name, err)
            else:
                self._async_learn(renewed)
                return
        # Whoever waits to know shall not wait for addresses that are silent; but where
        # the server was last it may only be slow.
        await self._async_find(CHECK_TIMEOUT if trouble is Trouble.SILENT else PATIENCE)
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT):
                self._async_learn(
                    await self._connector.renew_token(self.data, retries=MAX_RETRIES)
                )
        except TimeoutError as err:
            raise PlexTimeoutError(f"No token in {TOKEN_TIMEOUT} s") from err

    async def _async_find(self, patience: float) -> None:
        """Find a connection that works, with plex.tv's help if there is none.

        After some seconds of patience it is told that there is none at the moment.
        """
        self._looked_at = self.hass.loop.time()
        asked = self.data
        told = self.hass.loop.call_later(patience, self._async_tell_lost)
        try:
            found = await self._connector.find(asked)
        finally:
            told.cancel()
        if asked.reachable and not (found.reachable and found.certificate_is_good):
            # The server may have another address, or its certificate another name. What
            # plex.tv tells later leads to a refresh of its own.
            await self._async_wait_for_plex_tv()
            if self.data.resource.connections != asked.resource.connections:
                found = await self._connector.find(self.data)
        self._async_learn(found)
        if found.name_blocked and not asked.name_blocked:
            # If not even plex.tv answers, the name is not hidden for its address.
            self.data = replace(self.data, plex_tv_answers=False)
            self._async_ask_plex_tv()
        if not self.data.reachable:
            raise UpdateFailed(
                **translation("server_unreachable", name=self.data.resource.name),
                retry_after=self._pause_while_down(),
            )

    @callback
    def _async_tell_lost(self) -> None:
        """Say that the server can't be reached, though it is still looked for."""
        self.data = replace(self.data, reachable=False)
        self.async_update_listeners()

    @callback
    def _pause_while_down(self) -> float | None:
        """Return when to look again, None once the usual interval is enough."""
        now = self.hass.loop.time()
        if self._down_since is None and (
            # One that was never there is not missed.
            self.data.resource.presence or self.refreshed_at
        ):
            self._down_since, self._down_interval = now, DOWN_INTERVAL
        self._choose_interval()
        if self._down_since is None or now - self._down_since >= DOWN_TIME:
            return None
        pause = self._down_interval
        self._down_interval = min(2 * pause, MAX_DOWN_INTERVAL)
        return pause * random.uniform(0.75, 1.25)

    @callback
    def _async_learn(self, data: PlexServerData) -> None:
        """Take over what was found out, beside what plex.tv has told meanwhile."""
        secured = data.https_worked and not self.data.https_worked
        if (
            data.server
            and self.data.server
            and (data.server.claimed != self.data.server.claimed)
        ):
            self._forget_when_account_was_asked()
        self.data = replace(
            data,
            resource=self.data.resource,
            plex_tv_answers=self.data.plex_tv_answers,
            account=self.data.account,
        )
        identifier = self.data.resource.client_identifier
        if secured:
            self.account.store.async_set_https_worked(identifier, worked=True)
        if data.reachable and data.connection:
            self.account.store.async_set_connection(identifier, data.connection)


def _is_young(token: TransientToken) -> bool:
    """Return if a token has some of its hours left."""
    # A negative age is that of a token from before the clock was set back.
    return (
        timedelta()
        <= dt_util.utcnow() - token.issued_at
        < (TRANSIENT_TOKEN_RENEWAL_AGE)
    )
