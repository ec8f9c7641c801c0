"""Prove that the emulator is Plex, as far as clients go that are not ours.

What our own client is tested with is proven there.
"""

import asyncio
from collections.abc import AsyncGenerator
import json
import re
import socket
from typing import Any

from aiohttp import ClientSession
from plexapi.alert import AlertListener
from plexapi.exceptions import TwoFactorRequired, Unauthorized
from plexapi.myplex import MyPlexAccount, MyPlexPinLogin, MyPlexResource
from plexapi.server import PlexServer
import pytest
from yarl import URL

from tests import until
from tests.plex_emulator import DemoWorld, PlexEmulator, build_demo_world
from tests.plex_emulator.demo_library import FILMS, stock
from tests.plex_emulator.emulator import LOOPBACK

ADA = {"login": "ada", "password": "password-ada-countess"}
GRACE = {"login": "grace", "password": "password-grace-admiral"}
CODE = "314159"
TRANSIENT = re.compile(r"transient-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture
async def plex() -> AsyncGenerator[PlexEmulator]:
    """Return an emulator whose servers speak plain HTTP, as those clients do."""
    async with PlexEmulator() as emulator:
        yield emulator


@pytest.fixture
async def world(plex: PlexEmulator) -> DemoWorld:
    """Fill it with the demonstration's world."""
    return await build_demo_world(plex)


@pytest.fixture
def owner_token(world: DemoWorld) -> str:
    """Return the token that ada has for the attic."""
    return world.attic.access_token(world.ada)


@pytest.fixture
def plexapi(plex: PlexEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let python-plexapi talk to the emulator."""
    addresses = {
        MyPlexAccount: ("SIGNIN", "SIGNOUT", "PING", "key"),
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


async def test_plexapi_alerts(world: DemoWorld, owner_token: str) -> None:
    """What a server pushes is what the library's listener understands."""
    attic = world.attic
    await attic.encrypt(None)
    server = await asyncio.to_thread(PlexServer, attic.url, owner_token)
    alerts: list[dict[str, Any]] = []
    url = URL(attic.url)
    # It closes no socket of its own if the server hangs up. To stop it takes longer.
    with socket.create_connection((url.host, url.port)) as own:
        listener = AlertListener(server, alerts.append, ws_socket=own)
        listener.start()
        await until(lambda: len(attic.push.sockets) == 1)
        await attic.map_port("failed", "unreachable")
        await until(lambda: bool(alerts))
        await attic.push.hang_up()
        await asyncio.to_thread(listener.join)
    assert alerts == [
        {
            "type": "reachability",
            "size": 1,
            "ReachabilityNotification": [{"reachability": False}],
        }
    ]
    account = await asyncio.to_thread(server.account)
    assert account.mappingError == "unreachable"
    settings = await asyncio.to_thread(lambda: server.settings)
    assert settings.get("PublishServerOnPlexOnlineKey").value is True


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
    assert again.friendlyName == "Attic"
    identity = await asyncio.to_thread(server.identity)
    assert identity.machineIdentifier == world.attic.machine_identifier
    assert identity.claimed is True


async def test_plexapi_library(world: DemoWorld, owner_token: str) -> None:
    """Libraries, shelves and playlists are browsed and searched as the real ones."""
    stock(world.attic)

    def browse(server: Any) -> None:
        sections = {each.title: each for each in server.library.sections()}
        assert [*sections] == ["Films", "Series", "Music", "Photos"]
        films = sections["Films"].all()
        assert [(film.title, film.year) for film in films] == list(FILMS.items())
        (part,) = films[0].media[0].parts
        assert part.container == "mp4"
        content = world.attic.library.find_file(part.key)
        assert content
        assert part.size == len(content)
        (show,) = sections["Series"].all()
        assert [each.title for each in show.seasons()] == ["Season 1", "Season 2"]
        (artist,) = sections["Music"].all()
        (album,) = server.fetchItems(f"/library/metadata/{artist.ratingKey}/children")
        tracks = [track.title for track in album.tracks()]
        assert tracks == ["Undertow", "Salt", "Homeward"]
        (playlist,) = server.playlists()
        assert len(playlist.items()) == 3
        found = [film.title for film in server.search("harbour")]
        assert found == ["Beyond the harbour"]
        assert server.fetchItem(films[1].ratingKey) == films[1]

    server = await asyncio.to_thread(PlexServer, world.attic.url, owner_token)
    await asyncio.to_thread(browse, server)


async def test_plexapi_server_refuses(world: DemoWorld) -> None:
    """A wrong token is refused, and a guest does not see what is the owner's."""
    with pytest.raises(Unauthorized):
        await asyncio.to_thread(PlexServer, world.attic.url, "wrong")


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


# What no client above does.


async def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, str, str]:
    """Return status, content type and text of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession() as session,
        session.request(method, url, headers=named) as response,
    ):
        return response.status, response.content_type, await response.text()


@pytest.mark.parametrize(
    "path", ["user", "resources", "ping", "pins/1", "pins.json", "users/signout"]
)
async def test_client_identifier_needed(plex: PlexEmulator, path: str) -> None:
    """plex.tv wants to know which client asks, and says so in what was asked for."""
    url = f"{plex.url}/api/v2/{path}"
    status, kind, text = await ask(url, Accept="application/json")
    assert (status, kind) == (400, "application/json")
    assert json.loads(text)["errors"][0]["code"] == 1000
    if not path.endswith(".json"):
        status, kind, text = await ask(url)
        assert (status, kind) == (400, "application/xml")
        assert 'code="1000"' in text


async def test_errors_of_servers_are_pages(world: DemoWorld) -> None:
    """A server writes HTML when it refuses, whatever it was asked for."""
    for path, expected in (("/", 401), ("/nowhere", 401)):
        status, kind, text = await ask(
            world.attic.url + path, Accept="application/json"
        )
        assert (status, kind) == (expected, "text/html")
        assert "Unauthorized" in text


async def test_without_a_token(world: DemoWorld) -> None:
    """A server needs no token while it has no owner."""
    world.cellar.claimed = False
    assert (await ask(f"{world.cellar.url}/"))[0] == 200
    status, _, _ = await ask(
        f"{world.cellar.url}/security/token?type=delegation&scope=all"
    )
    assert status == 403


async def test_connections_stay_on_loopback(plex: PlexEmulator) -> None:
    """Whatever is listed, a client that tries it gets no further than this machine."""
    await build_demo_world(plex)
    listings = [server.listing for server in plex.servers]
    listings += [player.listing for player in plex.players]
    for connection in (item for listing in listings for item in listing.connections):
        host = connection.uri.split("//")[1].rsplit(":", 1)[0]
        assert host in LOOPBACK or host.endswith(".invalid")
        assert connection.address in {*LOOPBACK, "plex.example.invalid"}
