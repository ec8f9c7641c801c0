"""Keep an account's details fresh, and a coordinator for each of its servers."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
import random
from typing import override

from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry
from homeassistant.const import CONF_TOKEN, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed, HomeAssistantError
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util
from homeassistant.util.async_ import create_eager_task

from .api import PlexAuthenticationError, PlexError, PlexRateLimitError, Resource, User
from .base_coordinator import MAX_POLL_PAUSE, PlexCoordinator
from .const import CONF_ADDED_SERVERS, CONF_LEFT_OUT_SERVERS, LOGGER, PLEX_TV
from .devices import (
    async_remove_other_devices,
    async_update_account_device,
    async_update_server_device,
)
from .errors import error_translation, translation
from .identity import account_client
from .issues import async_drop_issues, async_update_issues
from .push import MAX_HANDSHAKES
from .server_coordinator import PlexServerCoordinator
from .store import PlexStore

ACCOUNT_UPDATE_INTERVAL = timedelta(minutes=30)
PING_INTERVAL = timedelta(days=1)
# Seconds that plex.tv may keep the set-up away at the most.
MAX_SETUP_PAUSE: float = 900
# Seconds that nobody asks after having asked too often, if Plex does not say how many.
RATE_LIMIT_PAUSE: float = 60
# Seconds until plex.tv is asked again that has not answered since the start; doubled
# each time, up to the usual interval.
RETRY_INTERVAL: float = 60
# Seconds between two questions about the same because servers are still in trouble.
TROUBLE_COOLDOWN: float = 60
# Seconds that the servers may hold up Home Assistant's start.
START_TIMEOUT: float = 1.5

type PlexConfigEntry = ConfigEntry[PlexAccountCoordinator]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlexAccountData:
    """What plex.tv tells of an account; the servers are in plex.tv's order.

    `unusable` is how many servers of its list are not among them, as they could not be
    told from others. What is only `stored` was told before the last start.
    """

    user: User
    servers: dict[str, Resource]
    unusable: int = 0
    stored: bool = False


class PlexAccountCoordinator(PlexCoordinator[PlexAccountData]):
    """Keep the details of an account, and a coordinator for each of its servers."""

    config_entry: PlexConfigEntry

    def __init__(self, hass: HomeAssistant, entry: PlexConfigEntry) -> None:
        """Initialize the coordinator."""
        super().__init__(
            hass,
            entry,
            f"Plex account {entry.title}",
            str(entry.unique_id),
            ACCOUNT_UPDATE_INTERVAL,
        )
        self.client = account_client(hass, entry)
        self.store = PlexStore(hass, entry.entry_id)
        self.servers: dict[str, PlexServerCoordinator] = {}
        self._push_slots = asyncio.Semaphore(MAX_HANDSHAKES)
        self._pinged_at: datetime | None = None
        # By the clock of the event loop: until when nobody asks by himself, and until
        # when not even an action does.
        self._paused_until = self._closed_until = 0.0
        self._retry_interval = RETRY_INTERVAL
        self._asked_again: dict[str, float] = {}

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
        self.config_entry.async_on_unload(self._async_drop_issues)
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
        # First, as a refresh that ends now would begin to follow servers.
        await self.async_shutdown()
        await asyncio.gather(*(each.async_shutdown() for each in self.servers.values()))
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

    async def async_refresh_again(self, what: str) -> None:
        """Ask plex.tv for something of servers that have been in trouble for a while.

        It is asked now and then for all of them, and not for who is signed out.
        """
        if self._refresh is None or self._refresh.done():
            now = self.hass.loop.time()
            asked = self._asked_again.get(what, -TROUBLE_COOLDOWN)
            if self.is_signed_out or now - asked < TROUBLE_COOLDOWN:
                return
            self._asked_again[what] = now
        await self.async_refresh_for_server()

    @override
    async def async_refresh_or_raise(self) -> None:
        """Refresh for an action, but not at once again if that was too often."""
        if self.hass.loop.time() < self._closed_until:
            raise HomeAssistantError(**translation("rate_limited", name=PLEX_TV))
        await super().async_refresh_or_raise()

    @override
    async def _async_ask(self) -> PlexAccountData:
        """Fetch the account, and adjust the servers and devices to it."""
        # Whatever it is asked for, it tells the addresses of servers.
        self._asked_again["address"] = self.hass.loop.time()
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
        # The account may be unloaded, or even removed, while it is asked for.
        if not self._shutdown_requested:
            await self._async_keep_token(data.user)
            self.store.async_set_account(data.user, data.servers.values())
        # Or while its new token is stored.
        if not self._shutdown_requested:
            await self._async_update_servers(data)
        return data

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Tell what was found out about plex.tv and the sign-in."""
        super()._async_refresh_finished()
        if self.is_signed_out:
            # It may have been somebody else who answered, as at a public network.
            self._schedule_refresh()
        elif self.last_update_success and not self._shutdown_requested:
            self._async_take_back_reauth()
        for server in self.servers.values():
            server.async_set_plex_tv(
                answers=self.last_update_success, signed_out=self.is_signed_out
            )

    @callback
    def _async_take_back_reauth(self) -> None:
        """Ask nobody for a sign-in that is not needed, unless he has begun with it."""
        flows = self.hass.config_entries.flow
        for flow in self.config_entry.async_get_active_flows(
            self.hass, {SOURCE_REAUTH}
        ):
            if flow.get("step_id") == "reauth_confirm":
                flows.async_abort(flow["flow_id"])

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
        unusable = (
            len(listed.servers) - len(servers) + listed.duplicates + listed.unreadable
        )
        if listed.unreadable and self.data:
            # What can't be read may be one of those that are known.
            servers = self.data.servers | servers
        return PlexAccountData(user=user, servers=servers, unusable=unusable)

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
        old, new = self.client.token, user.auth_token
        if old and new and new != old:
            await self.store.async_set_successor(old, new)
            self._async_use_token(new)
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
        for key in self.servers.keys() - followed.keys():
            gone = self.servers.pop(key)
            # Nobody waits for the end of its socket.
            self.hass.async_create_background_task(
                self._async_let_go(gone), f"{gone.name} shutdown"
            )
        new: list[PlexServerCoordinator] = []
        due: list[PlexServerCoordinator] = []
        for key, resource in followed.items():
            if server := self.servers.get(key):
                if server.async_set_resource(resource):
                    due.append(server)
            else:
                server = PlexServerCoordinator(
                    self.hass,
                    self.config_entry,
                    resource,
                    store=self.store,
                    push_slots=self._push_slots,
                    ask_plex_tv=self.async_refresh_for_server,
                    ask_again=self.async_refresh_again,
                )
                self.servers[key] = server
                server.async_add_listener(partial(self._async_server_updated, server))
                (new if resource.presence else due).append(server)
        async_update_account_device(self.hass, self.config_entry)
        async_remove_other_devices(
            self.hass,
            self.config_entry,
            self.servers,
            # What is only stored says nothing of others.
            data.servers if data.stored else None,
        )
        for server in list(self.servers.values()):
            self._async_server_updated(server)
            # There may be hundreds, and others want to go on meanwhile.
            await asyncio.sleep(0)
        for server in due:
            self.config_entry.async_create_background_task(
                self.hass, server.async_refresh_together(), f"{server.name} refresh"
            )
        # All together, and only those that plex.tv believes to be online are waited
        # for, but not for long: their entities shall have a state from the start.
        if new:
            refreshes = [
                create_eager_task(server.async_refresh_together()) for server in new
            ]
            await asyncio.wait(refreshes, timeout=START_TIMEOUT)

    @callback
    def _async_server_updated(self, server: PlexServerCoordinator) -> None:
        """Let the device and the issues of a server be as its data is now."""
        # It may have been let go of while it was asked.
        if server.is_followed:
            async_update_server_device(self.hass, self.config_entry, server.data)
            async_update_issues(self.hass, self.config_entry, server.data)

    @callback
    def _async_drop_issues(self) -> None:
        """Complain about no server any more."""
        for server in self.servers.values():
            async_drop_issues(self.hass, self.config_entry, server.data)

    async def _async_let_go(self, server: PlexServerCoordinator) -> None:
        """Stop to follow a server, and to complain about it."""
        async_drop_issues(self.hass, self.config_entry, server.data)
        await server.async_shutdown()
