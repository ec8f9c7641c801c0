"""Tests of browsing, searching and playing libraries in Home Assistant."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)
from syrupy.assertion import SnapshotAssertion

from custom_components.plex_account import access, media as media_module, playing
from custom_components.plex_account.const import DOMAIN
from homeassistant.components import media_source
from homeassistant.components.media_player import BrowseError
from homeassistant.components.media_source import Unresolvable
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component

from . import Tick, follow, setup_integration
from .plex_emulator import (
    Account,
    Delay,
    Ending,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
)
from .plex_emulator.demo_library import FILMS, stock
from .plex_emulator.library import FILE, Entry, Section
from .plex_emulator.replies import Answer, json_answer

MEDIA = [{"Part": [{"key": "/library/parts/1/2/file.mp4"}]}]
ROOT = f"media-source://{DOMAIN}"
# What is told of an identifier that is nothing for anybody, or not for a player.
NOTHING = "There is nothing at {}"
GONE = "does not have this item"
LIST = "Choose one of them in the Media panel"
HLS = "application/x-mpegURL"


@pytest.fixture
async def panel(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
) -> Panel:
    """Return the media panel of somebody whose server has something of everything."""
    stock(attic)
    await async_setup_component(hass, "media_source", {})
    await setup_integration(hass, config_entry)
    return Panel(await hass_ws_client(hass))


class Panel:
    """What the frontend's media panel does."""

    def __init__(self, socket: Any) -> None:
        """Talk to Home Assistant by a WebSocket."""
        self._socket = socket

    async def ask(self, command: str, content_id: str, **data: str) -> Any:
        """Send a command and return the answer."""
        await self._socket.send_json_auto_id(
            {"type": f"media_source/{command}", "media_content_id": content_id, **data}
        )
        return await self._socket.receive_json()

    async def browse(self, content_id: str) -> Any:
        """Return what is at a place."""
        answer = await self.ask("browse_media", content_id)
        assert answer["success"], answer
        return answer["result"]

    async def open(self, *titles: str) -> Any:
        """Open one thing after the other, from the top on."""
        node = await self.browse(ROOT)
        for title in titles:
            node = await self.browse(child(node, title)["media_content_id"])
        return node


def child(node: Any, title: str) -> Any:
    """Return what is called so within something."""
    (found,) = [each for each in node["children"] if each["title"] == title]
    return found


def titles_of(node: Any) -> list[str]:
    """Return what is listed."""
    return [each["title"] for each in node["children"]]


async def test_tree(panel: Panel, ada: Account) -> None:
    """From the account one gets to every film, episode, song and photo."""
    account = await panel.open()
    assert (account["title"], titles_of(account)) == (ada.user.title, ["Attic"])
    server = await panel.open("Attic")
    assert titles_of(server) == [
        "Continue watching",
        "Recently added",
        "Films",
        "Series",
        "Music",
        "Photos",
        "Playlists",
    ]
    films = await panel.open("Attic", "Films")
    assert titles_of(films) == [*FILMS]
    assert films["children_media_class"] == "movie"
    assert all(film["can_play"] for film in films["children"])
    path = ("Attic", "Series", "The lighthouse keepers", "Season 1")
    season = await panel.open(*path)
    assert titles_of(season) == ["1. Arrival", "2. Fog"]
    assert season["children_media_class"] == "episode"
    album = await panel.open("Attic", "Music", "The Lanterns", "Low tide")
    assert titles_of(album) == ["1. Undertow", "2. Salt", "3. Homeward"]
    photos = await panel.open("Attic", "Photos", "Summer")
    assert titles_of(photos) == ["Beach", "Lighthouse"]
    assert photos["children_media_class"] == "image"
    playlist = await panel.open("Attic", "Playlists", "Rainy days")
    assert (playlist["title"], len(playlist["children"])) == ("Rainy days", 3)
    assert playlist["children_media_class"] == "movie"
    shelf = await panel.open("Attic", "Continue watching")
    assert titles_of(shelf)[0] == "Beyond the harbour (1999)"
    recent = await panel.open("Attic", "Recently added")
    assert "Fog (The lighthouse keepers · S1E2)" in titles_of(recent)
    assert "Salt (The Lanterns · Low tide)" in titles_of(recent)
    assert "Low tide (The Lanterns)" in titles_of(recent)
    assert recent["children_media_class"] == "directory"


@pytest.mark.parametrize(
    ("kind", "path", "shown"),
    [
        ("audio/", ("Music", "The Lanterns", "Low tide"), 3),
        ("audio/", ("Music",), 1),
        ("audio/", ("Films",), 0),
        ("video/", ("Films",), len(FILMS)),
        ("image/", ("Photos", "Summer"), 2),
        ("image/", ("Films",), 0),
    ],
)
async def test_for_a_player(
    hass: HomeAssistant, panel: Panel, kind: str, path: tuple[str, ...], shown: int
) -> None:
    """A player that can play but one kind sees that, and what leads to it."""
    node = await panel.open("Attic", *path)
    filtered = await media_source.async_browse_media(
        hass,
        node["media_content_id"],
        content_filter=lambda item: item.media_content_type.startswith(kind),
    )
    assert len(filtered.children or ()) == shown


async def test_two_of_a_title(panel: Panel, attic: MediaServer) -> None:
    """The year is what tells two films of a title from each other."""
    films = [
        Entry(1, "movie", "Solaris", year=1972),
        Entry(2, "movie", "Solaris", year=2002),
        Entry(3, "movie", "Stalker", year=1979),
        Entry(4, "track", "Stalker", index=1),
    ]
    for film in films:
        film.files = [("film.mp4", FILE)]
    attic.library.sections = [Section(1, "movie", "Films", films)]
    assert titles_of(await panel.open("Attic", "Films")) == [
        "Solaris (1972)",
        "Solaris (2002)",
        "Stalker",
        "1. Stalker",
    ]


async def test_discs(panel: Panel, attic: MediaServer) -> None:
    """Tracks of the same number are told from each other by their disc."""
    (album,) = (e for e in attic.library.entries() if e.title == "Low tide")
    path = ("Attic", "Music", "The Lanterns", "Low tide")
    for track in album.children:
        track.disc = 1
    titles = titles_of(await panel.open(*path))
    assert titles[-1].startswith(f"{len(titles)}. ")
    album.children[-1].disc = 2
    split = titles_of(await panel.open(*path))
    assert split == [*(f"1-{title}" for title in titles[:-1]), f"2-{titles[-1]}"]


SHOWN = (
    *("can_play", "can_expand", "can_search", "children_media_class"),
    *("media_class", "media_content_id", "media_content_type", "thumbnail", "title"),
)


def shown(node: Any) -> Any:
    """Return what the panel knows of something, without signatures."""
    told = {name: node[name] for name in SHOWN}
    told["thumbnail"] = (told["thumbnail"] or "").partition("?")[0]
    return told


@pytest.mark.parametrize(
    "path",
    [
        (),
        ("Attic",),
        ("Attic", "Films"),
        ("Attic", "Series"),
        ("Attic", "Series", "The lighthouse keepers", "Season 1"),
        ("Attic", "Music", "The Lanterns", "Low tide"),
        ("Attic", "Photos", "Summer"),
        ("Attic", "Playlists", "Rainy days"),
        ("Attic", "Recently added"),
        ("Attic", "Long"),
        ("Attic", "Long", "F"),
        ("Attic", "Long", "F", "101 - 103"),
    ],
    ids=" > ".join,
)
async def test_nodes(
    panel: Panel,
    plex: PlexEmulator,
    attic: MediaServer,
    path: tuple[str, ...],
    snapshot: SnapshotAssertion,
) -> None:
    """What is listed is all that Home Assistant needs, and so is what is asked for."""
    entries = [Entry(1000 + n, "movie", f"F{n:03}", year=1900 + n) for n in range(104)]
    entries[0].title = "7"
    for entry in entries:
        entry.files = [("film.mp4", FILE)]
    attic.library.sections.append(Section(9, "movie", "Long", entries))
    before = await panel.open(*path[:-1])
    plex.requests.clear()
    node = before
    if path:
        node = await panel.browse(child(before, path[-1])["media_content_id"])
    assert [shown(node), *map(shown, node["children"][:12])] == snapshot
    asked = [(r.method, r.path, dict(r.query)) for r in plex.requests]
    assert asked == snapshot
    assert {r.value("Accept") for r in plex.requests} <= {"application/json"}


async def test_pictures(
    panel: Panel,
    plex: PlexEmulator,
    attic: MediaServer,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """A poster is fetched of Home Assistant, scaled by the server."""
    films = await panel.open("Attic", "Films")
    browser = await hass_client_no_auth()
    thumbnail = films["children"][0]["thumbnail"]
    assert thumbnail.startswith("/api/plex_account/")
    plex.requests.clear()
    async with browser.get(thumbnail) as answer:
        assert (answer.status, answer.content_type) == (HTTPStatus.OK, "image/jpeg")
    (asked,) = plex.requests
    assert (asked.path, dict(asked.query)) == (
        "/photo/:/transcode",
        {
            "url": attic.library.sections[0].entries[0].data()["thumb"],
            "width": "400",
            "height": "600",
            "minSize": "1",
            "upscale": "1",
        },
    )
    async with browser.get(thumbnail.partition("?")[0]) as answer:
        assert answer.status == HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("Films", "A train to nowhere"), "video/mp4"),
        (("Music", "The Lanterns", "Low tide", "2. Salt"), "audio/mpeg"),
        (("Photos", "Summer", "Beach"), "image/jpeg"),
    ],
)
async def test_play(
    panel: Panel,
    plex: PlexEmulator,
    hass_client_no_auth: ClientSessionGenerator,
    path: tuple[str, ...],
    kind: str,
) -> None:
    """What players can play is played as it is, from a signed path."""
    folder = await panel.open("Attic", *path[:-1])
    item = child(folder, path[-1])["media_content_id"]
    answer = (await panel.ask("resolve_media", item))["result"]
    assert answer["mime_type"] == kind
    browser = await hass_client_no_auth()
    plex.requests.clear()
    async with browser.get(answer["url"]) as file:
        assert (file.status, file.content_type) == (HTTPStatus.OK, kind)
        assert await file.read()
    (asked,) = plex.requests
    assert asked.token.startswith("transient-")
    assert asked.token not in str(answer)
    # A photo fills the screen.
    assert asked.query.get("width") == ("1920" if kind == "image/jpeg" else None)


async def test_long_library(
    panel: Panel, attic: MediaServer, plex: PlexEmulator
) -> None:
    """A library of thousands opens by letter, and a long letter in pages."""
    films = [
        Entry(1000 + number, "movie", f"{'AB#'[number % 3]} film {number:04}")
        for number in range(750)
    ]
    for film in films:
        film.files = [("film.mp4", b"film")]
        film.codecs = ("h264", "aac")
    attic.library.sections = [Section(1, "movie", "Films", films)]
    plex.requests.clear()
    letters = await panel.open("Attic", "Films")
    assert titles_of(letters) == ["#", "A", "B"]
    assert len(plex.requests.matching(path="/library/sections/1/all")) == 0
    for title, letter in (("#", "#"), ("A", "A")):
        page = await panel.browse(child(letters, title)["media_content_id"])
        assert page["title"] == title
        *items, second, third = titles_of(page)
        assert [item[0] for item in items] == [letter] * 100
        assert (second, third) == ("101 - 200", "201 - 250")
        last = await panel.browse(child(page, third)["media_content_id"])
        assert len(titles_of(last)) == 50
        assert {item[0] for item in titles_of(last)} == {letter}


async def test_short_library(panel: Panel, attic: MediaServer) -> None:
    """One that fits on a page needs no letters."""
    films = [Entry(1000 + number, "movie", f"Film {number}") for number in range(100)]
    for film in films:
        film.files = [("film.mp4", b"film")]
    attic.library.sections = [Section(1, "movie", "Films", films)]
    assert len(titles_of(await panel.open("Attic", "Films"))) == 100


async def test_long_lists(panel: Panel, attic: MediaServer, plex: PlexEmulator) -> None:
    """All that may be long goes on at a page of its own."""
    show = Entry(1, "show", "Show")
    season = show.add(Entry(2, "season", "Season 1", index=1))
    for number in range(150):
        episode = Entry(1000 + number, "episode", f"E{number:03}", index=number + 1)
        episode.files = [("episode.mp4", FILE)]
        season.add(episode)
    playlist = Entry(3, "playlist", "Playlist", children=season.children)
    attic.library.sections = [Section(1, "show", "Series", [show])]
    attic.library.playlists = [playlist]
    attic.library.watching = season.children
    for path in (
        ("Series", "Show", "Season 1"),
        ("Playlists", "Playlist"),
        ("Continue watching",),
    ):
        first = await panel.open("Attic", *path)
        more = child(first, "101 - 150")
        assert len(first["children"]) == 101
        assert first["children_media_class"] == "episode"
        assert more["children_media_class"] == "episode"
        plex.requests.clear()
        rest = await panel.browse(more["media_content_id"])
        assert rest["media_content_id"] == more["media_content_id"]
        assert len(rest["children"]) == 50
        assert "E100" in rest["children"][0]["title"]
        starts = {r.value("X-Plex-Container-Start") for r in plex.requests}
        # What somebody has begun comes at once.
        is_hub = path == ("Continue watching",)
        assert starts - {"", "0"} == (set() if is_hub else {"100"})


async def test_artist(panel: Panel, attic: MediaServer, plex: PlexEmulator) -> None:
    """An artist has singles, too, unless the server can't tell who made them."""
    artist = Entry(1, "artist", "The Tins")
    artist.add(Entry(2, "album", "Album"))
    artist.add(Entry(3, "album", "Single", is_single=True))
    attic.library.sections = [Section(7, "artist", "Music", [artist])]
    path = ("Attic", "Music", "The Tins")
    node = await panel.open(*path)
    assert (node["title"], titles_of(node)) == ("The Tins", ["Album", "Single"])
    for key in range(100, 200):
        artist.add(Entry(key, "album", f"Live {key}", is_single=True))
    more = child(await panel.open(*path), "101 - 102")
    rest = await panel.browse(more["media_content_id"])
    assert titles_of(rest) == ["Live 198", "Live 199"]
    plex.faults.add(
        Reply(json_answer({"MediaContainer": {"Metadata": [artist.data()]}})),
        path="/library/metadata/1",
        times=1,
    )
    assert titles_of(await panel.browse(node["media_content_id"])) == ["Album"]
    plex.faults.add(error(400), path="/library/sections/7/all")
    assert titles_of(await panel.browse(node["media_content_id"])) == ["Album"]


async def test_endless_library(panel: Panel, plex: PlexEmulator) -> None:
    """However many items a server says that it has, the panel opens."""
    films = child(await panel.open("Attic"), "Films")
    nothing = {"MediaContainer": {"size": 0, "totalSize": 10**10, "Metadata": []}}
    rule = plex.faults.add(Reply(json_answer(nothing)), path="/library/sections/*/all")
    assert titles_of(await panel.browse(films["media_content_id"])) == []
    plex.faults.remove(rule)
    film = {"type": "movie", "ratingKey": "1", "title": "Film"}
    one = {"MediaContainer": {"totalSize": 10**10, "Metadata": [film]}}
    plex.faults.add(Reply(json_answer(one)), path="/library/sections/*/all")
    assert len(titles_of(await panel.browse(films["media_content_id"]))) == 999


async def test_too_much_found(panel: Panel, plex: PlexEmulator) -> None:
    """A server that finds more than is wanted is not believed."""
    film = {"type": "movie", "ratingKey": "1", "title": "Film", "Media": MEDIA}
    hub = {"type": "movie", "Metadata": [film] * 100}
    # Nor is one of which nothing can be had taken for a find.
    people = {"type": "actor", "Directory": [{"tag": "Film"}]}
    nothing = {"type": "clip", "Metadata": [{**film, "Media": []}]}
    many = {"MediaContainer": {"Hub": [people] * 20 + [hub] * 100 + [nothing]}}
    plex.faults.add(Reply(json_answer(many)), path="/hubs/search")
    answer = await panel.ask("search_media", ROOT, search_query="Film")
    assert len(answer["result"]["result"]) == 20 * 11


async def test_song_without_album(panel: Panel, plex: PlexEmulator) -> None:
    """Of what is not told nothing is shown."""
    song = {"type": "track", "ratingKey": "1", "title": "Salt", "Media": MEDIA}
    hub = {"type": "track", "Metadata": [{**song, "grandparentTitle": "The Lanterns"}]}
    answer = json_answer({"MediaContainer": {"Hub": [hub]}})
    plex.faults.add(Reply(answer), path="/hubs/search")
    found = await panel.ask("search_media", ROOT, search_query="Salt")
    assert [each["title"] for each in found["result"]["result"]] == [
        "Salt (The Lanterns)"
    ]


async def test_same_path_again(panel: Panel, tick: Tick) -> None:
    """A browser need not fetch a picture again for another signature."""
    first = await panel.open("Attic", "Films")
    await tick(timedelta(minutes=5))
    again = await panel.open("Attic", "Films")
    assert again["children"] == first["children"]
    await tick(timedelta(hours=12))
    later = await panel.open("Attic", "Films")
    assert later["children"][0]["thumbnail"] != first["children"][0]["thumbnail"]


async def test_unloaded_meanwhile(
    hass: HomeAssistant, panel: Panel, plex: PlexEmulator, config_entry: MockConfigEntry
) -> None:
    """Nothing of an account is played that goes while a player is told where it is."""
    film = (await panel.open("Attic", "Films"))["children"][0]
    plex.faults.add(Delay(0.2), path="/library/metadata/*")
    resolving = asyncio.create_task(
        media_source.async_resolve_media(hass, film["media_content_id"], None)
    )
    await asyncio.sleep(0.05)
    await hass.config_entries.async_unload(config_entry.entry_id)
    identifier = film["media_content_id"].removeprefix(f"{ROOT}/")
    with pytest.raises(Unresolvable, match=f"There is nothing at {identifier}"):
        await resolving


async def test_without_letters(panel: Panel, attic: MediaServer) -> None:
    """A library that is not listed by letter is shown in pages."""
    films = [Entry(1000 + number, "movie", f"/{number}") for number in range(150)]
    attic.library.sections = [Section(1, "movie", "Films", films, by_character=False)]
    for film in films:
        film.files = [("film.mp4", b"film")]
    page = await panel.open("Attic", "Films")
    assert (len(titles_of(page)), titles_of(page)[-1]) == (101, "101 - 150")


async def test_several_accounts(
    hass: HomeAssistant,
    panel: Panel,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    grace: Account,
    grace_entry: MockConfigEntry,
) -> None:
    """With more than one account, each has a place of its own."""
    cellar = await plex.add_server("Cellar", owner=grace)
    stock(cellar)
    await setup_integration(hass, grace_entry)
    root = await panel.open()
    assert (root["title"], titles_of(root)) == ("Plex Account", ["ada", "grace"])
    assert titles_of(await panel.open("grace")) == ["Cellar"]
    # One that both follow is asked once, as by its owner.
    eve = plex.add_account("eve", password="password-eve")
    barn = await plex.add_server("Barn", owner=eve)
    for server in (cellar, barn):
        plex.share(server, ada, public_address_matches=True)
    plex.share(attic, grace, public_address_matches=True)
    await follow(hass, config_entry, cellar, barn)
    await follow(hass, grace_entry, attic)
    plex.requests.clear()
    found = await panel.ask("search_media", ROOT, search_query="lanterns")
    asked = plex.requests.matching(path="/hubs/search")
    assert len(asked) == 3
    assert {received.host: received.token for received in asked} == {
        server.data.resource.name: server.data.token.token
        for server in (
            *config_entry.runtime_data.servers.values(),
            *grace_entry.runtime_data.servers.values(),
        )
        if server.data.resource.owned or server.data.resource.name == "Barn"
    }
    assert [each["title"] for each in found["result"]["result"]] == [
        "Night of the lanterns (1954) · Attic",
        "Night of the lanterns (1954) · Cellar",
        "The Lanterns · Attic",
        "The Lanterns · Cellar",
    ]


async def test_search(panel: Panel) -> None:
    """A search finds things of all kinds, or of those that are wanted."""
    server = child(await panel.open(), "Attic")
    assert server["can_search"]
    for place in (server["media_content_id"], ROOT):
        found = await panel.ask("search_media", place, search_query="light")
        assert [each["title"] for each in found["result"]["result"]] == [
            "The lighthouse keepers (2018)",
            "Lighthouse (Summer)",
        ]
    found = await panel.ask(
        "search_media",
        ROOT,
        search_query="light",
        media_filter_classes=["image"],  # type: ignore[arg-type] # as the frontend does
    )
    assert [each["media_class"] for each in found["result"]["result"]] == ["image"]


async def test_nothing_to_search(
    hass: HomeAssistant, panel: Panel, plex: PlexEmulator, attic: MediaServer
) -> None:
    """Without words or servers nothing is found."""
    found = await panel.ask("search_media", ROOT, search_query=" ")
    assert found["result"]["result"] == []
    assert not plex.requests.matching(path="/hubs/search")
    await plex.remove_server(attic)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await entry.runtime_data.async_refresh()
    found = await panel.ask("search_media", ROOT, search_query="light")
    assert found["result"]["result"] == []


async def test_server_down(
    hass: HomeAssistant, panel: Panel, plex: PlexEmulator, ada: Account
) -> None:
    """A server that is down says so; the others work."""
    cellar = await plex.add_server("Cellar", owner=ada)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await entry.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    await cellar.stop()
    await entry.runtime_data.servers[cellar.machine_identifier].async_refresh()
    account = await panel.open()
    assert titles_of(account) == ["Attic", "Cellar (cannot be reached)"]
    node = child(account, "Cellar (cannot be reached)")
    answer = await panel.ask("browse_media", node["media_content_id"])
    assert "Cellar could not be reached" in answer["error"]["message"]
    assert (await panel.open("Attic"))["children"]
    found = await panel.ask("search_media", ROOT, search_query="light")
    assert len(found["result"]["result"]) == 2
    answer = await panel.ask(
        "search_media", node["media_content_id"], search_query="light"
    )
    assert "Cellar could not be reached" in answer["error"]["message"]


async def test_silent_server(
    hass: HomeAssistant,
    panel: Panel,
    plex: PlexEmulator,
    ada: Account,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for long for a server that is there, but tells nothing."""
    assert media_module.SEARCH_TIMEOUT < access.ANSWER_TIMEOUT < 15
    await plex.add_server("Cellar", owner=ada)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    await entry.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    cellar = child(await panel.open(), "Cellar")["media_content_id"]
    for path in ("/library/*", "/hubs/*"):
        plex.faults.add(Vanish(Ending.SILENCE), host="Cellar", path=path)
    monkeypatch.setattr(media_module, "SEARCH_TIMEOUT", 0.1)
    async with asyncio.timeout(5):
        found = await panel.ask("search_media", ROOT, search_query="light")
    assert len(found["result"]["result"]) == 2
    # Where there is nothing else it is waited for.
    monkeypatch.setattr(access, "ANSWER_TIMEOUT", 0.3)
    for command, data in (("search", {"search_query": "light"}), ("browse", {})):
        async with asyncio.timeout(5):
            answer = await panel.ask(f"{command}_media", cellar, **data)
        assert "Cellar did not answer in time" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("path", "told", "told_player"),
    [
        ("nobody", NOTHING, NOTHING),
        ("{account}/nothing", NOTHING, NOTHING),
        ("{account}/{server}/item/x", NOTHING, NOTHING),
        ("{account}/{server}/item/../../security/token", NOTHING, NOTHING),
        ("{account}/{server}/shelf/other", NOTHING, LIST),
        ("{account}/{server}/section/99", NOTHING, LIST),
        ("{account}/{server}/section/1/..%2f", NOTHING, NOTHING),
        ("{account}/{server}/item/99999", GONE, GONE),
        ("{account}/{server}/playlist/99999", GONE, LIST),
    ],
)
async def test_nothing_there(
    hass: HomeAssistant,
    panel: Panel,
    ada: Account,
    attic: MediaServer,
    path: str,
    told: str,
    told_player: str,
) -> None:
    """What is named wrongly is told, and is nothing that can be played."""
    identifier = path.format(account=ada.user.uuid, server=attic.machine_identifier)
    with pytest.raises(BrowseError, match=told.format(identifier)):
        await media_source.async_browse_media(hass, f"{ROOT}/{identifier}")
    with pytest.raises(Unresolvable, match=told_player.format(identifier)):
        await media_source.async_resolve_media(hass, f"{ROOT}/{identifier}", None)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/{account}",
        "/{account}/{server}",
        "/{account}/{server}/section/1",
        "/{account}/{server}/playlists",
    ],
)
async def test_list_is_not_playable(
    hass: HomeAssistant, panel: Panel, ada: Account, attic: MediaServer, path: str
) -> None:
    """Who wants to play a list is told what can be."""
    identifier = path.format(account=ada.user.uuid, server=attic.machine_identifier)
    assert await media_source.async_browse_media(hass, f"{ROOT}{identifier}")
    with pytest.raises(Unresolvable, match=LIST):
        await media_source.async_resolve_media(hass, f"{ROOT}{identifier}", None)


async def test_not_playable(
    hass: HomeAssistant, panel: Panel, attic: MediaServer
) -> None:
    """A series can't be played as a whole, nor what has no file or picture."""
    series = child(await panel.open("Attic", "Series"), "The lighthouse keepers")
    with pytest.raises(Unresolvable, match="can't be played as a whole"):
        await media_source.async_resolve_media(hass, series["media_content_id"], None)
    photo = (await panel.open("Attic", "Photos", "Summer"))["children"][0]
    film = (await panel.open("Attic", "Films"))["children"][0]
    for entry in attic.library.entries():
        entry.has_thumb = False
        if entry.type == "movie":
            entry.files = []
    for each in (photo, film):
        nothing = f"{each['title']} has nothing to play or show"
        with pytest.raises(Unresolvable, match=nothing):
            await media_source.async_resolve_media(hass, each["media_content_id"], None)


@pytest.mark.parametrize(
    ("name", "codecs", "kind"),
    [
        ("film.mp4", ("h264", "aac"), "video/mp4"),
        ("film.mov", ("h264", "mp3"), "video/mp4"),
        ("film.webm", ("vp9", "opus"), "video/webm"),
        ("film.webm", ("av1", None), "video/webm"),
        ("film.mp4", ("hevc", "aac"), HLS),
        ("film.mp4", ("h264", "dts"), HLS),
        ("film.mkv", ("h264", "aac"), HLS),
        ("film.mp4", (None, "aac"), HLS),
        ("film.wav", ("h264", "pcm"), HLS),
        ("film.mp4", ("h264", "pcm"), HLS),
    ],
)
async def test_what_plays_as_it_is(
    hass: HomeAssistant,
    panel: Panel,
    attic: MediaServer,
    name: str,
    codecs: tuple[str | None, str | None],
    kind: str,
) -> None:
    """What most players can't play is made fit by the server."""
    film = attic.library.sections[0].entries[0]
    film.files, film.codecs = [(name, b"film")], codecs
    node = (await panel.open("Attic", "Films"))["children"][0]
    media = await media_source.async_resolve_media(hass, node["media_content_id"], None)
    assert media.mime_type == kind
    assert ("/hls/" in media.url) == (kind == HLS)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(503, HLS), (509, HLS), (404, HLS), (403, "video/mp4"), (200, "video/mp4")],
)
async def test_not_handed_out(
    hass: HomeAssistant, panel: Panel, plex: PlexEmulator, status: int, kind: str
) -> None:
    """What is only handed out smaller is made so; of what is gone there may be more."""
    plex.faults.add(Reply(Answer(status, b"f")), path="/library/parts/*")
    film = (await panel.open("Attic", "Films"))["children"][0]
    plex.requests.clear()
    media = await media_source.async_resolve_media(hass, film["media_content_id"], None)
    assert media.mime_type == kind
    (asked,) = plex.requests.matching(path="/library/parts/*")
    assert asked.headers["Range"] == "bytes=0-0"


async def test_slow_disk(
    hass: HomeAssistant,
    panel: Panel,
    plex: PlexEmulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that takes long to come is believed to be there."""
    monkeypatch.setattr(playing, "CHECK_TIMEOUT", 0.1)
    gone = json_answer({}, 404)
    plex.faults.add(Delay(0.3, gone), path="/library/parts/*")
    film = (await panel.open("Attic", "Films"))["children"][0]
    media = await media_source.async_resolve_media(hass, film["media_content_id"], None)
    assert media.mime_type == "video/mp4"


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("song.wav", "pcm", "audio/wav"),
        ("song.m4a", "aac", "audio/mp4"),
        ("song.m4a", "alac", HLS),
        ("song.flac", "flac", "audio/flac"),
    ],
)
async def test_what_sounds_as_it_is(
    hass: HomeAssistant,
    panel: Panel,
    attic: MediaServer,
    name: str,
    codec: str,
    kind: str,
) -> None:
    """Music is converted if need be, too."""
    for entry in attic.library.entries():
        if entry.type == "track":
            entry.files, entry.codecs = [(name, b"song")], (None, codec)
    album = await panel.open("Attic", "Music", "The Lanterns", "Low tide")
    song = album["children"][0]
    assert song["media_content_type"] == ("audio/mpeg" if kind == HLS else kind)
    # It is little, so the relay carries it, too.
    attic.listing.connections = [
        replace(each, local=False, relay=True) for each in attic.listing.connections
    ]
    (account,) = hass.config_entries.async_entries(DOMAIN)
    await hass.config_entries.async_reload(account.entry_id)
    media = await media_source.async_resolve_media(hass, song["media_content_id"], None)
    assert media.mime_type == kind


async def test_server_refuses(panel: Panel, plex: PlexEmulator) -> None:
    """What a server refuses is told in plain words."""
    server = child(await panel.open(), "Attic")
    plex.faults.add(error(403), path="/library/sections")
    answer = await panel.ask("browse_media", server["media_content_id"])
    assert "Attic does not allow" in answer["error"]["message"]


async def test_no_account(hass: HomeAssistant) -> None:
    """Without an account the panel says what to do."""
    await async_setup_component(hass, DOMAIN, {})
    await async_setup_component(hass, "media_source", {})
    with pytest.raises(BrowseError, match="No Plex account is loaded"):
        await media_source.async_browse_media(hass, ROOT)


@pytest.mark.skipif(
    not hasattr(media_source, "async_get_media_image"), reason="Since 2026.11"
)
async def test_image(
    hass: HomeAssistant, panel: Panel, attic: MediaServer, plex: PlexEmulator
) -> None:
    """The picture of an item can be attached to a notification."""
    film = (await panel.open("Attic", "Films"))["children"][0]
    image = await media_source.async_get_media_image(hass, film["media_content_id"])
    assert image
    assert (image.mime_type, image.content[:2]) == ("image/jpeg", b"\xff\xd8")
    plex.faults.add(error(404), path="/photo/:/transcode")
    with pytest.raises(HomeAssistantError, match="Attic"):
        await media_source.async_get_media_image(hass, film["media_content_id"])
    page = Reply(Answer(200, b"<script>", "text/html"))
    plex.faults.add(page, path="/photo/:/transcode", times=1)
    with pytest.raises(HomeAssistantError, match="not understood"):
        await media_source.async_get_media_image(hass, film["media_content_id"])
    huge = Reply(Answer(200, bytes(5 * 1024 * 1024), "image/jpeg"))
    plex.faults.add(huge, path="/photo/:/transcode")
    with pytest.raises(HomeAssistantError, match="not understood"):
        await media_source.async_get_media_image(hass, film["media_content_id"])
    photo = (await panel.open("Attic", "Photos", "Summer"))["children"][0]
    plex.faults.clear()
    plex.requests.clear()
    for shown, width in ((film, "400"), (photo, "1920")):
        assert await media_source.async_get_media_image(hass, shown["media_content_id"])
        assert plex.requests[-1].query["width"] == width
    attic.library.sections[0].entries[0].has_thumb = False
    item = film["media_content_id"]
    assert await media_source.async_get_media_image(hass, item) is None
    assert (await panel.open("Attic", "Films"))["children"][0]["thumbnail"] is None


async def test_no_server(
    hass: HomeAssistant, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Who follows no server is told what to do."""
    await async_setup_component(hass, "media_source", {})
    hass.config_entries.async_update_entry(
        loaded, options={"left_out_servers": [attic.machine_identifier]}
    )
    await hass.config_entries.async_reload(loaded.entry_id)
    with pytest.raises(BrowseError, match="Choose some under Configure"):
        await media_source.async_browse_media(hass, ROOT)
