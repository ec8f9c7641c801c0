"""Keep a working connection to a server, and a transient token that it accepts.

A refresh checks the token where the server was last. If that is in vain, it gets a new
one there where that may do, and else looks for the server at all of its connections:
plex.tv is asked where it is if none answers though one did before. Who notices that an
access does not work waits for such a refresh, too. A server that is down is looked for
after some seconds, then less and less often.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from functools import partial
import random
from typing import Any, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util

from .api import (
    Connection,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexPermissionError,
    PlexServerClient,
    PlexServerError,
    PlexTimeoutError,
    ProbeOutcome,
    PushEvent,
    Resource,
    TransientToken,
    is_encrypted,
)
from .base_coordinator import MAX_POLL_PAUSE, PlexCoordinator
from .connection import PlexServerData, ServerConnector
from .const import LOGGER, PLEX_TV
from .errors import server_error_translation, translation
from .push import PushListener
from .store import PlexStore

SERVER_UPDATE_INTERVAL = timedelta(minutes=5)
# Seconds between two looks for a better kind of connection, and between two questions
# for the server's account: by the clock and if the server asks for it.
BETTER_CONNECTION_INTERVAL: float = 1800
ACCOUNT_INTERVAL: float = 1800
ACCOUNT_COOLDOWN: float = 1
# A transient token dies after 48 hours; whoever gets one shall have some of them.
TRANSIENT_TOKEN_RENEWAL_AGE = timedelta(hours=44)
# Attempts beyond the first to get a token where a server has just answered, and the
# seconds for all of them.
TOKEN_RETRIES = 2
TOKEN_TIMEOUT: float = 4.5
# Seconds that a server is given to say that it is there, and to answer somebody before
# it is looked for.
CHECK_TIMEOUT: float = 3
PATIENCE: float = 1.25
# A bit more than the time in which all of its connections are tried.
LONG_PATIENCE: float = 4.25
# Seconds after its failure in which nobody looks for it again.
KNOWN_DEAD_TIME: float = 10
# Seconds between two looks for a server that is down: at first and at the most; and how
# long such looks go on before the usual interval holds again.
DOWN_INTERVAL: float = 5
MAX_DOWN_INTERVAL: float = 60
DOWN_TIME: float = 300
# How many may fetch from a server at a time: Home Assistant has a hundred connections
# to it, which all else needs, too.
MAX_PLAYERS = 64
# How a server tells that it does not accept the token of plex.tv.
REJECTIONS = (PlexAuthenticationError, PlexPermissionError)
# Seconds that plex.tv is given to know another address of a server, or another token.
PLEX_TV_PATIENCE: float = 0.5


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


class PlexServerCoordinator(PlexCoordinator[PlexServerData]):
    """Keep a working connection to a server, and a transient token that it accepts."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        resource: Resource,
        *,
        store: PlexStore,
        push_slots: asyncio.Semaphore,
        ask_plex_tv: Callable[[], Awaitable[None]],
        ask_again: Callable[[str], Awaitable[None]],
    ) -> None:
        """Initialize the coordinator; the last two ask plex.tv about its servers."""
        identifier = resource.client_identifier
        super().__init__(
            hass,
            entry,
            f"Plex server {resource.name}",
            identifier,
            SERVER_UPDATE_INTERVAL,
        )
        self._store = store
        self._ask_plex_tv = ask_plex_tv
        self._ask_again = ask_again
        # What plex.tv has made of the last request of the account.
        self._plex_tv_answers = self._is_signed_out = False
        self.data = PlexServerData(
            resource=resource,
            https_worked=store.https_worked(identifier),
            connection=store.connection(identifier),
        )
        # That a server does not answer which plex.tv lists as offline is no news.
        self.last_update_success = resource.presence
        self._connector = ServerConnector(self.session, self.identity, identifier)
        self._push = PushListener(
            self.name,
            push_slots,
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
        self._account_asked_at: float = -ACCOUNT_INTERVAL
        # Whether it is looked for by its name as there was no internet before.
        self._is_looked_again = False
        # Whether its socket was closed since it was last heard of.
        self._in_doubt = False
        self._down_since: float | None = None
        self._down_interval = DOWN_INTERVAL
        # What somebody has noticed about a token, which is over with the next one.
        self._trouble: tuple[TransientToken, Trouble] | None = None
        self._tried_at: float = -KNOWN_DEAD_TIME
        self._is_asking = False
        self._data_at_last_refresh = self.data
        # Those who fetch files from it, and are not to outlive it.
        self.players: set[asyncio.Task[Any]] = set()
        self.player_turns = asyncio.Semaphore(MAX_PLAYERS)

    @property
    def is_followed(self) -> bool:
        """Return if the server is one of an account that is loaded."""
        return not self._shutdown_requested

    @callback
    @override
    def _async_refresh_finished(self) -> None:
        """Listen to the server, and tell of each failure that has shown something."""
        super()._async_refresh_finished()
        if not self.last_update_success:
            self._tried_at = self.hass.loop.time()
            # Once it is back, much may be different.
            self._forget_when_account_was_asked()
        # The server may have been forgotten while it was asked.
        if not self._shutdown_requested:
            self._async_listen()
            self._async_ask_account()
            if not self.last_update_success and self.data != self._data_at_last_refresh:
                # Home Assistant does so for the first failure only.
                self.async_update_listeners()
        self._data_at_last_refresh = self.data

    @override
    async def async_shutdown(self) -> None:
        """Stop to follow the server."""
        await super().async_shutdown()
        self._account_debouncer.async_shutdown()
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
        # What is only stored may be another's by now.
        is_good = (
            self.last_update_success and data.reachable and not self.hass.is_stopping
        )
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
        self._account_asked_at = -ACCOUNT_INTERVAL

    @callback
    def _async_ask_account(self) -> None:
        """Ask an own server for its account and remote access now and then."""
        asked = self.hass.loop.time() - self._account_asked_at
        if (
            self.data.resource.owned
            and self.last_update_success
            and asked >= ACCOUNT_INTERVAL
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
            if not self.data.reachable:
                # Other ways may be allowed now, so what was found is no verdict.
                self._forget_outcome()
            self._choose_interval()
            self._async_listen()
            self.async_update_listeners()
        is_good = (
            before.presence
            and resource.presence
            and self.last_update_success
            and self._connector.may_be_used(self.data)
        )
        # Who is asking takes over by himself what is new.
        return not is_good and not self._is_asking

    @callback
    def _choose_interval(self) -> None:
        """Ask now and then, unless plex.tv lists the server as offline.

        That can be wrong, but mostly is not, so it is only tried with the account's
        refresh. One that has only just gone is looked for all the same.
        """
        is_awaited = self._down_since is not None and (
            self.hass.loop.time() - self._down_since < DOWN_TIME
        )
        is_asked = self.data.resource.presence or is_awaited
        interval = SERVER_UPDATE_INTERVAL if is_asked else None
        if interval != self._interval:
            # Else the first one is still a random part of it.
            self.update_interval = self._interval = interval

    @callback
    def async_set_plex_tv(self, *, answers: bool, signed_out: bool) -> None:
        """Note whether plex.tv answers, and whether the account is signed out."""
        self._plex_tv_answers, self._is_signed_out = answers, signed_out
        if self.data.plex_tv_answers == answers or self._is_looked_again:
            return
        if answers and self.data.name_blocked:
            # While there was no internet no name resolved, so look again before.
            self._is_looked_again = True
            self._looked_at = -BETTER_CONNECTION_INTERVAL
            self.config_entry.async_create_background_task(
                self.hass, self._async_look_again(), f"{self.name} refresh"
            )
            return
        self._async_believe_plex_tv()

    async def _async_look_again(self) -> None:
        """Look for the server by its name, now that names resolve."""
        try:
            await self.async_refresh_together()
        finally:
            self._is_looked_again = False
        self._async_believe_plex_tv()

    @callback
    def _async_believe_plex_tv(self) -> None:
        """Take over whether plex.tv answers."""
        self.data = replace(self.data, plex_tv_answers=self._plex_tv_answers)
        self.async_update_listeners()

    @callback
    def async_use_https(self) -> None:
        """Take over that somebody has reached the server by HTTPS."""
        self.data = replace(self.data, https_worked=True)

    async def async_allow_plain_http(self) -> bool:
        """Forget that HTTPS has worked, so that plain HTTP may be used again.

        Nothing is allowed, and False returned, if the server can be reached after all.
        """
        await self._async_wait_for(self._ask_plex_tv)
        # A look that is under way knows nothing of it.
        await self.async_refresh_together()
        if self.data.reachable:
            return False
        self.data = replace(self.data, https_worked=False)
        self._store.async_set_https_worked(
            self.data.resource.client_identifier, worked=False
        )
        await self.async_refresh_together()
        return True

    async def async_get_access(self) -> ServerAccess:
        """Return how to reach the server, after another try if we could not.

        Raises a translated HomeAssistantError if it still can't be reached, at once if
        that was only just tried.
        """
        while not self._shutdown_requested:
            data = self.data
            tried = self.hass.loop.time() - self._tried_at
            if data.only_unencrypted and tried < KNOWN_DEAD_TIME:
                raise HomeAssistantError(
                    **translation("server_unencrypted", name=data.resource.name)
                )
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

    def client(self, access: ServerAccess) -> PlexServerClient:
        """Return a client of the server."""
        return self._connector.client(access.connection, access.token.token)

    @property
    def last_access(self) -> ServerAccess | None:
        """Return how the server was last reached, if that was not in vain."""
        data = self.data
        if data.reachable and data.connection and data.token:
            return ServerAccess(connection=data.connection, token=data.token)
        return None

    async def async_replace_access(
        self, token: TransientToken, trouble: Trouble
    ) -> ServerAccess:
        """Return access with another token than one with which there is trouble.

        All who ask for it share it. Raises as async_get_access does.
        """
        # Of an older one there is nothing to say any more.
        if token == self.data.token:
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

    @override
    async def _async_ask(self) -> PlexServerData:
        """Check the connection and the token, and replace what no longer works."""
        trouble = self._known_trouble
        was_good = self.last_update_success
        patience = PATIENCE if self._in_doubt else CHECK_TIMEOUT
        self._in_doubt = False
        self._is_asking = True
        try:
            if trouble is None and was_good and self.data.token:
                trouble = await self._async_check(self.data.token, patience)
                if trouble is None:
                    return self.data
            await self._async_connect(trouble)
        except PlexError as err:
            # What was noticed has led to nothing, so look at the server itself next.
            self._trouble = None
            pause = min(err.retry_after or 0, MAX_POLL_PAUSE) or None
            if isinstance(err, (*REJECTIONS, PlexConnectionError, PlexServerError)):
                # It may have only just started, and know nobody yet.
                pause = pause or self._pause_while_down()
            if self._is_signed_out and isinstance(err, REJECTIONS):
                signed_out = translation("auth_failed", name=PLEX_TV)
                raise UpdateFailed(**signed_out) from err
            raise UpdateFailed(
                **server_error_translation(err, self.data.resource.name),
                retry_after=pause,
            ) from err
        finally:
            self._is_asking = False
        self._down_since = None
        self._choose_interval()
        return self.data

    async def _async_wait_for(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Ask plex.tv about the server, and wait for it a little."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PLEX_TV_PATIENCE):
                await ask()

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
                    await self._async_renew_token()
            except (PlexConnectionError, PlexServerError, TimeoutError) as err:
                LOGGER.debug("%s has to be looked for: %r", self.name, err)
            else:
                return
        # Whoever waits to know shall not wait for addresses that are silent; but a
        # server that has just answered, or may only be slow, is not off meanwhile.
        is_lost = trouble in {None, Trouble.LOST}
        await self._async_find(PATIENCE if is_lost else LONG_PATIENCE)
        may_be_slow = (
            trouble is Trouble.SILENT
            and self.data.token
            and self.data.connection == connection
        )
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT):
                if may_be_slow and await self._async_is_accepted():
                    return
                await self._async_renew_token(retries=TOKEN_RETRIES)
        except TimeoutError as err:
            raise PlexTimeoutError(f"No token in {TOKEN_TIMEOUT} s") from err

    async def _async_renew_token(self, *, retries: int = 0) -> None:
        """Get a new token, by another of plex.tv's if the server rejects the first."""
        used = self.data.resource
        try:
            renewed = await self._connector.renew_token(self.data, retries=retries)
        except REJECTIONS as err:
            if isinstance(err, PlexAuthenticationError):
                self._store.async_drop_token(used)
            # The token that plex.tv gave for this server may have changed.
            is_news = self.last_update_success
            await self._async_wait_for(
                self._ask_plex_tv if is_news else partial(self._ask_again, "token")
            )
            if self.data.resource.access_token == used.access_token:
                raise
            renewed = await self._connector.renew_token(self.data, retries=retries)
        self._async_learn(renewed)

    async def _async_is_accepted(self) -> bool:
        """Return if the token is still good, as with a server that is only slow."""
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                self._async_learn(await self._connector.check(self.data))
        except PlexError, TimeoutError:
            # The server has started anew, or says nothing about it.
            return False
        self._trouble = None
        return True

    async def _async_find(self, patience: float) -> None:
        """Find a connection that works, with plex.tv's help if there is none.

        After some seconds of patience it is told that there is none at the moment.
        """
        self._looked_at = self.hass.loop.time()
        asked = self.data
        lost_timer = self.hass.loop.call_later(patience, self._async_tell_lost)
        try:
            found = await self._connector.find(asked)
        finally:
            lost_timer.cancel()
        if not found.reachable or (
            asked.certificate_is_good and not found.certificate_is_good
        ):
            # The server may have another address, or its certificate another name. What
            # plex.tv tells later leads to a refresh of its own.
            if asked.reachable:
                await self._async_wait_for(self._ask_plex_tv)
            elif self._down_since is not None and self.update_interval:
                # Or get another one while it is looked for.
                await self._async_wait_for(partial(self._ask_again, "address"))
            if self.data.resource != asked.resource:
                found = await self._connector.find(self.data)
        self._async_learn(found)
        if found.name_blocked and not asked.name_blocked:
            # If not even plex.tv answers, the name is not hidden for its address.
            self.data = replace(self.data, plex_tv_answers=False)
            self.config_entry.async_create_background_task(
                self.hass,
                self._async_wait_for(self._ask_plex_tv),
                f"{self.name} plex.tv",
            )
        if not self.data.reachable:
            key = (
                "server_unencrypted"
                if self.data.only_unencrypted
                else "server_unreachable"
            )
            raise UpdateFailed(
                **translation(key, name=self.data.resource.name),
                retry_after=self._pause_while_down(),
            )

    @callback
    def _async_tell_lost(self) -> None:
        """Say that the server can't be reached, though it is still looked for."""
        self.data = replace(self.data, reachable=False)
        self._forget_outcome()
        self.async_update_listeners()

    @callback
    def _forget_outcome(self) -> None:
        """Forget what the last look has shown, which is not true any more."""
        nothing = ProbeOutcome(best=None, tried={})
        self.data = replace(self.data, outcome=self.data.outcome and nothing)

    @callback
    def _pause_while_down(self) -> float | None:
        """Return when to look again, None once the usual interval is enough."""
        now = self.hass.loop.time()
        if self._down_since is None and (
            # One that was never there is not missed.
            self.data.resource.presence or self.last_update_success_time
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
        # What was known before it was looked may have been forgotten meanwhile.
        secured = (
            data.outcome is not None
            and data.outcome is not self.data.outcome
            and data.outcome.encrypted
        )
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
            https_worked=secured or self.data.https_worked,
        )
        identifier = self.data.resource.client_identifier
        if secured:
            self._store.async_set_https_worked(identifier, worked=True)
        if data.reachable and data.connection:
            self._store.async_set_connection(identifier, data.connection)


def _is_young(token: TransientToken) -> bool:
    """Return if a token has some of its hours left."""
    # A negative age is that of a token from before the clock was set back.
    age = dt_util.utcnow() - token.issued_at
    return timedelta() <= age < TRANSIENT_TOKEN_RENEWAL_AGE
