"""Tests of what is read of a server's libraries."""

from typing import Any

import orjson
import pytest

from custom_components.plex_account.api import PlexNotFoundError, PlexServerClient
from custom_components.plex_account.api.library import PAGE_SIZE, PlexLibrary, Shelf
from tests.plex_emulator import MediaServer, PlexEmulator, error
from tests.plex_emulator.demo_library import stock
from tests.plex_emulator.faults import Fault, Reply
from tests.plex_emulator.library import Entry, Section
from tests.plex_emulator.replies import JSON_TYPE, Answer

from . import both_formats


@pytest.fixture
def films(attic: MediaServer) -> Section:
    """Return a library of more films than a page has."""
    section = Section(1, "movie", "Films")
    section.entries = [
        Entry(100 + number, "movie", f"Film {number:03}", year=1927, duration=5000)
        for number in range(PAGE_SIZE + 5)
    ]
    section.entries[0].files = [("film.mp4", b"pictures")]
    section.entries[0].codecs = "h264", "aac"
    section.entries[1].title = "7 seas"
    attic.library.sections = [
        section,
        Section(2, "odd", "Odd"),
        Section(3, "movie", ""),
    ]
    return section


@both_formats
async def test_browse(
    attic: MediaServer, pms: PlexServerClient, films: Section
) -> None:
    """A library is read page by page, whether it is JSON or XML."""
    library = PlexLibrary(pms)
    (section,) = await library.get_sections()
    assert (section.key, section.type, section.title) == ("1", "movie", "Films")
    first = await library.get_items(section.key)
    rest = await library.get_items(section.key, PAGE_SIZE)
    assert first.total == rest.total == PAGE_SIZE + 5
    assert len(first.items) == PAGE_SIZE
    assert len(rest.items) == 5
    item = first.items[0]
    assert (item.title, item.year, item.duration) == ("Film 000", 1927, 5)
    (file,) = item.files
    assert file.key == films.entries[0].part_path(0)
    assert file.container == "mp4"
    assert (file.video_codec, file.audio_codec) == ("h264", "aac")
    assert "secret-disk" not in repr(first)
    letters = await library.get_first_characters(section.key)
    assert [(each.key, each.size) for each in letters] == [("%23", 1), ("F", 104)]
    page = await library.get_items(section.key, first_character="%23")
    assert [each.title for each in page.items] == ["7 seas"]


@both_formats
async def test_kinds(
    attic: MediaServer, plex: PlexEmulator, pms: PlexServerClient
) -> None:
    """All kinds of items are read, and asked for in pages, in JSON and in XML."""
    stock(attic)
    library = PlexLibrary(pms)
    pages = [await library.get_items(key) for key in ("1", "2", "3", "4")]
    series, artist, album = (page.items[0] for page in pages[1:])
    (season, _) = (await library.get_children(series.rating_key)).items
    (record,) = (await library.get_children(artist.rating_key)).items
    pages += [
        await library.get_children(season.rating_key),
        await library.get_children(record.rating_key),
        await library.get_children(album.rating_key),
        await library.get_playlists(),
    ]
    recent = await library.get_shelf(Shelf.RECENTLY_ADDED)
    assert {item.type for item in recent.items} >= {"movie", "album", "track", "photo"}
    (playlist,) = pages[-1].items
    pages.append(await library.get_playlist_items(playlist.rating_key))
    assert [[item.type for item in page.items[:1]] for page in pages] == [
        ["movie"],
        ["show"],
        ["artist"],
        ["photo"],
        ["episode"],
        ["track"],
        ["photo"],
        ["playlist"],
        ["movie"],
    ]
    first = pages[0].items[0]
    assert (await library.get_playlist(playlist.rating_key)).title == "Rainy days"
    assert (await library.get_item(first.rating_key)).title == first.title
    assert len(await library.search("fog", 7)) == 1
    (asked,) = plex.requests.matching(path="/hubs/search")
    assert asked.query["limit"] == "7"
    for path in (
        "/library/sections/1/all",
        "/playlists",
        f"/playlists/{playlist.rating_key}/items",
        "/library/recentlyAdded",
    ):
        (asked,) = plex.requests.matching(path=path)
        assert asked.value("X-Plex-Container-Start") == "0"
        assert asked.value("X-Plex-Container-Size") == str(PAGE_SIZE)
    (asked,) = plex.requests.matching(path="/library/sections/1/all")
    assert asked.query["sort"] == "titleSort"


async def test_search(
    attic: MediaServer, pms: PlexServerClient, films: Section
) -> None:
    """What is found comes in the server's order."""
    library = PlexLibrary(pms)
    found = await library.search("film 00", 3)
    assert [item.title for item in found] == ["Film 000", "Film 002", "Film 003"]
    item = await library.get_item("100")
    assert item.title == "Film 000"
    with pytest.raises(PlexNotFoundError):
        await library.get_item("1")
    attic.library.watching = films.entries[:20]
    page = await library.get_shelf(Shelf.CONTINUE_WATCHING)
    assert [each.title for each in page.items[:2]] == ["Film 000", "7 seas"]
    assert len(page.items) == 20


@both_formats
async def test_albums(
    attic: MediaServer, plex: PlexEmulator, pms: PlexServerClient
) -> None:
    """An artist has all albums, also those which the server leaves out at first."""
    artist = Entry(1, "artist", "The Tins")
    for key in range(2, 5):
        artist.add(Entry(key, "album", f"Album {key}", is_single=key > 2))
    other = Entry(10, "artist", "Others")
    other.add(Entry(11, "album", "Another"))
    attic.library.sections = [Section(7, "artist", "Music", [artist, other])]
    library = PlexLibrary(pms)
    page = await library.get_albums(await library.get_item("1"))
    assert page
    assert [each.rating_key for each in page.items] == ["2", "3", "4"]
    (asked,) = plex.requests.matching(path="/library/sections/7/all")
    assert asked.query["sort"] == "year:desc"


_ALBUM = {"type": "album", "title": "Album", "parentRatingKey": "1"}


@pytest.mark.parametrize(
    ("status", "listed"),
    [
        (200, []),
        (200, [{"type": "artist", "title": "The Tins"}]),
        (200, [_ALBUM, _ALBUM | {"parentRatingKey": "9"}]),
        *((status, [_ALBUM]) for status in (400, 403, 404, 500)),
    ],
)
async def test_albums_unknown(
    attic: MediaServer,
    plex: PlexEmulator,
    pms: PlexServerClient,
    status: int,
    listed: list[dict[str, str]],
) -> None:
    """A server may not know how to list the albums of an artist only."""
    artist = Entry(1, "artist", "The Tins")
    attic.library.sections = [Section(7, "artist", "Music", [artist])]
    items = [each | {"ratingKey": str(key)} for key, each in enumerate(listed)]
    body = orjson.dumps({"MediaContainer": {"Metadata": items}})
    answer = Reply(Answer(status, body, JSON_TYPE))
    plex.faults.add(answer, path="/library/sections/7/all")
    library = PlexLibrary(pms)
    assert await library.get_albums(await library.get_item("1")) is None


def listing(**content: Any) -> Fault:
    """Answer something else than the server would."""
    return Reply(Answer(200, orjson.dumps({"MediaContainer": content}), JSON_TYPE))


FILM = {"ratingKey": "1", "type": "movie", "title": "Film"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"Metadata": [FILM, FILM | {"ratingKey": 2}]}, (["1", "2"], 2)),
        ({"Metadata": [FILM], "totalSize": "7"}, (["1"], 7)),
        # What is not known, or can't be named, is passed over.
        (
            {
                "Metadata": [
                    FILM | {"type": "hologram"},
                    FILM | {"ratingKey": "../1"},
                    FILM | {"ratingKey": -1},
                    FILM | {"title": None},
                    "film",
                ]
            },
            ([], 0),
        ),
        # Some send all, whatever is asked for.
        (
            {"Metadata": [FILM | {"ratingKey": number} for number in range(1, 251)]},
            ([str(number) for number in range(101, 201)], 250),
        ),
    ],
)
async def test_drift(
    plex: PlexEmulator,
    pms: PlexServerClient,
    content: dict[str, Any],
    expected: tuple[list[str], int],
) -> None:
    """What drifts is read as it is meant."""
    plex.faults.add(listing(**content), path="/library/sections/1/all")
    page = await PlexLibrary(pms).get_items("1", 100 if len(expected[0]) > 2 else 0)
    assert ([item.rating_key for item in page.items], page.total) == expected


async def test_symbol(plex: PlexEmulator, pms: PlexServerClient) -> None:
    """Titles may begin with something that is no letter."""
    path = "/library/sections/1/firstCharacter"
    characters = [
        {"key": key, "title": key, "size": 1} for key in ("%23", "A", "Ä", "∆")
    ]
    plex.faults.add(listing(Directory=characters), path=path)
    plex.faults.add(listing(Metadata=[FILM]), path=f"{path}/∆")
    library = PlexLibrary(pms)
    *_, symbol = await library.get_first_characters("1")
    assert (await library.get_items("1", first_character=symbol.key)).total == 1


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_no_characters(
    plex: PlexEmulator, pms: PlexServerClient, status: int
) -> None:
    """That a library is not told by characters does not keep it away."""
    plex.faults.add(error(status), path="/library/sections/1/firstCharacter")
    assert await PlexLibrary(pms).get_first_characters("1") == []


@pytest.mark.parametrize(
    "key", ["../../security", "%2e%2e", "A/B", "", "%25", "A B", "..", "\u2028"]
)
async def test_hostile_characters(
    plex: PlexEmulator, pms: PlexServerClient, key: str
) -> None:
    """A list by characters that can't be trusted is none."""
    characters = [{"key": name, "title": name, "size": 1} for name in ("A", key)]
    plex.faults.add(
        listing(Directory=characters), path="/library/sections/1/firstCharacter"
    )
    assert await PlexLibrary(pms).get_first_characters("1") == []


async def test_empty_item(plex: PlexEmulator, pms: PlexServerClient) -> None:
    """An answer without an item is that there is none."""
    plex.faults.add(listing(size=0), path="/library/metadata/42")
    with pytest.raises(PlexNotFoundError):
        await PlexLibrary(pms).get_item("42")
