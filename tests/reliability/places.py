"""The places where a fault can strike: how to get there, and what is seen then."""

from abc import ABC, abstractmethod
import asyncio
from collections.abc import Awaitable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, override

from aiohttp import ClientError, ClientTimeout
import pytest

from custom_components.plex_account import coordinator, image, push
from custom_components.plex_account.api import http
from custom_components.plex_account.const import CONF_SERVER_URL, DOMAIN
from homeassistant.components.http.auth import async_sign_path
from homeassistant.components.image import async_get_image
from homeassistant.components.media_source import async_resolve_media
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.const import (
    CONF_CODE,
    CONF_PASSWORD,
    CONF_USERNAME,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
)
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from tests import state_of, until
from tests.const import PASSWORD, VERIFICATION_CODE
from tests.plex_emulator import Host
from tests.plex_emulator.library import FILE, Entry, Section

from .effects import Effect
from .world import Player, World, shown

AVATAR = "image.ada_avatar"
CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
REMOTE_ACCESS = "sensor.attic_remote_access"

FILM_KEY = 100
SEGMENT = "00000.ts"
JPEG = b"\xff\xd8"

type Errors = Mapping[Effect, str]

FLOW_ERRORS: Errors = dict.fromkeys(Effect, "cannot_connect") | {
    Effect.TIMEOUT: "timeout_connect",
    Effect.AUTHENTICATION: "invalid_auth",
    Effect.RATE_LIMIT: "rate_limited",
}
ACCOUNT_ERRORS: Errors = dict.fromkeys(Effect, "unexpected_response") | {
    Effect.REFUSED: "cannot_connect",
    Effect.BROKEN: "cannot_connect",
    Effect.SERVER: "cannot_connect",
    Effect.TIMEOUT: "timeout_connect",
    Effect.AUTHENTICATION: "auth_failed",
    Effect.PERMISSION: "not_permitted",
    Effect.RATE_LIMIT: "rate_limited",
}
SERVER_ERRORS: Errors = {
    **ACCOUNT_ERRORS,
    Effect.REFUSED: "server_unreachable",
    # Nothing is wrong with the sign-in to plex.tv.
    Effect.AUTHENTICATION: "not_accepted",
}


class Place(ABC):
    """A place where a fault can strike, and the user who is there."""

    name: ClassVar[str]
    path: ClassVar[str]
    harmless: ClassVar[frozenset[Effect]] = frozenset(
        (Effect.NONE, Effect.OTHER_TYPE, Effect.OTHER_FIELDS)
    )
    errors: ClassVar[Errors]

    def __init__(
        self,
        world: World,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Be there."""
        self.world = world
        self.hass = world.hass
        self.caplog = caplog
        self.monkeypatch = monkeypatch

    @property
    def host(self) -> Host:
        """Return who is asked."""
        return self.world.plex.tv

    def expected(self, effect: Effect) -> str | None:
        """Return the key of the error to be seen, None if there is none."""
        return None if effect in self.harmless else self.errors.get(effect)

    async def prepare(self) -> None:
        """Do all that comes before the request that is struck."""
        await self.world.set_up()

    @abstractmethod
    async def act(self) -> str | None:
        """Do what sends the request, and return the key of the error that is seen."""

    async def again(self) -> str | None:
        """Refresh or try once more, and return the same."""
        return await self.act()

    def registered(self) -> object:
        """Return what must outlive even an odd answer."""
        return self.world.registered()

    def known(self) -> object:
        """Return what must outlive an error."""
        data = self.world.server.data
        return self.world.known(), data.resource, data.connection, data.token

    @abstractmethod
    def check_while(self, seen: str | None) -> None:
        """Check what else the user sees while the fault lasts."""

    def check_after(self) -> None:
        """Check that all is back."""
        assert state_of(self.hass, PLEX_PASS) == STATE_ON
        assert state_of(self.hass, CONNECTIVITY) == STATE_ON
        data = self.world.server.data
        assert data.token
        tokens = [token.text for token in self.world.attic.transient_tokens]
        assert data.token.token in tokens


class FlowPlace(Place):
    """A place in the dialog by which an account is added."""

    errors = FLOW_ERRORS
    step: ClassVar[str]
    result: ConfigFlowResult

    async def submit(self, user_input: dict[str, Any]) -> None:
        """Submit a step."""
        self.result = await self.hass.config_entries.flow.async_configure(
            self.result["flow_id"], user_input
        )
        await self.hass.async_block_till_done()

    async def start(self, way: str) -> None:
        """Choose a way to sign in."""
        self.result = await self.hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_USER}
        )
        await self.submit({"next_step_id": way})
        assert self.result["step_id"] == way

    async def submit_credentials(self) -> None:
        """Submit name, password and where plex.tv is."""
        advanced = {CONF_SERVER_URL: self.world.tv_url}
        await self.submit(
            {CONF_USERNAME: "ada", CONF_PASSWORD: PASSWORD, "advanced": advanced}
        )

    def seen(self) -> str | None:
        """Return the error of the form, None if the dialog is over."""
        if self.result["type"] is FlowResultType.CREATE_ENTRY:
            return None
        assert self.result["type"] is FlowResultType.FORM
        errors = self.result["errors"]
        assert errors
        return errors["base"]

    @property
    def done(self) -> bool:
        """Return if the account has been added."""
        return bool(self.hass.config_entries.async_entries(DOMAIN))

    @override
    def registered(self) -> object:
        # There is nothing before the account is added.
        return None

    @override
    def known(self) -> object:
        return self.done

    @override
    def check_while(self, seen: str | None) -> None:
        if seen and self.result["step_id"] == "password":
            assert self.result["data_schema"]
            fields = self.result["data_schema"].schema
            described = {str(marker): marker.description for marker in fields}
            assert described["username"] == {"suggested_value": "ada"}
            assert not described["password"]

    @override
    def check_after(self) -> None:
        (entry,) = self.hass.config_entries.async_entries(DOMAIN)
        assert entry.state is ConfigEntryState.LOADED
        assert entry.unique_id == self.world.ada.user.uuid
        # No failed attempt has left a token behind.
        (token,) = self.world.plex.tv.tokens
        assert entry.data["token"] == token.text


class SignIn(FlowPlace):
    """The form with user name and password."""

    name = "sign-in"
    path = "/api/v2/users/signin"

    @override
    async def prepare(self) -> None:
        await self.start("password")

    @override
    async def act(self) -> str | None:
        before = len(self.world.plex.requests.matching(path=self.path))
        await self.submit_credentials()
        # A password is not sent twice by itself.
        assert len(self.world.plex.requests.matching(path=self.path)) <= before + 1
        assert self.done or self.result["step_id"] == "password"
        return self.seen()

    @override
    async def again(self) -> str | None:
        return None if self.done else await self.act()


class VerificationCode(FlowPlace):
    """The form with the verification code."""

    name = "code"
    path = "/api/v2/users/signin"

    @override
    async def prepare(self) -> None:
        self.world.ada.verification_code = VERIFICATION_CODE
        await self.start("password")
        await self.submit_credentials()
        assert self.result["step_id"] == "two_factor"

    @override
    async def act(self) -> str | None:
        await self.submit({CONF_CODE: VERIFICATION_CODE})
        seen = self.seen()
        # Where the password is no longer right, it is asked for.
        step = "password" if seen == "invalid_auth" else "two_factor"
        assert self.done or self.result["step_id"] == step
        return seen

    @override
    async def again(self) -> str | None:
        if self.done:
            return None
        if self.result["step_id"] == "password":
            await self.submit_credentials()
        return await self.act()


class Link(FlowPlace):
    """The waiting for a link code to be used, which is while the fault lasts."""

    name = "link"
    path = "/api/v2/pins/*"
    errors: ClassVar[Errors] = {
        Effect.AUTHENTICATION: "pin_expired",
        Effect.NOT_FOUND: "pin_expired",
    }

    @override
    async def prepare(self) -> None:
        await self.start("password")
        advanced = {CONF_SERVER_URL: self.world.tv_url}
        await self.submit({"use_link": True, "advanced": advanced})
        assert self.result["step_id"] == "link_wait"

    @override
    async def act(self) -> str | None:
        plex = self.world.plex
        plex.claim_pin(plex.tv.pins[-1].code, self.world.ada)
        for _ in range(5):
            await asyncio.sleep(0.01)
            if self.step_now() in {"pin_done", ""}:
                await self.go_on()
                break
        return None if self.step_now() in {"link_wait", ""} else self.step_now()

    def step_now(self) -> str:
        """Return the step at which the dialog is, empty if it is over."""
        try:
            flow = self.hass.config_entries.flow.async_get(self.result["flow_id"])
        except UnknownFlow:
            return ""
        return flow["step_id"]

    async def go_on(self) -> None:
        """Do what the frontend does when the waiting is over."""
        if not self.done:
            self.result = await self.hass.config_entries.flow.async_configure(
                self.result["flow_id"]
            )
        await self.hass.async_block_till_done()

    @override
    async def again(self) -> str | None:
        if self.step_now() == "pin_expired":
            await self.submit({"next_step_id": "link"})
            plex = self.world.plex
            plex.claim_pin(plex.tv.pins[-1].code, self.world.ada)
        await until(lambda: self.step_now() in {"pin_done", ""})
        await self.go_on()
        return self.step_now() or None


class SignOut(Place):
    """The removal of the account, which never fails."""

    name = "sign-out"
    path = "/api/v2/users/signout"
    # A token that is rejected is one that plex.tv has forgotten already.
    harmless = Place.harmless | {Effect.OTHER_SHAPE, Effect.AUTHENTICATION}
    errors: ClassVar[Errors] = dict.fromkeys(Effect, "logged")

    @override
    async def act(self) -> str | None:
        return await self.remove()

    async def remove(self) -> str | None:
        """Remove the account, and return if something was logged."""
        (entry,) = self.hass.config_entries.async_entries(DOMAIN)
        self.caplog.clear()
        await self.hass.config_entries.async_remove(entry.entry_id)
        await self.world.settle()
        told = "Could not sign out of Plex" in self.caplog.text
        return "logged" if told else None

    @override
    async def again(self) -> str | None:
        await self.world.set_up()
        return await self.remove()

    @override
    def registered(self) -> object:
        # The account is gone in any case.
        return None

    @override
    def known(self) -> object:
        return None

    @override
    def check_while(self, seen: str | None) -> None:
        assert not self.hass.config_entries.async_entries(DOMAIN)

    @override
    def check_after(self) -> None:
        assert not self.world.plex.tv.tokens


class AccountPlace(Place):
    """A request to plex.tv with which the account is refreshed."""

    errors = ACCOUNT_ERRORS

    @override
    async def act(self) -> str | None:
        seen = await key(self.world.call("get_user_details", refresh=True))
        await self.world.settle()
        return seen

    @override
    async def again(self) -> str | None:
        account = self.world.account
        await account.async_refresh()
        await self.world.settle()
        return None if account.last_update_success else shown(account.last_exception)

    @override
    def check_while(self, seen: str | None) -> None:
        state = state_of(self.hass, PLEX_PASS)
        assert (state == STATE_UNAVAILABLE) == bool(seen)
        # No server is the worse for it.
        assert state_of(self.hass, CONNECTIVITY) == STATE_ON
        flows = self.hass.config_entries.flow.async_progress()
        assert len(flows) == (1 if seen == "auth_failed" else 0)


class User(AccountPlace):
    """The details of the account."""

    name = "/user"
    path = "/api/v2/user"


class Resources(AccountPlace):
    """The servers of the account."""

    name = "/resources"
    path = "/api/v2/resources"


class Ping(AccountPlace):
    """The extension of the token's life, of which the user sees nothing."""

    name = "/ping"
    path = "/api/v2/ping"
    errors: ClassVar[Errors] = {Effect.REFUSED: "cannot_connect"}

    @override
    async def prepare(self) -> None:
        await super().prepare()
        # The first one is with the refresh after that of the start.
        await self.world.account.async_refresh()
        await self.world.settle()
        # Time for another one is at each refresh.
        self.monkeypatch.setattr(coordinator, "PING_INTERVAL", timedelta())

    @override
    async def again(self) -> str | None:
        before = self.world.account._pinged_at
        seen = await super().again()
        after = self.world.account._pinged_at
        assert before
        assert after
        assert after > before
        return seen


class Avatar(Place):
    """The picture of the user."""

    name = "avatar"
    path = "/users/*/avatar"
    harmless = frozenset((Effect.NONE,))
    errors = ACCOUNT_ERRORS

    @override
    async def prepare(self) -> None:
        await super().prepare()
        # Otherwise nobody would ask again so soon.
        self.monkeypatch.setattr(image, "FAILURE_PAUSE", 0)

    @override
    async def act(self) -> str | None:
        return await key(async_get_image(self.hass, AVATAR))

    @override
    def check_while(self, seen: str | None) -> None:
        assert state_of(self.hass, PLEX_PASS) == STATE_ON
        # The sign-in has nothing to do with pictures.
        assert not self.hass.config_entries.flow.async_progress()

    @override
    def check_after(self) -> None:
        super().check_after()
        entity_content = self.hass.data["image"].get_entity(AVATAR)
        assert entity_content
        assert entity_content._content == self.world.ada.avatar


class ServerPlace(Place):
    """A request to Attic."""

    errors = SERVER_ERRORS

    @property
    @override
    def host(self) -> Host:
        return self.world.attic

    @override
    def known(self) -> object:
        # Whether the token is another one now is none of the user's business.
        return self.world.known()

    @override
    async def again(self) -> str | None:
        server = self.world.server
        await server.async_refresh()
        await self.world.settle()
        return None if server.last_update_success else shown(server.last_exception)

    @override
    def check_while(self, seen: str | None) -> None:
        # Who answers is there, whatever the answer is.
        state = STATE_OFF if seen == "server_unreachable" else STATE_ON
        assert state_of(self.hass, CONNECTIVITY) == state
        # Nothing else is the worse for it.
        assert state_of(self.hass, PLEX_PASS) == STATE_ON
        assert not self.hass.config_entries.flow.async_progress()


class Identity(ServerPlace):
    """The question who is there, when a server is looked for."""

    name = "/identity"
    path = "/identity"
    errors: ClassVar[Errors] = dict.fromkeys(Effect, "server_unreachable")
    known = Place.known

    @override
    async def act(self) -> str | None:
        seen = await key(self.world.lose_server())
        await self.world.settle()
        return seen


class Root(ServerPlace):
    """The regular look whether the server accepts our token: if not, it is replaced."""

    name = "/"
    path = "/"
    errors: ClassVar[Errors] = {Effect.REFUSED: "server_unreachable"}

    @override
    async def act(self) -> str | None:
        return await self.again()


class RemoteAccess(ServerPlace):
    """The question for the server's account, whose answer can wait."""

    name = "/myplex"
    path = "/myplex/account"
    errors: ClassVar[Errors] = {Effect.REFUSED: "server_unreachable"}

    @override
    async def act(self) -> str | None:
        return await self.again()

    @override
    async def again(self) -> str | None:
        before = len(self.world.plex.requests)
        await self.world.attic.map_port("mapped")
        await until(
            lambda: (
                len(self.world.plex.requests) > before
                or state_of(self.hass, CONNECTIVITY) == STATE_OFF
            )
        )
        await self.world.settle()
        return await super().again()

    @override
    def known(self) -> object:
        return self.world.known(), self.world.server.data.account

    @override
    def check_after(self) -> None:
        super().check_after()
        assert state_of(self.hass, REMOTE_ACCESS) == "available"


class Push(ServerPlace):
    """The socket on which the server tells what happens, which nobody has to have."""

    name = "push"
    path = "/:/websockets/notifications"
    errors: ClassVar[Errors] = {Effect.REFUSED: "server_unreachable"}

    @override
    async def prepare(self) -> None:
        self.monkeypatch.setattr(push, "MIN_PAUSE", 0.01)
        await super().prepare()
        await until(lambda: bool(self.world.attic.push.sockets))
        self.world.plex.requests.clear()

    @override
    async def act(self) -> str | None:
        await self.world.attic.push.hang_up()
        await until(
            lambda: (
                bool(self.world.plex.requests.matching(path=self.path))
                or state_of(self.hass, CONNECTIVITY) == STATE_OFF
            )
        )
        await self.world.settle()
        return await self.again()


class Token(ServerPlace):
    """The request for a transient token."""

    name = "/security/token"
    path = "/security/token"
    known = Place.known

    @override
    async def act(self) -> str | None:
        seen = await key(self.world.call("get_transient_token", refresh=True))
        await self.world.settle()
        return seen


class Source(ServerPlace):
    """The look-up of a source."""

    name = "/security/source"
    path = "/security/resources"
    errors: ClassVar[Errors] = {
        **SERVER_ERRORS,
        Effect.BAD_REQUEST: "source_not_found",
        Effect.NOT_FOUND: "source_not_found",
    }

    @override
    async def act(self) -> str | None:
        seen = await key(self.world.look_up())
        await self.world.settle()
        return seen

    again = Place.again


class MediaPlace(ServerPlace):
    """What a player fetches through Home Assistant, which tells it little of errors."""

    harmless = frozenset((Effect.NONE, Effect.OTHER_TYPE))
    errors: ClassVar[Errors] = dict.fromkeys(Effect, "nothing_played") | {
        Effect.REFUSED: "server_unreachable",
        Effect.NOT_FOUND: "media_not_found",
    }
    codecs = ("h264", "aac")
    player: Player
    url: str

    @override
    async def prepare(self) -> None:
        film = Entry(FILM_KEY, "movie", "Film", files=[("film.mp4", FILE)])
        film.codecs = self.codecs
        self.world.attic.library.sections = [Section(1, "movie", "Films", [film])]
        await async_setup_component(self.hass, "media_source", {})
        await super().prepare()
        self.monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.5))
        self.player = await self.world.new_player()
        self.url = await self.find(film)

    async def find(self, film: Entry) -> str:
        """Return where Home Assistant says that it is."""
        place = f"{self.world.ada.user.uuid}/{self.world.attic.machine_identifier}"
        media = await async_resolve_media(
            self.hass, f"media-source://{DOMAIN}/{place}/item/{film.key}", None
        )
        return async_sign_path(self.hass, media.url, timedelta(hours=1))

    @override
    async def act(self) -> str | None:
        seen = await self.fetch(self.url)
        await self.world.settle()
        if seen == "nothing_played" and state_of(self.hass, CONNECTIVITY) == STATE_OFF:
            return "server_unreachable"
        return seen

    async def fetch(self, url: str) -> str | None:
        """Return what a player makes of the answer."""
        try:
            async with self.player.get(url) as answer:
                if answer.status == HTTPStatus.NOT_FOUND:
                    return "media_not_found"
                if answer.status != HTTPStatus.OK:
                    assert answer.status == HTTPStatus.BAD_GATEWAY
                    return "nothing_played"
                self.got(await answer.read())
        except ClientError:
            return "nothing_played"
        return None

    def got(self, body: bytes) -> None:
        """Check that it is what the server has."""
        assert body == FILE

    again = Place.again


class Part(MediaPlace):
    """A file as it is."""

    name = "part"
    path = "/library/parts/*"


class Picture(MediaPlace):
    """A poster."""

    name = "picture"
    path = "/photo/:/transcode"

    @override
    async def find(self, film: Entry) -> str:
        found = await self.world.call("find_media", query="Film")
        return str(found["items"][0]["picture"])

    @override
    def got(self, body: bytes) -> None:
        assert body.startswith(JPEG)


class Playlist(MediaPlace):
    """The playlist of a film that is made fit for players."""

    name = "playlist"
    path = "/video/:/transcode/universal/*.m3u8"
    codecs = ("hevc", "dts")

    @override
    def got(self, body: bytes) -> None:
        assert body == self.world.attic.transcoder.made["index.m3u8"]


class Segment(Playlist):
    """A piece of such a film."""

    name = "segment"
    path = "/video/:/transcode/universal/*.ts"

    @override
    async def find(self, film: Entry) -> str:
        async with self.player.get(await super().find(film)) as answer:
            return str(answer.url.with_name(SEGMENT).relative())

    @override
    def got(self, body: bytes) -> None:
        assert body == self.world.attic.transcoder.made[SEGMENT]


# Dialogs and what the user alone starts, plex.tv, the server, and its media.
PLACES: tuple[type[Place], ...] = (
    SignIn,
    VerificationCode,
    Link,
    SignOut,
    User,
    Resources,
    Ping,
    Avatar,
    Identity,
    Root,
    RemoteAccess,
    Push,
    Token,
    Source,
    Part,
    Picture,
    Playlist,
    Segment,
)


async def key(awaitable: Awaitable[object]) -> str | None:
    """Return the key of the translated error that something ends with."""
    try:
        await awaitable
    except HomeAssistantError as err:
        return shown(err)
    return None
