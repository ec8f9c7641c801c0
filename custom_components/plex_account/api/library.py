"""The libraries of a server: its lists, page by page, and what it finds in them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
import re
from typing import Final

from .exceptions import (
    PlexNotFoundError,
    PlexPermissionError,
    PlexResponseError,
    PlexServerError,
)
from .http import LIST_SIZE
from .items import Item, ItemType, Section
from .reading import Json, integer, objects, root, text
from .server import PlexServerClient

# Items of a page, and of a search for each kind of item.
PAGE_SIZE: Final = 100

# What a list has at the most, whatever the server says, so that there is a last page.
MAX_TOTAL: Final = 100_000
# How a server refuses what it need not tell.
REFUSED: Final = (
    PlexNotFoundError,
    PlexPermissionError,
    PlexResponseError,
    PlexServerError,
)
# How Plex names albums where it lists items of one type.
_ALBUMS: Final = "9"
# Titles that somebody has begun, of which all are listed at a time.
_MAX_HUB: Final = 500
# Libraries of a server, or characters with which the titles of one begin.
MAX_SECTIONS: Final = 500

# A character with which titles begin, as it stands in the path of a list; the first is
# how `#` is written there. Letters may be symbols, such as ∆, but no half characters.
FIRST_CHARACTER: Final = r"%23|(?:\w|[^\0-\x7f\s\ud800-\udfff]){1,4}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstCharacter:
    """A letter, and how many titles of a library begin with it."""

    key: str
    title: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some items of a list that has `total` of them."""

    items: tuple[Item, ...]
    total: int


class Shelf(StrEnum):
    """A list that the server keeps, by its path."""

    CONTINUE_WATCHING = "hubs/continueWatching"
    RECENTLY_ADDED = "library/recentlyAdded"


class PlexLibrary:
    """The libraries of one server, asked by a client of it.

    Every method raises a PlexError if the server can't be reached or refuses.
    """

    def __init__(self, client: PlexServerClient) -> None:
        """Keep the client; nothing is sent."""
        self._client = client

    async def get_sections(self) -> list[Section]:
        """Return the libraries that the token may see.

        Source: GET /library/sections.
        """
        return await self._get("library/sections", _sections)

    async def get_first_characters(self, section: str) -> list[FirstCharacter]:
        """Return with what the titles of a library begin, [] if that is refused.

        Source: GET /library/sections/{key}/firstCharacter.
        """
        path = f"library/sections/{section}/firstCharacter"
        try:
            return await self._get(path, _first_characters)
        except REFUSED:
            return []

    async def get_items(
        self, section: str, start: int = 0, *, first_character: str | None = None
    ) -> Page:
        """Return a page of a library by title, or of what begins with a character.

        Source: GET /library/sections/{key}/all and .../firstCharacter/{key}.
        """
        path = f"library/sections/{section}/" + (
            "all" if first_character is None else f"firstCharacter/{first_character}"
        )
        return await self._get_page(path, start, {"sort": "titleSort"})

    async def get_children(self, rating_key: str, start: int = 0) -> Page:
        """Return a page of what belongs to an item.

        Source: GET /library/metadata/{ratingKey}/children, which of an artist lacks
        singles, live albums and the like.
        """
        return await self._get_page(f"library/metadata/{rating_key}/children", start)

    async def get_albums(self, artist: Item, start: int = 0) -> Page | None:
        """Return a page of all albums of an artist, None if that is refused.

        Source: GET /library/sections/{key}/all.
        """
        path = f"library/sections/{artist.section}/all"
        asked = {"type": _ALBUMS, "artist.id": artist.rating_key, "sort": "year:desc"}
        try:
            page = await self._get_page(path, start, asked)
        except REFUSED:
            return None
        # A server that does not know how to select lists whatever it has.
        parents = {(each.type, each.parent) for each in page.items}
        return page if parents == {(ItemType.ALBUM, artist.rating_key)} else None

    async def get_shelf(self, shelf: Shelf, start: int = 0) -> Page:
        """Return a page of a list that the server keeps.

        Source: GET /hubs/continueWatching and GET /library/recentlyAdded.
        """
        if shelf is Shelf.CONTINUE_WATCHING:
            # A hub has but a few unless it is told how many, and no pages.
            count = {"count": str(_MAX_HUB)}
            return await self._get(shelf, partial(_page, start=start), count)
        return await self._get_page(shelf, start)

    async def get_playlists(self, start: int = 0) -> Page:
        """Return a page of the playlists. Source: GET /playlists."""
        return await self._get_page("playlists", start)

    async def get_playlist(self, rating_key: str) -> Item:
        """Return a playlist. Source: GET /playlists/{ratingKey}.

        Raises PlexNotFoundError if there is none that is known here.
        """
        return await self._get(f"playlists/{rating_key}", _item)

    async def get_playlist_items(self, rating_key: str, start: int = 0) -> Page:
        """Return a page of a playlist. Source: GET /playlists/{ratingKey}/items."""
        return await self._get_page(f"playlists/{rating_key}/items", start)

    async def search(self, query: str, limit: int) -> list[Item]:
        """Return what fits a text best, at most `limit` items of each kind.

        Source: GET /hubs/search.
        """
        return await self._get(
            "hubs/search",
            partial(_found, limit=limit),
            {"query": query, "limit": str(limit)},
        )

    async def get_item(self, rating_key: str) -> Item:
        """Return an item with its files.

        Source: GET /library/metadata/{ratingKey}.
        Raises PlexNotFoundError if there is none that is known here.
        """
        return await self._get(f"library/metadata/{rating_key}", _item)

    async def _get_page(
        self, path: str, start: int, params: dict[str, str] | None = None
    ) -> Page:
        """Return a page of a list."""
        paging = {
            "X-Plex-Container-Start": str(start),
            "X-Plex-Container-Size": str(PAGE_SIZE),
        }
        return await self._get(
            path, partial(_page, start=start), {**(params or {}), **paging}
        )

    async def _get[T](
        self,
        path: str,
        reader: Callable[[Json], T],
        params: dict[str, str] | None = None,
    ) -> T:
        """Ask the server for something, and read the answer."""
        return await self._client.request(path, LIST_SIZE, reader, params)


def _items(container: dict[str, Json]) -> list[Item]:
    """Read the items of an answer, which XML has by what they are."""
    listed = [
        data
        for tag in ("Metadata", "Directory", "Video", "Track", "Photo", "Playlist")
        for data in objects(container.get(tag))
    ]
    return [item for data in listed if (item := Item.from_data(data))]


def _item(body: Json) -> Item:
    """Read the only item of an answer."""
    items = _items(root(body, "MediaContainer"))
    if not items:
        raise PlexNotFoundError("No such item")
    return items[0]


def _page(body: Json, start: int) -> Page:
    """Read a page, which may be all that there is."""
    container = root(body, "MediaContainer")
    # The shelves wrap their items in one more list.
    containers = objects(container.get("Hub")) or [container]
    items = [item for each in containers for item in _items(each)]
    if len(items) > PAGE_SIZE:
        # A server may send all, whatever it was asked for.
        return Page(items=tuple(items[start : start + PAGE_SIZE]), total=len(items))
    total = integer(container, "totalSize")
    if total is None or not items:
        total = start + len(items)
    return Page(items=tuple(items), total=min(total, MAX_TOTAL))


def _sections(body: Json) -> list[Section]:
    """Read the libraries."""
    listed = objects(root(body, "MediaContainer").get("Directory"))[:MAX_SECTIONS]
    return [section for data in listed if (section := Section.from_data(data))]


def _first_characters(body: Json) -> list[FirstCharacter]:
    """Read the characters with which titles begin, all or none."""
    listed = objects(root(body, "MediaContainer").get("Directory"))[:MAX_SECTIONS]
    found = [
        FirstCharacter(key=key, title=title, size=size)
        for data in listed
        if (key := text(data, "key"))
        and re.fullmatch(FIRST_CHARACTER, key)
        and (title := text(data, "title"))
        and (size := integer(data, "size"))
    ]
    return found if len(found) == len(listed) else []


def _found(body: Json, limit: int) -> list[Item]:
    """Read what was found, in the server's order."""
    hubs = objects(root(body, "MediaContainer").get("Hub"))
    # Between them there are as many of people, places and the like.
    found = [items for hub in hubs if (items := _items(hub)[:limit])]
    return [item for items in found[: len(ItemType)] for item in items]
