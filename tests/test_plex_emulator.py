"""Prove that the emulator is as faithful as the other tests need it to be."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
import json
import os
from pathlib import Path
import re
import signal
import socket
import ssl
import sys
from typing import Any
from xml.etree import ElementTree as ET

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    ClientSession,
    ClientTimeout,
    ServerDisconnectedError,
    TCPConnector,
)
from freezegun.api import FrozenDateTimeFactory
from plexapi.exceptions import BadRequest, TwoFactorRequired, Unauthorized
from plexapi.myplex import MyPlexAccount, MyPlexPinLogin, MyPlexResource
from plexapi.server import PlexServer
import pytest
from yarl import URL

from tests.plex_emulator import (
    Answer,
    CertificateAuthority,
    Connection,
    Cut,
    Delay,
    DemoWorld,
    Drip,
    Ending,
    Flood,
    LoopbackResolver,
    MediaServer,
    PastSubscription,
    PlexEmulator,
    Provider,
    Raw,
    Reply,
    Vanish,
    build_demo_world,
    error,
    gzip_bomb,
    redirect,
)
from tests.plex_emulator.emulator import LOOPBACK
from tests.plex_emulator.films import (
    FILE,
    FILE_PATH,
    METADATA_PATH,
    POSTER_PATH,
    RATING_KEY,
)

ROOT = Path(__file__).parent.parent
ADA = {"login": "ada", "password": "password-ada-countess"}
GRACE = {"login": "grace", "password": "password-grace-admiral"}
CODE = "314159"
TOKEN_QUERY = {"type": "delegation", "scope": "all"}
ALL_CONNECTIONS = {"includeHttps": "1", "includeRelay": "1", "includeIPv6": "1"}
TRANSIENT = re.compile(r"transient-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass
class Reaction:
    """What came back."""

    status: int
    text: str
    content_type: str
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def xml(self) -> ET.Element:
        """The body as XML."""
        return ET.fromstring(self.text)  # noqa: S314 - the emulator's own

    @property
    def code(self) -> int:
        """Plex's code of an error."""
        return int(self.json["errors"][0]["code"])

    @property
    def container(self) -> Any:
        """What a media server wraps everything in."""
        return self.json["MediaContainer"]


class Client:
    """A bare HTTP client that identifies itself as a Plex app does."""

    def __init__(self, session: ClientSession, plex: PlexEmulator) -> None:
        self._session = session
        self._plex = plex

    async def send(
        self,
        method: str,
        url: str,
        *,
        token: str | None = None,
        client: str | None = "client-1",
        accept: str | None = "application/json",
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> Reaction:
        """Send a request to any URL."""
        sent = dict(headers or {})
        if token:
            sent["X-Plex-Token"] = token
        if client:
            sent["X-Plex-Client-Identifier"] = client
        if accept:
            sent["Accept"] = accept
        async with self._session.request(
            method, url, headers=sent, allow_redirects=False, **options
        ) as response:
            return Reaction(
                response.status,
                await response.text(),
                response.content_type,
                dict(response.headers),
            )

    async def tv(self, method: str, path: str, **options: Any) -> Reaction:
        """Send a request to plex.tv."""
        return await self.send(method, f"{self._plex.url}/api/v2/{path}", **options)

    async def pms(self, server: MediaServer, path: str, **options: Any) -> Reaction:
        """Ask a media server for something."""
        return await self.send("GET", server.url + path, **options)

    async def sign_in(self, form: dict[str, str], **options: Any) -> Reaction:
        """Sign in with a form."""
        return await self.tv("POST", "users/signin", data=form, **options)

    async def mint(self, server: MediaServer, token: str) -> str:
        """Get a transient token."""
        made = await self.pms(
            server, "/security/token", token=token, params=TOKEN_QUERY
        )
        return str(made.container["token"])


@pytest.fixture
async def plex() -> AsyncGenerator[PlexEmulator]:
    """Return an emulator whose servers speak plain HTTP."""
    async with PlexEmulator() as emulator:
        yield emulator


@pytest.fixture
async def world(plex: PlexEmulator) -> DemoWorld:
    """Fill it with the demonstration's world."""
    return await build_demo_world(plex)


@pytest.fixture
async def client(plex: PlexEmulator) -> AsyncGenerator[Client]:
    """Open a session."""
    async with ClientSession(timeout=ClientTimeout(total=5)) as session:
        yield Client(session, plex)


@pytest.fixture
def ada_token(plex: PlexEmulator, world: DemoWorld) -> str:
    """Sign ada in."""
    return plex.tv.issue(world.ada, "client-1").text


@pytest.fixture
def owner_token(world: DemoWorld) -> str:
    """Return the token that ada has for the attic."""
    return world.attic.access_token(world.ada)


@pytest.fixture
def plexapi(plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let python-plexapi talk to the emulator."""
    addresses = {
        MyPlexAccount: ("SIGNIN", "SIGNOUT", "LINK", "PING", "key"),
        MyPlexResource: ("key",),
        MyPlexPinLogin: ("PINS",),
    }
    for kind, names in addresses.items():
        for name in names:
            url = getattr(kind, name).replace("https://plex.tv", plex.url)
            monkeypatch.setattr(kind, name, url)


async def sign_in_with_plexapi(form: dict[str, str], code: str | None = None) -> Any:
    """Sign in as users of python-plexapi do."""
    return await asyncio.to_thread(
        MyPlexAccount, form["login"], form["password"], code=code
    )


# python-plexapi, which is known to work with the real Plex.


@pytest.mark.usefixtures("plexapi", "world")
async def test_plexapi_wrong_password() -> None:
    """A wrong password is an Unauthorized."""
    wrong = {"login": "grace", "password": "wrong"}
    with pytest.raises(Unauthorized, match="could not be authenticated"):
        await sign_in_with_plexapi(wrong)


@pytest.mark.usefixtures("plexapi", "world")
async def test_plexapi_two_factor() -> None:
    """A code is asked for, checked and accepted."""
    with pytest.raises(TwoFactorRequired, match="Please enter"):
        await sign_in_with_plexapi(ADA)
    with pytest.raises(TwoFactorRequired, match="Invalid"):
        await sign_in_with_plexapi(ADA, "000000")
    account = await sign_in_with_plexapi(ADA, CODE)
    assert account.username == "ada"
    assert account.authToken.startswith("tv-token-")


@pytest.mark.usefixtures("plexapi")
async def test_plexapi_account(world: DemoWorld) -> None:
    """The account has all that the library reads."""
    world.ada.user.country = "GB"
    account = await sign_in_with_plexapi(ADA, CODE)
    assert account.uuid == world.ada.user.uuid
    assert account.country == "GB"
    assert account.subscriptionActive is True
    assert account.subscriptionPlan == "lifetime"
    assert account.subscriptionSubscribedAt.year == 2019
    assert "pass" in account.subscriptionFeatures
    assert account.entitlements == ["all"]
    assert account.roles == ["plexpass"]
    assert account.twoFactorEnabled is True
    assert account.joinedAt.year == 2019
    assert await asyncio.to_thread(account.ping) is True


@pytest.mark.usefixtures("plexapi", "world")
async def test_plexapi_sign_out() -> None:
    """After signing out, the token is dead."""
    account = await sign_in_with_plexapi(GRACE)
    token = account.authToken
    await asyncio.to_thread(account.signout)
    with pytest.raises(Unauthorized):
        await asyncio.to_thread(MyPlexAccount, token=token)


@pytest.mark.usefixtures("plexapi")
async def test_plexapi_resources(world: DemoWorld) -> None:
    """Owned, stale and shared servers are listed, and players between them."""
    account = await sign_in_with_plexapi(ADA, CODE)
    resources = await asyncio.to_thread(account.resources)
    servers = {item.name: item for item in resources if item.provides == "server"}
    assert {name: item.owned for name, item in servers.items()} == {
        "Attic": True,
        "Cellar": True,
        "Old laptop": True,
        "Library": False,
    }
    assert len(resources) == 5
    attic = servers["Attic"]
    assert attic.clientIdentifier == world.attic.machine_identifier
    assert attic.presence is True
    assert servers["Old laptop"].presence is False
    assert servers["Library"].sourceTitle == "grace"
    assert servers["Library"].publicAddressMatches is False
    assert world.attic.url in [connection.uri for connection in attic.connections]
    assert [connection.relay for connection in attic.connections].count(True) == 1
    assert [connection.ipv6 for connection in attic.connections].count(True) == 1


async def test_plexapi_server(world: DemoWorld, owner_token: str) -> None:
    """The server opens with its own token, and with a transient one made from it."""
    server = await asyncio.to_thread(PlexServer, world.attic.url, owner_token)
    assert server.friendlyName == "Attic"
    assert server.machineIdentifier == world.attic.machine_identifier
    assert server.myPlexUsername == "ada@plex-user.example"
    token = await asyncio.to_thread(server.createToken)
    assert TRANSIENT.fullmatch(token)
    again = await asyncio.to_thread(PlexServer, world.attic.url, token)
    accounts = await asyncio.to_thread(again.systemAccounts)
    assert [account.name for account in accounts] == ["ada"]
    identity = await asyncio.to_thread(server.identity)
    assert identity.machineIdentifier == world.attic.machine_identifier
    assert identity.claimed is True


async def test_plexapi_server_refuses(world: DemoWorld) -> None:
    """A wrong token is refused, and a guest does not see what is the owner's."""
    with pytest.raises(Unauthorized):
        await asyncio.to_thread(PlexServer, world.attic.url, "wrong")
    token = world.library.access_token(world.ada)
    shared = await asyncio.to_thread(PlexServer, world.library.url, token)
    with pytest.raises(BadRequest, match="403"):
        await asyncio.to_thread(shared.systemAccounts)


@pytest.mark.usefixtures("plexapi")
async def test_plexapi_pin(plex: PlexEmulator, world: DemoWorld) -> None:
    """A link code signs an account in that has no password."""
    login = await asyncio.to_thread(MyPlexPinLogin)
    code = await asyncio.to_thread(lambda: login.pin)
    assert len(code) == 4
    assert await asyncio.to_thread(login.checkLogin) is False
    plex.claim_pin(code, world.linus)
    assert await asyncio.to_thread(login.checkLogin) is True
    account = await asyncio.to_thread(MyPlexAccount, token=login.token)
    assert account.username == "linus"
    assert account.hasPassword is False


@pytest.mark.usefixtures("plexapi", "world")
async def test_plexapi_links_another_device() -> None:
    """Someone who is signed in can confirm a code, the long kind too."""
    account = await sign_in_with_plexapi(GRACE)
    headers = {"X-Plex-Client-Identifier": "television"}
    login = await asyncio.to_thread(MyPlexPinLogin, oauth=True, headers=headers)
    url = await asyncio.to_thread(login.oauthUrl)
    code = url.rpartition("code=")[2]
    assert len(code) == 25
    await asyncio.to_thread(account.link, code)
    assert await asyncio.to_thread(login.checkLogin) is True
    assert login.token != account.authToken


# The account API.


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "users/signin"),
        ("GET", "user"),
        ("GET", "resources"),
        ("GET", "ping"),
        ("POST", "pins"),
        ("GET", "pins/1"),
        ("DELETE", "users/signout"),
    ],
)
async def test_client_identifier_needed(client: Client, method: str, path: str) -> None:
    """Without a client identifier nothing else is looked at."""
    reaction = await client.tv(method, path, client=None, token="wrong")
    assert (reaction.status, reaction.code) == (400, 1000)


async def test_client_identifier_anywhere(client: Client) -> None:
    """It may be a header, a query argument or a form field."""
    value = {"X-Plex-Client-Identifier": "client-2"}
    for options in ({"headers": value}, {"params": value}, {"data": value}):
        pin = await client.tv("POST", "pins", client=None, **options)
        assert pin.status == 201
        assert pin.json["clientIdentifier"] == "client-2"


async def test_xml_unless_json_is_asked_for(
    plex: PlexEmulator, client: Client, ada_token: str
) -> None:
    """JSON is the exception, on both kinds of host and for errors too."""
    for accept in (None, "*/*", "application/xml"):
        user = await client.tv("GET", "user", token=ada_token, accept=accept)
        assert user.content_type == "application/xml"
        assert user.xml.get("username") == "ada"
        assert user.xml.get("confirmed") == "1"
        refused = await client.tv("GET", "user", token="wrong", accept=accept)
        assert refused.xml.tag == "errors"
        assert refused.xml[0].attrib == {
            "code": "1001",
            "message": "User could not be authenticated",
            "status": "401",
        }
        identity = await client.pms(plex.servers[0], "/identity", accept=accept)
        assert identity.content_type == "text/xml"
        assert identity.headers["X-Plex-Protocol"] == "1.0"
        assert identity.xml.get("claimed") == "1"
    mixed = "text/html, application/json;q=0.9"
    user = await client.tv("GET", "user", token=ada_token, accept=mixed)
    assert user.json["username"] == "ada"


async def test_xml_only(
    plex: PlexEmulator, world: DemoWorld, client: Client, ada_token: str
) -> None:
    """A host can be told to answer nothing but XML."""
    plex.tv.xml_only = world.attic.xml_only = True
    assert (await client.tv("GET", "user", token=ada_token)).xml.tag == "user"
    assert (await client.tv("POST", "pins.json")).xml.tag == "pin"
    assert (await client.tv("GET", "user")).xml.tag == "errors"
    assert (await client.pms(world.attic, "/identity")).xml.tag == "MediaContainer"
    assert (await client.pms(world.cellar, "/identity")).container["size"] == 0


@pytest.mark.usefixtures("world")
async def test_sign_in(plex: PlexEmulator, client: Client) -> None:
    """By user name or e-mail address, in the form or the query."""
    for login in ("grace", "Grace@plex-user.example"):
        signed_in = await client.sign_in({**GRACE, "login": login})
        assert signed_in.status == 201
        assert signed_in.json["pastSubscriptions"] == []
        assert signed_in.json["trials"] == []
    by_query = await client.tv("POST", "users/signin", params=GRACE)
    assert by_query.status == 201
    user = await client.tv("GET", "user", token=by_query.json["authToken"])
    assert user.status == 200
    assert user.json["authToken"] == by_query.json["authToken"]
    assert "trials" not in user.json
    assert user.json["hasPassword"] is True
    assert len(plex.tv.tokens) == 1


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"login": "ada"}, 400, 1004),
        ({"password": "x"}, 400, 1004),
        ({"login": "nobody", "password": "x"}, 401, 1001),
        ({"login": "ada", "password": "x"}, 401, 1001),
        ({"login": "ada", "password": "x", "verificationCode": CODE}, 401, 1001),
        ({"login": "linus", "password": "x"}, 401, 1001),
        (ADA, 401, 1029),
        ({**ADA, "verificationCode": ""}, 401, 1029),
        ({**ADA, "verificationCode": "271828"}, 401, 1028),
    ],
)
async def test_sign_in_refused(
    client: Client, form: dict[str, str], status: int, code: int
) -> None:
    """Each refusal has its own code."""
    refused = await client.sign_in(form)
    assert (refused.status, refused.code) == (status, code)
    assert refused.json["errors"][0]["status"] == status


@pytest.mark.usefixtures("world")
async def test_sign_in_with_code(client: Client) -> None:
    """The code is a field of its own, or behind the password in old apps."""
    assert (await client.sign_in({**ADA, "verificationCode": CODE})).status == 201
    appended = {"login": "ada", "password": ADA["password"] + CODE}
    assert (await client.sign_in(appended)).status == 201
    assert (await client.sign_in({**GRACE, "verificationCode": ""})).status == 201


@pytest.mark.usefixtures("world")
async def test_throttled(plex: PlexEmulator, client: Client) -> None:
    """After too many failures even the right password is refused."""
    plex.tv.failures_allowed = 2
    for _ in range(2):
        assert (await client.sign_in({**GRACE, "password": "x"})).code == 1001
    throttled = await client.sign_in(GRACE)
    assert (throttled.status, throttled.code) == (401, 1031)
    plex.tv.forgive()
    assert (await client.sign_in(GRACE)).status == 201


@pytest.mark.usefixtures("world")
async def test_being_asked_for_the_code_is_no_failure(
    plex: PlexEmulator, client: Client
) -> None:
    """The first half of a two-factor sign-in does not count."""
    plex.tv.failures_allowed = 1
    assert (await client.sign_in(ADA)).code == 1029
    assert (await client.sign_in({**ADA, "verificationCode": "1"})).code == 1028
    assert (await client.sign_in(ADA)).code == 1031


async def test_sign_in_tells_the_past(client: Client, world: DemoWorld) -> None:
    """Subscriptions that ended are told to whoever signs in."""
    world.grace.past_subscriptions.append(PastSubscription(ends_at=1556281940))
    (past,) = (await client.sign_in(GRACE)).json["pastSubscriptions"]
    assert (past["endsAt"], past["state"]) == (1556281940, "ended")
    assert past["billing"] == {"paymentMethodId": None, "internalPaymentMethod": {}}
    user = (await client.sign_in(GRACE, accept=None)).xml
    (element,) = user.findall("pastSubscriptions/pastSubscription")
    assert element.get("canReactivate") == "0"


@pytest.mark.usefixtures("world")
async def test_one_token_per_client(client: Client) -> None:
    """A new sign-in of the same client replaces its token, another client's stays."""
    first = (await client.sign_in(GRACE)).json["authToken"]
    other = (await client.sign_in(GRACE, client="client-2")).json["authToken"]
    second = (await client.sign_in(GRACE)).json["authToken"]
    assert len({first, other, second}) == 3
    assert (await client.tv("GET", "user", token=first)).code == 1001
    assert (await client.tv("GET", "user", token=other)).status == 200
    assert (await client.tv("GET", "user", token=second)).status == 200


async def test_user_fields(
    plex: PlexEmulator, world: DemoWorld, client: Client, ada_token: str
) -> None:
    """What a test sets is what plex.tv says; fields can be left out."""
    user = (await client.tv("GET", "user", token=ada_token)).json
    assert user["subscription"]["subscribedAt"] == "2019-03-16T15:20:12Z"
    assert user["rememberExpiresAt"] == plex.tv.tokens[0].remember_expires_at
    assert user["scrobbleTypes"] == ""
    assert user["profile"]["autoSelectSubtitle"] == 1
    assert user["services"][0]["token"].startswith("provider-token-")
    assert user["locale"] is None
    assert "pin" not in user
    world.ada.unsubscribe()
    world.ada.user.home_size = 4
    world.ada.user.locale = "gl"
    world.ada.left_out |= {"roles", "country"}
    user = (await client.tv("GET", "user", token=ada_token)).json
    assert user["subscription"]["status"] == "Inactive"
    assert user["homeSize"] == 4
    assert user["locale"] == "gl"
    assert not {"roles", "country"} & set(user)


async def test_ping(
    plex: PlexEmulator, client: Client, ada_token: str, freezer: FrozenDateTimeFactory
) -> None:
    """A ping prolongs the token."""
    before = plex.tv.tokens[0].remember_expires_at
    freezer.tick(timedelta(days=2))
    pong = await client.tv("GET", "ping", token=ada_token)
    assert pong.json == {"pong": True}
    assert plex.tv.tokens[0].remember_expires_at >= before + 2 * 24 * 3600
    pong = await client.tv("GET", "ping", token=ada_token, accept=None)
    assert (pong.xml.tag, pong.xml.text) == ("pong", "true")
    assert (await client.tv("GET", "ping", token="wrong")).code == 1001


@pytest.mark.parametrize("status", [204, 200])
async def test_sign_out(
    plex: PlexEmulator, client: Client, ada_token: str, status: int
) -> None:
    """Signing out kills the token; a second time there is nothing to sign out."""
    plex.tv.sign_out_status = status
    out = await client.tv("DELETE", "users/signout", token=ada_token)
    assert (out.status, out.text) == (status, "")
    assert (await client.tv("GET", "user", token=ada_token)).code == 1001
    again = await client.tv("DELETE", "users/signout", token=ada_token)
    assert (again.status, again.code) == (401, 1001)


async def test_token_anywhere(client: Client, ada_token: str) -> None:
    """The token may be a query argument."""
    params = {"X-Plex-Token": ada_token}
    assert (await client.tv("GET", "user", params=params)).status == 200


def jwt(claims: object) -> str:
    """Make something that looks like a JWT."""
    parts = [{"alg": "EdDSA", "typ": "JWT"}, claims]
    encoded = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
        for part in parts
    ]
    return ".".join([*encoded, "signature"])


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (jwt({"exp": 1}), 498),
        (jwt({"exp": 9999999999}), 422),
        (jwt({}), 422),
        (jwt(["exp"]), 422),
        ("eyJ.eyJ.eyJ", 422),
        ("eyJ", 401),
    ],
)
async def test_jwt(client: Client, world: DemoWorld, token: str, status: int) -> None:
    """A JWT is expired or cannot be verified; a media server does not know any."""
    refused = await client.tv("GET", "user", token=token)
    assert refused.status == status
    assert refused.json["errors"]
    assert (await client.pms(world.attic, "/", token=token)).status == 401


async def test_v1(client: Client, plex: PlexEmulator, ada_token: str) -> None:
    """The older API refuses in its own words."""
    url = f"{plex.url}/api/resources"
    refused = await client.send("GET", url, token="wrong")
    assert (refused.status, refused.xml[0].text) == (422, "Invalid token")
    refused = await client.send("GET", url)
    assert (refused.status, refused.xml[0].text) == (401, "Please sign in.")
    assert (await client.send("GET", url, token=ada_token)).status == 404


async def test_unknown_paths(client: Client, plex: PlexEmulator) -> None:
    """What Plex has not is not found."""
    assert (await client.tv("GET", "nothing")).status == 404
    assert (await client.send("GET", plex.url)).content_type == "text/html"


async def test_avatar(client: Client, plex: PlexEmulator, world: DemoWorld) -> None:
    """The picture is where the account says it is."""
    assert world.ada.user.thumb.startswith(plex.url)
    async with ClientSession() as session, session.get(world.ada.user.thumb) as picture:
        assert picture.content_type == "image/png"
        assert (await picture.read()).startswith(b"\x89PNG")
    assert world.ada.avatar != world.grace.avatar
    unknown = await client.send("GET", f"{plex.url}/users/nobody/avatar")
    assert unknown.status == 404


# What plex.tv lists.


async def test_resources(client: Client, world: DemoWorld, ada_token: str) -> None:
    """A listed server has all its fields."""
    listed = await client.tv(
        "GET", "resources", token=ada_token, params=ALL_CONNECTIONS
    )
    attic, _, stale, library, player = listed.json
    assert attic["name"] == "Attic"
    assert attic["clientIdentifier"] == world.attic.machine_identifier
    assert attic["owned"] is True
    assert attic["ownerId"] is None
    assert attic["accessToken"] == world.attic.access_token(world.ada)
    assert attic["publicAddressMatches"] is True
    assert not {"leftOut", "ipv6"} & set(attic)
    assert (stale["presence"], stale["platform"], stale["device"]) == (
        False,
        None,
        None,
    )
    assert (library["owned"], library["sourceTitle"]) == (False, "grace")
    assert library["ownerId"] == world.grace.user.id
    assert any(connection["local"] for connection in library["connections"])
    assert "player" in player["provides"].split(",")
    real = {
        "protocol": "http",
        "address": "127.0.0.1",
        "port": world.attic.listeners[0].port,
        "uri": world.attic.url,
        "local": True,
        "relay": False,
        "IPv6": False,
    }
    assert real in attic["connections"]


async def test_connections_stay_on_loopback(plex: PlexEmulator) -> None:
    """Whatever is listed, a client that tries it gets no further than this machine."""
    await build_demo_world(plex)
    listings = [server.listing for server in plex.servers]
    listings += [player.listing for player in plex.players]
    for connection in (item for listing in listings for item in listing.connections):
        host = connection.uri.split("//")[1].rsplit(":", 1)[0]
        assert host in {"127.0.0.1", "localhost"} or host.endswith(".invalid")
        assert connection.address in {*LOOPBACK, "plex.example.invalid"}


@pytest.mark.parametrize(
    ("params", "kinds"),
    [
        ({}, {"http": 4}),
        ({"includeHttps": "1"}, {"http": 1, "https": 3}),
        ({"includeHttps": "1", "includeRelay": "1"}, {"http": 1, "https": 4}),
        (ALL_CONNECTIONS, {"http": 1, "https": 5}),
    ],
)
async def test_which_connections(
    client: Client, ada_token: str, params: dict[str, str], kinds: dict[str, int]
) -> None:
    """HTTPS, relays and IPv6 are listed to those who ask for them."""
    listed = await client.tv("GET", "resources", token=ada_token, params=params)
    connections = listed.json[0]["connections"]
    protocols = [connection["protocol"] for connection in connections]
    assert {kind: protocols.count(kind) for kind in set(protocols)} == kinds
    for connection in connections:
        assert connection["uri"].startswith(connection["protocol"])
        assert connection["relay"] <= ("includeRelay" in params)
        assert connection["IPv6"] <= ("includeIPv6" in params)


async def test_resources_are_settable(
    client: Client, world: DemoWorld, ada_token: str
) -> None:
    """A test decides what a server says about itself."""
    listing = world.attic.listing
    listing.connections = [Connection.at("https://[::1]:32400", local=False)]
    listing.https_required = True
    listing.left_out = {"accessToken", "platform"}
    world.attic.name = "Loft"
    listed = await client.tv(
        "GET", "resources", token=ada_token, params=ALL_CONNECTIONS
    )
    loft = listed.json[0]
    assert loft["name"] == "Loft"
    assert loft["httpsRequired"] is True
    assert not {"accessToken", "platform"} & set(loft)
    assert loft["connections"] == [
        {
            "protocol": "https",
            "address": "::1",
            "port": 32400,
            "uri": "https://[::1]:32400",
            "local": False,
            "relay": False,
            "IPv6": True,
        }
    ]


async def test_servers_come_and_go(
    plex: PlexEmulator, client: Client, world: DemoWorld, ada_token: str
) -> None:
    """Added, removed, shared and unshared ones show at once."""

    async def names() -> list[str]:
        listed = await client.tv("GET", "resources", token=ada_token)
        return [item["name"] for item in listed.json]

    twin = await plex.add_server("Attic", owner=world.ada)
    assert twin.label == "Attic 2"
    assert twin.machine_identifier != world.attic.machine_identifier
    assert (await names()).count("Attic") == 2
    await plex.remove_server(world.attic)
    assert (await names()).count("Attic") == 1
    token = world.library.access_token(world.ada)
    plex.unshare(world.library, world.ada)
    assert "Library" not in await names()
    assert (await client.pms(world.library, "/", token=token)).status == 401
    plex.share(world.library, world.ada, home=True, public_address_matches=True)
    listed = await client.tv("GET", "resources", token=ada_token)
    library = next(item for item in listed.json if item["name"] == "Library")
    assert (library["home"], library["publicAddressMatches"]) == (True, True)
    for server in [server for server in plex.servers if server.owner is world.ada]:
        await plex.remove_server(server)
    assert await names() == ["Library", "Living room TV"]


# Link codes.


@pytest.mark.parametrize(
    ("options", "length", "lifetime"),
    [
        ({}, 4, 900),
        ({"params": {"strong": "true"}}, 25, 1800),
        ({"data": {"strong": "1"}}, 25, 1800),
        ({"data": {"strong": "false"}}, 4, 900),
    ],
)
async def test_pin(
    plex: PlexEmulator,
    client: Client,
    freezer: FrozenDateTimeFactory,
    options: dict[str, Any],
    length: int,
    lifetime: int,
) -> None:
    """A code is short or strong and lives as long as that."""
    pin = await client.tv("POST", "pins", **options)
    assert pin.status == 201
    assert len(pin.json["code"]) == length
    assert pin.json["expiresIn"] in {lifetime - 1, lifetime}
    assert pin.json["authToken"] is None
    assert pin.json["product"] == "0"
    path = f"pins/{pin.json['id']}"
    assert (await client.tv("GET", path)).json["code"] == pin.json["code"]
    freezer.tick(timedelta(seconds=lifetime - 2))
    assert (await client.tv("GET", path)).status == 200
    freezer.tick(timedelta(seconds=3))
    expired = await client.tv("GET", path)
    assert (expired.status, expired.code) == (404, 1020)
    assert "status" not in expired.json["errors"][0]
    plex.tv.expired_pins_found = True
    assert (await client.tv("GET", path)).json["authToken"] is None


@pytest.mark.usefixtures("world")
async def test_pin_claimed(
    plex: PlexEmulator, client: Client, ada_token: str, world: DemoWorld
) -> None:
    """A claimed code brings a token, which replaces the one the client had."""
    headers = {"X-Plex-Product": "Plex Account"}
    pin = (await client.tv("POST", "pins.json", accept=None, headers=headers)).json
    assert pin["product"] == "Plex Account"
    path = f"pins/{pin['id']}.json"
    assert (await client.tv("GET", path, accept=None)).json["authToken"] is None
    plex.claim_pin(pin["code"].lower(), world.ada)
    assert (await client.tv("GET", "user", token=ada_token)).code == 1001
    other = await client.tv("GET", path, client="client-2")
    assert other.json["authToken"] is None
    token = (await client.tv("GET", path)).json["authToken"]
    assert (await client.tv("GET", "user", token=token)).json["username"] == "ada"
    plex.tv.expire_pins()
    assert (await client.tv("GET", path)).code == 1020


async def test_pin_linked(client: Client, ada_token: str) -> None:
    """Someone who is signed in elsewhere confirms the code."""
    pin = (await client.tv("POST", "pins", client="television")).json
    for code, status in (("nope", 404), (pin["code"], 204)):
        linked = await client.tv(
            "PUT", "pins/link", data={"code": code}, token=ada_token
        )
        assert linked.status == status
    seen = await client.tv("GET", f"pins/{pin['id']}", client="television")
    assert seen.json["authToken"].startswith("tv-token-")
    refused = await client.tv("PUT", "pins/link", data={"code": pin["code"]})
    assert refused.code == 1001


async def test_pin_polled_too_often(
    plex: PlexEmulator, client: Client, freezer: FrozenDateTimeFactory
) -> None:
    """Who polls too fast is told so, but not for how long to wait."""
    plex.tv.poll_interval = 1.5
    path = f"pins/{(await client.tv('POST', 'pins')).json['id']}"
    assert (await client.tv("GET", path)).status == 200
    freezer.tick(1)
    limited = await client.tv("GET", path)
    assert (limited.status, limited.code) == (429, 1003)
    assert "Retry-After" not in limited.headers
    freezer.tick(1)
    assert (await client.tv("GET", path)).status == 200
    assert (await client.tv("GET", "pins/0")).code == 1020


# Media servers.


async def test_identity(client: Client, world: DemoWorld) -> None:
    """Anyone may ask a server who it is."""
    for token in (None, "wrong"):
        identity = await client.pms(world.attic, "/identity", token=token, client=None)
        assert identity.container == {
            "size": 0,
            "apiVersion": "1.2.3",
            "claimed": True,
            "machineIdentifier": world.attic.machine_identifier,
            "version": "1.43.4.10903-e5521bd8c",
        }
    world.attic.claimed = False
    assert (await client.pms(world.attic, "/identity")).container["claimed"] is False


async def test_errors_are_pages(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """Whatever was asked for, a media server's errors are HTML."""
    refused = await client.pms(world.attic, "/")
    assert (refused.status, refused.content_type) == (401, "text/html")
    assert "<h1>401 Unauthorized</h1>" in refused.text
    assert "web/index.html" in refused.text
    elsewhere = await client.pms(world.attic, "/accounts")
    assert "web/index.html" not in elsewhere.text
    missing = await client.pms(world.attic, "/nothing", token=owner_token)
    assert (missing.status, missing.content_type) == (404, "text/html")


async def test_tokens_are_for_one_host(
    client: Client, world: DemoWorld, ada_token: str, owner_token: str
) -> None:
    """An account's token is no server's, nor one server's another's."""
    assert (await client.pms(world.attic, "/", token=owner_token)).status == 200
    assert (await client.pms(world.attic, "/", token=ada_token)).status == 401
    assert (await client.pms(world.cellar, "/", token=owner_token)).status == 401
    assert (await client.tv("GET", "user", token=owner_token)).code == 1001
    params = {"X-Plex-Token": owner_token}
    assert (await client.pms(world.attic, "/", params=params)).status == 200


async def test_for_owners_only(client: Client, world: DemoWorld) -> None:
    """A guest may come in but not everywhere, with a transient token neither."""
    guest = world.library.access_token(world.ada)
    transient = await client.mint(world.library, guest)
    owner = world.library.access_token(world.grace)
    for path in ("/accounts", "/status/sessions"):
        assert (await client.pms(world.library, path, token=guest)).status == 403
        assert (await client.pms(world.library, path, token=transient)).status == 403
        assert (await client.pms(world.library, path, token=owner)).status == 200
    assert (await client.pms(world.library, "/", token=guest)).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_transient_token(
    client: Client, world: DemoWorld, owner_token: str, method: str
) -> None:
    """Every verb makes one."""
    url = f"{world.attic.url}/security/token"
    made = await client.send(method, url, token=owner_token, params=TOKEN_QUERY)
    assert made.status == 200
    assert made.container["size"] == 0
    assert TRANSIENT.fullmatch(made.container["token"])
    opened = await client.pms(world.attic, "/accounts", token=made.container["token"])
    assert opened.status == 200
    as_xml = await client.send(
        method, url, token=owner_token, params=TOKEN_QUERY, accept=None
    )
    assert TRANSIENT.fullmatch(as_xml.xml.get("token", ""))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"type": "delegation"},
        {"scope": "all"},
        {"type": "other", "scope": "all"},
        {"type": "delegation", "scope": "some"},
    ],
)
async def test_transient_token_parameters(
    client: Client, world: DemoWorld, owner_token: str, params: dict[str, str]
) -> None:
    """Both parameters are needed, and only one value of each is known."""
    refused = await client.pms(
        world.attic, "/security/token", token=owner_token, params=params
    )
    assert (refused.status, refused.content_type) == (400, "text/html")


async def test_transient_token_refused(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """Without a good token 401; with one that may not mint 403."""

    async def mint(token: str | None) -> int:
        made = await client.pms(
            world.attic, "/security/token", token=token, params=TOKEN_QUERY
        )
        return made.status

    assert await mint(None) == 401
    assert await mint("wrong") == 401
    transient = await client.mint(world.attic, owner_token)
    assert await mint(transient) == 200
    world.attic.transient_tokens_may_mint = False
    assert await mint(transient) == 403
    world.attic.allows_without_token = True
    assert await mint(None) == 403


async def test_transient_token_dies(
    client: Client,
    world: DemoWorld,
    owner_token: str,
    freezer: FrozenDateTimeFactory,
) -> None:
    """After 48 hours, or when the server restarts."""
    token = await client.mint(world.attic, owner_token)
    freezer.tick(timedelta(hours=47, minutes=59))
    assert (await client.pms(world.attic, "/", token=token)).status == 200
    assert [item.text for item in world.attic.transient_tokens] == [token]
    freezer.tick(timedelta(minutes=2))
    assert (await client.pms(world.attic, "/", token=token)).status == 401
    assert world.attic.transient_tokens == []
    token = await client.mint(world.attic, owner_token)
    port = world.attic.listeners[0].port
    await world.attic.restart()
    assert world.attic.listeners[0].port == port
    assert (await client.pms(world.attic, "/", token=token)).status == 401
    assert (await client.pms(world.attic, "/", token=owner_token)).status == 200


async def test_without_a_token(client: Client, world: DemoWorld) -> None:
    """A server can let in its network, or belong to nobody."""
    world.attic.allows_without_token = True
    assert (await client.pms(world.attic, "/accounts")).status == 200
    assert (await client.pms(world.attic, "/", token="wrong")).status == 401
    world.cellar.claimed = False
    root = await client.pms(world.cellar, "/")
    assert root.container["myPlex"] is False
    assert root.container["myPlexUsername"] == ""


async def test_root(client: Client, world: DemoWorld, owner_token: str) -> None:
    """The root says what the server is."""
    root = (await client.pms(world.attic, "/", token=owner_token)).container
    assert root["friendlyName"] == "Attic"
    assert root["machineIdentifier"] == world.attic.machine_identifier
    assert root["version"] == world.attic.version
    assert root["myPlex"] is True
    assert root["myPlexUsername"] == "ada@plex-user.example"
    assert "claimed" not in root
    as_xml = await client.pms(world.attic, "/", token=owner_token, accept=None)
    assert as_xml.xml.get("myPlex") == "1"
    assert as_xml.xml[0].tag == "Directory"


async def test_film(client: Client, world: DemoWorld, owner_token: str) -> None:
    """Who has a token gets the film, its poster, and what is known of it."""
    known = await client.pms(world.attic, METADATA_PATH, token=owner_token)
    (film,) = known.container["Metadata"]
    assert film["ratingKey"] == str(RATING_KEY)
    assert film["thumb"] == POSTER_PATH
    assert film["Media"][0]["Part"][0]["key"] == FILE_PATH
    url = URL(world.attic.url + POSTER_PATH) % {"X-Plex-Token": owner_token}
    async with ClientSession() as session, session.get(url) as poster:
        assert poster.content_type == "image/png"
        assert (await poster.read()).startswith(b"\x89PNG")
    file = await client.pms(world.attic, FILE_PATH, token=owner_token)
    assert file.content_type == "video/mp4"
    assert file.text == FILE.decode()
    for path in (METADATA_PATH, POSTER_PATH, FILE_PATH):
        assert (await client.pms(world.attic, path)).status == 401


async def find(
    client: Client, server: MediaServer, token: str, source: str, **options: Any
) -> Reaction:
    """Ask a server where a source is."""
    params = {"source": source, "refresh": "1"}
    return await client.pms(
        server, "/security/resources", token=token, params=params, **options
    )


def source_of(server: MediaServer) -> str:
    """Name a server as a source."""
    return f"server://{server.machine_identifier}"


async def test_source(client: Client, world: DemoWorld, owner_token: str) -> None:
    """A server tells where another is and gives a token for it."""
    transient = await client.mint(world.attic, owner_token)
    for token in (owner_token, transient):
        found = await find(client, world.attic, token, source_of(world.cellar))
        device = found.container["Device"]
        assert device["name"] == "Cellar (ada)"
        assert device["clientIdentifier"] == world.cellar.machine_identifier
        assert {
            "protocol": "http",
            "address": "127.0.0.1",
            "port": world.cellar.listeners[0].port,
            "uri": world.cellar.url,
            "local": True,
        } in device["Connection"]
        relays = [item for item in device["Connection"] if "relay" in item]
        assert [item["relay"] for item in relays] == [True]
        opened = await client.pms(
            world.cellar, "/accounts", token=device["accessToken"]
        )
        assert opened.status == 200


async def test_source_in_xml(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """The same as XML."""
    source = source_of(world.attic) + "/com.plexapp.plugins.library"
    found = await find(client, world.attic, owner_token, source, accept=None)
    device = found.xml[0]
    assert found.xml.attrib == {"size": "1"}
    assert device.tag == "Device"
    assert TRANSIENT.fullmatch(device.get("accessToken", ""))
    assert {child.tag for child in device} == {"Connection"}
    assert [child.get("relay") for child in device].count("1") == 1


async def test_source_shared(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """At a server of someone else's, the token has a guest's rights."""
    found = await find(client, world.attic, owner_token, source_of(world.library))
    token = found.container["Device"]["accessToken"]
    assert (await client.pms(world.library, "/", token=token)).status == 200
    assert (await client.pms(world.library, "/accounts", token=token)).status == 403


async def test_source_provider(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """A provider in the cloud is a source as well."""
    source = "provider://tv.plex.provider.podcasts"
    found = await find(client, world.attic, owner_token, source)
    device = found.container["Device"]
    assert device["clientIdentifier"] == "tv.plex.provider.podcasts"
    assert device["Connection"][0]["address"] == "podcasts.provider.plex.invalid"
    assert device["Connection"][0]["port"] == 443


async def test_source_shapes(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """A device may come as an array, a port as a string."""
    world.attic.device_as_array = world.attic.port_as_string = True
    found = await find(client, world.attic, owner_token, source_of(world.attic))
    (device,) = found.container["Device"]
    assert all(isinstance(item["port"], str) for item in device["Connection"])


@pytest.mark.parametrize(
    "source", ["", "attic", "server://", "http://127.0.0.1", "server://a b"]
)
async def test_source_malformed(
    client: Client, world: DemoWorld, owner_token: str, source: str
) -> None:
    """What is not a source is a bad request."""
    refused = await find(client, world.attic, owner_token, source)
    assert (refused.status, refused.content_type) == (400, "text/html")


@pytest.mark.parametrize("status", [404, 400, 403, 200])
async def test_source_unknown(
    client: Client, world: DemoWorld, owner_token: str, status: int
) -> None:
    """Nobody knows what Plex answers to an unknown source, so it can be chosen."""
    world.attic.unknown_source_status = status
    for source in ("server://0123", "provider://tv.plex.provider.none"):
        unknown = await find(client, world.attic, owner_token, source)
        assert unknown.status == status
    if status == 200:
        assert unknown.container == {"size": 0}


async def test_sources_are_settable(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """A test decides which sources a server knows."""
    tidal = Provider("tv.plex.provider.tidal", "Tidal")
    world.attic.sources = [tidal]
    found = await find(
        client, world.attic, owner_token, f"provider://{tidal.identifier}"
    )
    assert found.container["Device"]["Connection"] == []
    gone = await find(client, world.attic, owner_token, source_of(world.cellar))
    assert gone.status == 404


async def test_source_refused(
    client: Client, world: DemoWorld, owner_token: str
) -> None:
    """Only owners may ask, with a token, and not a server that is too old."""
    source = source_of(world.library)
    guest = world.library.access_token(world.ada)
    assert (await find(client, world.library, guest, source)).status == 403
    assert (await find(client, world.attic, "wrong", source)).status == 401
    world.cellar.allows_without_token = True
    assert (await find(client, world.cellar, "", source)).status == 403
    world.attic.listing.product_version = "1.15.3.876-ad6e39743"
    assert (await find(client, world.attic, owner_token, source)).status == 404
    world.attic.listing.product_version = "1.15.4.919-f9b8d3a1c"
    assert (await find(client, world.attic, owner_token, source)).status == 200
    url = f"{world.attic.url}/security/resources"
    posted = await client.send("POST", url, token=owner_token)
    assert posted.status == 404


# What a test does to the world.


async def test_stop_and_start(client: Client, world: DemoWorld) -> None:
    """A stopped server refuses connections and comes back at the same address."""
    assert (await client.pms(world.attic, "/identity")).status == 200
    url = world.attic.url
    await world.attic.stop()
    await world.attic.stop()
    with pytest.raises(ClientError):
        await client.pms(world.attic, "/identity")
    await world.attic.start()
    await world.attic.start()
    assert world.attic.url == url
    assert (await client.pms(world.attic, "/identity")).status == 200


async def test_nobody_there(
    client: Client, plex: PlexEmulator, world: DemoWorld
) -> None:
    """Some addresses refuse, a stale server's too; one takes a call and is silent."""
    for url in (f"http://127.0.0.1:{plex.refusing_port}", world.stale.url):
        with pytest.raises(ClientConnectorError):
            await client.send("GET", url)
    for scheme in ("http", "https"):
        url = f"{scheme}://127.0.0.1:{plex.silent_port}"
        with pytest.raises(TimeoutError):
            await client.send("GET", url, timeout=ClientTimeout(total=0.1))


async def test_sign_out_everywhere(
    plex: PlexEmulator,
    client: Client,
    world: DemoWorld,
    ada_token: str,
    owner_token: str,
) -> None:
    """Every token of one account dies, nobody else's."""
    transient = await client.mint(world.attic, owner_token)
    grace = plex.tv.issue(world.grace, "client-1").text
    plex.sign_out_everywhere(world.ada)
    assert (await client.tv("GET", "user", token=ada_token)).code == 1001
    for token in (owner_token, transient):
        assert (await client.pms(world.attic, "/", token=token)).status == 401
    assert (await client.tv("GET", "user", token=grace)).status == 200
    assert world.attic.access_token(world.ada) != owner_token


async def test_change_password(
    plex: PlexEmulator, client: Client, world: DemoWorld
) -> None:
    """The old password is of no use any more, the token still is."""
    token = (await client.sign_in(GRACE)).json["authToken"]
    plex.change_password(world.grace, "password-grace-new")
    assert (await client.sign_in(GRACE)).code == 1001
    assert (await client.tv("GET", "user", token=token)).status == 200
    assert (await client.sign_in({**GRACE, "password": "password-grace-new"})).json
    assert "password-grace-new" in plex.secrets


async def test_latency(client: Client, plex: PlexEmulator, world: DemoWorld) -> None:
    """Each host, and each of its addresses, can be far away."""
    loop = asyncio.get_running_loop()
    second = world.attic.add_listener()
    await world.attic.start()

    async def seconds(url: str) -> float:
        begin = loop.time()
        await client.send("GET", f"{url}/identity")
        return loop.time() - begin

    assert await seconds(world.attic.url) < 0.2
    second.latency = 0.2
    assert await seconds(world.attic.url) < 0.2
    assert await seconds(second.url) >= 0.2
    world.attic.latency = 0.2
    assert await seconds(world.attic.url) >= 0.2
    assert await seconds(second.url) >= 0.4


async def test_recording(
    plex: PlexEmulator, client: Client, world: DemoWorld, owner_token: str
) -> None:
    """What was sent is remembered: to whom, and with which token."""
    await client.sign_in(GRACE)
    await find(client, world.attic, owner_token, "server://1")
    signed_in, found = plex.requests
    assert (signed_in.host, signed_in.method) == ("plex.tv", "POST")
    assert signed_in.path == "/api/v2/users/signin"
    assert signed_in.form == GRACE
    assert signed_in.token == ""
    assert signed_in.client_identifier == "client-1"
    assert (found.host, found.token) == ("Attic", owner_token)
    assert found.query["source"] == "server://1"
    assert found.headers["accept"] == "application/json"
    assert found.time >= signed_in.time
    assert plex.requests.matching(host="Attic") == [found]
    assert plex.requests.matching(path="/api/v2/*", method="POST") == [signed_in]
    assert plex.requests.matching(host="Cellar") == []


async def test_secrets(
    plex: PlexEmulator, client: Client, world: DemoWorld, ada_token: str
) -> None:
    """Every secret is known, and tells what it is."""
    server_token = world.attic.access_token(world.ada)
    transient = await client.mint(world.attic, server_token)
    strong = (await client.tv("POST", "pins", params={"strong": "1"})).json["code"]
    short = (await client.tv("POST", "pins")).json["code"]
    secrets = {ada_token, server_token, transient, strong, CODE, ADA["password"]}
    assert secrets <= set(plex.secrets)
    assert short not in plex.secrets
    assert len(plex.secrets) == len(set(plex.secrets))
    assert any(secret.startswith("provider-token-") for secret in plex.secrets)
    personal = {"ada@plex-user.example", world.attic.machine_identifier, "Attic"}
    assert personal | {world.ada.user.uuid, world.attic.url} <= set(plex.personal)
    assert not set(plex.secrets) & set(plex.personal)


# Faults.


async def test_error_fault(plex: PlexEmulator, client: Client, ada_token: str) -> None:
    """An error in any shape, with any header."""
    limited = error(429, code=1003, message="Slow down", headers={"Retry-After": "7"})
    plex.faults.add(limited, path="/api/v2/user", times=1)
    reaction = await client.tv("GET", "user", token=ada_token)
    assert (reaction.status, reaction.code) == (429, 1003)
    assert reaction.headers["Retry-After"] == "7"
    assert (await client.tv("GET", "user", token=ada_token)).status == 200
    plex.faults.add(error(503, kind="html"))
    reaction = await client.tv("GET", "user", token=ada_token)
    assert (reaction.status, reaction.content_type) == (503, "text/html")
    plex.faults.add(error(401, kind="xml", code=1001))
    assert (await client.tv("GET", "user")).xml[0].get("code") == "1001"


async def test_where_a_fault_happens(
    plex: PlexEmulator, client: Client, world: DemoWorld
) -> None:
    """A fault has its host, path, method and port, and can be taken back."""
    second = world.attic.add_listener()
    await world.attic.start()
    fault = error(500)

    async def status(url: str, method: str = "GET") -> int:
        return (await client.send(method, f"{url}/identity")).status

    rule = plex.faults.add(fault, host="Attic", path="/ident*", port=second.port)
    assert await status(second.url) == 500
    assert await status(world.attic.url) == 200
    assert await status(world.cellar.url) == 200
    assert rule.hits == 1
    plex.faults.remove(rule)
    assert await status(second.url) == 200
    plex.faults.add(fault, method="POST")
    assert await status(world.cellar.url) == 200
    assert await status(world.cellar.url, "POST") == 500
    plex.faults.clear()
    assert await status(world.cellar.url, "POST") == 200


async def test_newest_fault_first(plex: PlexEmulator, client: Client) -> None:
    """A fault added later comes before an earlier one, until it is used up."""
    plex.faults.add(error(500))
    plex.faults.add(error(502), times=1)
    assert (await client.tv("GET", "user")).status == 502
    assert (await client.tv("GET", "user")).status == 500


async def test_reset(plex: PlexEmulator, client: Client, world: DemoWorld) -> None:
    """A connection is reset before anything is sent, or in the middle."""
    rule = plex.faults.add(Vanish())
    with pytest.raises(ClientError):
        await client.pms(world.attic, "/identity")
    plex.faults.remove(rule)
    plex.faults.add(Cut())
    with pytest.raises(ClientError) as caught:
        await client.pms(world.attic, "/identity")
    assert not isinstance(caught.value, ServerDisconnectedError)


async def test_reset_is_a_reset(plex: PlexEmulator) -> None:
    """The kernel says so, too."""
    plex.faults.add(Vanish())
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", plex.tv.listeners[0].port
    )
    writer.write(b"GET / HTTP/1.1\r\nHost: plex\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_lost_answer(
    plex: PlexEmulator, client: Client, world: DemoWorld
) -> None:
    """An answer may be lost after what was asked has been done."""
    plex.faults.add(Vanish(Ending.CLOSE, handled=True))
    with pytest.raises(ServerDisconnectedError):
        await client.sign_in(GRACE)
    assert len(plex.tv.tokens) == 1
    plex.faults.add(Vanish(Ending.CLOSE))
    with pytest.raises(ServerDisconnectedError):
        await client.sign_in(GRACE, client="client-2")
    assert len(plex.tv.tokens) == 1


async def test_truncated(plex: PlexEmulator, client: Client) -> None:
    """A body may end before it should."""
    plex.faults.add(Cut(Ending.CLOSE))
    with pytest.raises(ClientPayloadError):
        await client.tv("GET", "user")


@pytest.mark.parametrize(
    "fault",
    [Vanish(Ending.SILENCE), Cut(Ending.SILENCE), Cut(Ending.SILENCE, 0), Drip()],
)
async def test_silence(plex: PlexEmulator, client: Client, fault: Vanish) -> None:
    """Nothing comes, or no more, or hardly anything, and the end is quick even so."""
    plex.faults.add(fault)
    with pytest.raises(TimeoutError):
        await client.tv("GET", "user", timeout=ClientTimeout(total=0.2))
    task = asyncio.create_task(client.tv("GET", "user"))
    await asyncio.sleep(0.1)
    begin = asyncio.get_running_loop().time()
    await plex.tv.stop()
    assert asyncio.get_running_loop().time() - begin < 0.5
    with pytest.raises(ClientError):
        await task


async def test_silence_after_the_head(plex: PlexEmulator) -> None:
    """The head of an answer arrives even if its body never does."""
    plex.faults.add(Cut(Ending.SILENCE, share=0))
    async with ClientSession(timeout=ClientTimeout(total=0.2)) as session:
        response = await session.get(plex.url)
        assert response.status == 404
        with pytest.raises(TimeoutError):
            await response.read()


async def test_not_http(plex: PlexEmulator, client: Client) -> None:
    """Something else than Plex may be at an address."""
    plex.faults.add(Raw(b"SSH-2.0-OpenSSH_10.0\r\n"))
    with pytest.raises(ClientError):
        await client.tv("GET", "user")


async def test_slow(plex: PlexEmulator, client: Client, ada_token: str) -> None:
    """What is slow is still right."""
    plex.faults.add(Drip(pause=0.001))
    assert (await client.tv("GET", "ping", token=ada_token)).json == {"pong": True}
    plex.faults.add(Delay(0.05))
    assert (await client.tv("GET", "ping", token=ada_token)).json == {"pong": True}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        Answer(body=b"<html></html>", content_type="text/html"),
        Answer(body=b'{"user": []}', content_type="application/json"),
        Answer(body=b"\xff\xfe\x00", content_type="application/octet-stream"),
    ],
)
async def test_other_answer(plex: PlexEmulator, client: Client, answer: Answer) -> None:
    """Any bytes with any headers."""
    plex.faults.add(Reply(answer))
    url = f"{plex.url}/api/v2/user"
    async with ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        assert await response.read() == answer.body
        assert answer.content_type in ("", response.content_type)


async def test_big_body(plex: PlexEmulator) -> None:
    """A body may be big, or become so when it is unpacked."""
    async with ClientSession() as session:
        plex.faults.add(Flood(3))
        async with session.get(plex.url) as response:
            assert len(await response.json()) == 3 * 1024 * 1024
        plex.faults.add(gzip_bomb(3))
        async with session.get(plex.url) as response:
            assert int(response.headers["Content-Length"]) < 10_000
            assert len(await response.json()) == 3 * 1024 * 1024


async def test_redirect(plex: PlexEmulator, client: Client, world: DemoWorld) -> None:
    """A client may be sent elsewhere."""
    plex.faults.add(redirect(world.attic.url, 307), host="plex.tv")
    sent = await client.tv("GET", "user")
    assert sent.status == 307
    assert sent.headers["Location"] == world.attic.url


async def test_port_is_kept(plex: PlexEmulator) -> None:
    """Nobody else can have the port of a host, while it stops and after that."""
    listener = plex.tv.listeners[0]

    def try_to_take() -> None:
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((listener.address, listener.port))

    plex.faults.add(Vanish(Ending.SILENCE))
    async with ClientSession() as session:
        waiting = asyncio.create_task(session.delete(plex.url))
        async with asyncio.timeout(5):
            while not plex.requests:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        stop = asyncio.create_task(plex.tv.stop())
        while not stop.done():
            try_to_take()
            await asyncio.sleep(0)
        with pytest.raises(ClientError):
            await waiting
    try_to_take()
    await plex.tv.start()


@pytest.mark.parametrize("turns", range(5))
async def test_stop_drops_what_is_new(plex: PlexEmulator, turns: int) -> None:
    """A connection that is accepted while the host stops does not outlive that."""
    listener = plex.tv.listeners[0]
    clients = []
    for _ in range(20):
        client = socket.socket()
        client.settimeout(0)
        with pytest.raises(BlockingIOError):
            client.connect((listener.address, listener.port))
        clients.append(client)
    for _ in range(turns):
        await asyncio.sleep(0)
    await plex.tv.stop()
    await asyncio.sleep(0.01)
    for client in clients:
        with client, suppress(ConnectionResetError):
            assert client.recv(1) == b""
    await plex.tv.start()


# HTTPS.


async def test_https(plex: PlexEmulator, world: DemoWorld) -> None:
    """A server can have an address with a certificate for a name that resolves here."""
    domain = "0123456789abcdef0123456789abcdef.plex.direct"
    authority = CertificateAuthority()
    listener = world.attic.add_listener(
        ssl_context=authority.server_context(f"*.{domain}")
    )
    await world.attic.start()
    good = Connection.plex_direct("127.0.0.1", listener.port, domain=domain)
    bad = Connection.plex_direct("127.0.0.1", listener.port, domain=f"x{domain}")
    connector = TCPConnector(
        resolver=LoopbackResolver("*.plex.direct"), ssl=authority.client_context()
    )
    async with ClientSession(connector=connector) as session:
        async with session.get(f"{good.uri}/identity") as response:
            assert response.status == 200
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            await session.get(f"{bad.uri}/identity")
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await session.get(f"{listener.url}/identity")
        with pytest.raises(ClientError):
            await session.get("https://plex.example.invalid")


async def test_expired_certificate(plex: PlexEmulator) -> None:
    """The certificate of a server can be too old."""
    authority = CertificateAuthority()
    context = authority.expired_context("127.0.0.1")
    listener = plex.tv.add_listener(ssl_context=context)
    await listener.start()
    connector = TCPConnector(ssl=authority.client_context())
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ssl.SSLCertVerificationError, match="has expired"):
            await session.get(listener.url)


# By hand and from other processes.


async def control(client: Client, plex: PlexEmulator, action: str, **data: str) -> Any:
    """Drive the emulator from outside."""
    url = f"{plex.url}/_emulator/{action}"
    reaction = await client.send("POST", url, json=data, client=None, accept=None)
    assert reaction.status == 200, reaction.text
    return reaction.json


async def test_control(
    plex: PlexEmulator, client: Client, world: DemoWorld, owner_token: str
) -> None:
    """Another process can do what a test can."""
    token = await client.mint(world.attic, owner_token)
    await control(client, plex, "restart_server", server="Attic")
    assert (await client.pms(world.attic, "/", token=token)).status == 401
    await control(client, plex, "stop_server", server="Attic")
    with pytest.raises(ClientError):
        await client.pms(world.attic, "/identity")
    await control(client, plex, "start_server", server="Attic")
    await control(client, plex, "revoke_tokens", account="ada")
    assert (await client.pms(world.attic, "/", token=owner_token)).status == 401
    made = await control(client, plex, "add_server", name="Shed", owner="ada")
    assert made["url"] == plex.server("Shed").url
    await control(client, plex, "rename_server", server="Shed", name="Hut")
    await control(client, plex, "remove_server", server="Hut")
    assert "Hut" not in [server.name for server in plex.servers]
    plex.tv.failures_allowed = 1
    assert (await client.sign_in({**GRACE, "password": "x"})).code == 1001
    await control(client, plex, "forgive")
    assert (await client.sign_in(GRACE)).status == 201


async def test_control_pins(
    plex: PlexEmulator, client: Client, world: DemoWorld
) -> None:
    """Another process can play the one who types the code."""
    code = (await client.tv("POST", "pins")).json["code"]
    assert (await control(client, plex, "describe"))["pins"] == [code]
    claimed = await control(client, plex, "claim_pin", code=code, account="linus")
    assert claimed == {"client_identifier": "client-1"}
    await control(client, plex, "expire_pins")
    assert plex.tv.pins[0].expired


async def test_control_requests(
    plex: PlexEmulator, client: Client, world: DemoWorld
) -> None:
    """Another process can see what was sent, but not what it sent itself."""
    await client.pms(world.attic, "/identity", token="some-token")
    await client.pms(world.cellar, "/identity")
    (received,) = await control(client, plex, "requests", host="Attic")
    assert (received["path"], received["token"]) == ("/identity", "some-token")
    await control(client, plex, "clear_requests")
    assert await control(client, plex, "requests") == []


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("nothing", "{}", 404),
        ("stop_server", '{"server": "Nowhere"}', 400),
        ("stop_server", '{"host": "Attic"}', 400),
        ("stop_server", "[", 400),
        ("claim_pin", '{"code": "ABCD", "account": "linus"}', 400),
        ("claim_pin", '{"code": "ABCD", "account": "nobody"}', 400),
    ],
)
async def test_control_mistakes(
    plex: PlexEmulator, client: Client, action: str, body: str, status: int
) -> None:
    """A mistake is explained."""
    await build_demo_world(plex)
    url = f"{plex.url}/_emulator/{action}"
    reaction = await client.send("POST", url, data=body)
    assert reaction.status == status
    assert reaction.json["error"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_command(tmp_path: Path, number: signal.Signals) -> None:
    """The demonstration says where it is and stops when it is told to."""
    state = tmp_path / "state.json"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.plex_emulator", "--state", str(state)),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    first = (await process.stdout.readline()).decode()
    async with asyncio.timeout(5):
        while not state.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    described = json.loads(state.read_text())
    assert described["url"] in first
    async with ClientSession() as session:
        for server in described["servers"]:
            if server["presence"]:
                async with session.get(f"{server['url']}/identity") as response:
                    assert response.status == 200
    process.send_signal(number)
    rest = (await process.communicate())[0].decode()
    assert process.returncode == 0
    for account in described["accounts"]:
        assert (account["password"] or account["username"]) in rest
    assert not state.exists()


def test_unknown_names() -> None:
    """What is looked up by name and does not exist is an error."""
    plex = PlexEmulator()
    with pytest.raises(LookupError):
        plex.account("nobody")
    with pytest.raises(LookupError):
        plex.server("nowhere")


async def test_rotate(client: Client, plex: PlexEmulator, ada_token: str) -> None:
    """A rotated token is told by /user; the old text is good until it is revoked."""
    (token,) = plex.tv.tokens
    rotated = plex.tv.rotate(token)
    assert rotated != ada_token
    assert plex.tv.tokens == [token]
    for text in (ada_token, rotated):
        user = await client.tv("GET", "user", token=text)
        assert user.json["authToken"] == rotated
    plex.tv.revoke(token)
    for text in (ada_token, rotated):
        assert (await client.tv("GET", "user", token=text)).status == 401
