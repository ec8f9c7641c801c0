"""Browse, search and play the libraries of servers in Home Assistant.

Below `media-source://plex_account/{account}/{server}` there are `item/{ratingKey}`,
`playlist/{ratingKey}`, `playlists`, `section/{key}`, `section/{key}/{first character}`
and `shelf/{name}`; what is longer than a page goes on at `.../from/{start}`.
"""

import asyncio
from collections.abc import Awaitable, Generator
from contextlib import contextmanager
from functools import partial
import re
from typing import Final, override

from homeassistant.components.media_player import (
    BrowseError,
    MediaClass,
    SearchMedia,
    SearchMediaQuery,
)
from homeassistant.components.media_source import (
    BrowseMediaSource,
    MediaSource,
    MediaSourceItem,
    PlayMedia,
    Unresolvable,
    models,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .access import async_ask_library, async_stream
from .api import (
    FIRST_CHARACTER,
    PAGE_SIZE,
    PICTURE_TYPES,
    Item,
    ItemType,
    Page,
    PlexLibrary,
    PlexResponseError,
    Shelf,
    media_type,
    read_stream,
)
from .const import DOMAIN
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .errors import converted, server_errors, translation
from .media import PHOTO_PATH, async_search, picture_params, server_identifier
from .media_nodes import SECTION_CLASSES, folder, found_nodes, page_node
from .playing import async_play
from .server_coordinator import PlexServerCoordinator
from .targets import get_servers
from .texts import async_text

# Items for each kind that a search finds.
SEARCH_LIMIT: Final = 20
# Bytes of a picture.
IMAGE_SIZE: Final = 4 * 1024 * 1024

SHELVES: Final = {
    "continue_watching": Shelf.CONTINUE_WATCHING,
    "recently_added": Shelf.RECENTLY_ADDED,
}

_LIST = re.compile(
    r"(?P<kind>item|playlist|section)/(?P<key>\d{1,19})"
    rf"(?:/(?P<character>{FIRST_CHARACTER}))?(?:/from/(?P<start>[1-9]\d{{0,8}}))?"
)
_SHELF = re.compile(r"(?P<shelf>shelf/\w+|playlists)(?:/from/(?P<start>[1-9]\d{0,8}))?")


async def async_get_media_source(hass: HomeAssistant) -> PlexMediaSource:
    """Set up the media source, which is there whether or not an account is loaded."""
    return PlexMediaSource(hass)


class PlexMediaSource(MediaSource):
    """The libraries of all accounts that are loaded."""

    name = "Plex Account"

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize the media source."""
        super().__init__(DOMAIN)
        self.hass = hass

    @override
    async def async_browse_media(self, item: MediaSourceItem) -> BrowseMediaSource:
        """Return what is at a place, and what belongs to it."""
        with _raised_as(BrowseError):
            account, server, path = self._place(item)
            if server:
                if path:
                    return await self._async_list(server, path)
                return await self._async_libraries(server)
            if account is None and len(accounts := self._accounts()) > 1:
                nodes = [
                    folder(
                        str(each.config_entry.unique_id),
                        each.config_entry.title,
                        can_search=True,
                    )
                    for each in accounts
                ]
                return folder("", self.name, nodes, can_search=True)
            return await self._async_account(account or self._accounts()[0])

    @override
    async def async_search_media(
        self, item: MediaSourceItem, query: SearchMediaQuery
    ) -> SearchMedia:
        """Find something on a server, or on all that are below a place."""
        if not query.search_query.strip():
            # Servers do not take that for a question.
            return SearchMedia(result=[])
        with _raised_as(BrowseError):
            account, server, _ = self._place(item)
            accounts = [account] if account else self._accounts()
            servers = [each for one in accounts for each in one.servers.values()]
            found = await async_search(
                [server] if server else _once_each(servers),
                query.search_query,
                SEARCH_LIMIT,
            )
        nodes = found_nodes(self.hass, found)
        wanted = query.media_filter_classes
        return SearchMedia(
            result=[node for node in nodes if not wanted or node.media_class in wanted]
        )

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        """Return where a player fetches an item: of Home Assistant."""
        with _raised_as(Unresolvable):
            server, found = await self._async_item(item)
            return await async_play(self.hass, server, found)

    # Home Assistant 2026.10 does not ask for it.
    async def async_get_media_image(
        self, item: MediaSourceItem
    ) -> models.MediaImage | None:
        """Return the picture of an item, for a notification or the like."""
        server, found = await self._async_item(item)
        if found.thumb is None:
            return None
        # A photo is wanted for itself.
        shown = PHOTO_PATH if found.type is ItemType.PHOTO else ""
        path, params = picture_params(f"{shown}{found.thumb}")
        with server_errors(server.data.resource.name):
            async with await async_stream(
                server, "GET", path, headers={}, params=params
            ) as answer:
                kind = media_type(answer)
                if kind not in PICTURE_TYPES:
                    raise PlexResponseError("It is no picture")
                return models.MediaImage(
                    content=await read_stream(answer, IMAGE_SIZE),
                    mime_type=kind,
                )

    def _accounts(self) -> list[PlexAccountCoordinator]:
        """Return all accounts, of which there is at least one."""
        entries: list[PlexConfigEntry] = self.hass.config_entries.async_loaded_entries(
            DOMAIN
        )
        if not entries:
            raise BrowseError(**translation("no_account"))
        return [entry.runtime_data for entry in entries]

    def _place(
        self, item: MediaSourceItem
    ) -> tuple[PlexAccountCoordinator | None, PlexServerCoordinator | None, str]:
        """Return the account and the server that an identifier names, and the rest."""
        uuid, _, rest = (item.identifier or "").partition("/")
        if not uuid:
            return None, None, ""
        for account in self._accounts():
            if account.config_entry.unique_id == uuid:
                identifier, _, path = rest.partition("/")
                if not identifier:
                    return account, None, ""
                if server := account.servers.get(identifier):
                    return account, server, path
        raise _unknown(item.identifier)

    async def _async_item(
        self, item: MediaSourceItem
    ) -> tuple[PlexServerCoordinator, Item]:
        """Return the item that an identifier names, and its server."""
        _, server, path = self._place(item)
        match = _LIST.fullmatch(path)
        if server is None or match is None or match["kind"] != "item":
            if path and not match and not _SHELF.fullmatch(path):
                raise _unknown(item.identifier)
            raise Unresolvable(**translation("choose_title"))
        found = await async_ask_library(
            server, lambda library: library.get_item(match["key"])
        )
        if not server.is_followed:
            # The account was unloaded meanwhile.
            raise _unknown(item.identifier)
        return server, found

    async def _async_account(
        self, account: PlexAccountCoordinator
    ) -> BrowseMediaSource:
        """Return an account with its servers."""
        down = await async_text(self.hass, "media", "unreachable")
        return folder(
            str(account.config_entry.unique_id),
            account.config_entry.title,
            [
                folder(
                    server_identifier(server),
                    name if server.data.reachable else f"{name} ({down})",
                    can_search=True,
                )
                for server in get_servers(account)
                for name in (server.data.resource.name,)
            ],
            can_search=True,
        )

    async def _async_libraries(
        self, server: PlexServerCoordinator
    ) -> BrowseMediaSource:
        """Return a server with its libraries, and the lists that it keeps."""
        sections = await async_ask_library(server, PlexLibrary.get_sections)
        base = server_identifier(server)
        shelves = [
            folder(f"{base}/shelf/{name}", await async_text(self.hass, "media", name))
            for name in SHELVES
        ]
        return folder(
            base,
            server.data.resource.name,
            [
                *shelves,
                *(
                    folder(
                        f"{base}/section/{section.key}",
                        section.title,
                        children_class=SECTION_CLASSES[section.type],
                    )
                    for section in sections
                ),
                folder(
                    f"{base}/playlists",
                    await async_text(self.hass, "media", "playlists"),
                    children_class=MediaClass.PLAYLIST,
                ),
            ],
            can_search=True,
        )

    async def _async_list(
        self, server: PlexServerCoordinator, path: str
    ) -> BrowseMediaSource:
        """Return a page of a list."""
        ask = partial(async_ask_library, server)
        identifier = f"{server_identifier(server)}/{path}"
        if match := _SHELF.fullmatch(path):
            start = int(match["start"] or 0)
            name = match["shelf"].removeprefix("shelf/")
            if name == "playlists":
                page = await ask(lambda library: library.get_playlists(start))
            elif shelf := SHELVES.get(name):
                page = await ask(lambda library: library.get_shelf(shelf, start))
            else:
                raise _unknown(identifier)
            title = await async_text(self.hass, "media", name)
            return page_node(
                self.hass, server, identifier, title, page, start, is_mixed=True
            )
        if (match := _LIST.fullmatch(path)) is None:
            raise _unknown(identifier)
        key, character = match["key"], match["character"]
        start = int(match["start"] or 0)
        match match["kind"]:
            case "section":
                return await self._async_section(
                    server, identifier, key, character, start
                )
            case "playlist":
                item, page = await ask(
                    lambda library: _both(
                        library.get_playlist(key),
                        library.get_playlist_items(key, start),
                    )
                )
            case _:
                item, page = await ask(partial(_opened, key=key, start=start))
        return page_node(
            self.hass,
            server,
            identifier,
            item.title,
            page,
            start,
            is_mixed=item.type in {ItemType.PLAYLIST, ItemType.COLLECTION},
        )

    async def _async_section(
        self,
        server: PlexServerCoordinator,
        identifier: str,
        key: str,
        character: str | None,
        start: int,
    ) -> BrowseMediaSource:
        """Return a library: all of it, or with what its titles begin if it is long."""
        ask = partial(async_ask_library, server)
        sections, characters = await ask(
            lambda library: _both(
                library.get_sections(), library.get_first_characters(key)
            )
        )
        section = next((each for each in sections if each.key == key), None)
        if section is None:
            raise _unknown(identifier)
        media_class = SECTION_CLASSES[section.type]
        if (
            character is None
            and start == 0
            and sum(each.size for each in characters) > PAGE_SIZE
        ):
            return folder(
                identifier,
                section.title,
                [
                    folder(
                        f"{identifier}/{each.key}",
                        each.title,
                        children_class=media_class,
                    )
                    for each in characters
                ],
                children_class=media_class,
            )
        page = await ask(
            lambda library: library.get_items(key, start, first_character=character)
        )
        titles = {each.key: each.title for each in characters}
        title = titles.get(character or "", section.title)
        return page_node(self.hass, server, identifier, title, page, start)


async def _opened(library: PlexLibrary, key: str, start: int) -> tuple[Item, Page]:
    """Return an item, and a page of what belongs to it."""
    item, page = await _both(library.get_item(key), library.get_children(key, start))
    if item.type is ItemType.ARTIST and item.section:
        page = await library.get_albums(item, start) or page
    return item, page


def _once_each(servers: list[PlexServerCoordinator]) -> list[PlexServerCoordinator]:
    """Return each server once, as its owner sees it if several accounts follow it."""
    once: dict[str, PlexServerCoordinator] = {}
    for server in servers:
        identifier = server.data.resource.client_identifier
        if server.data.resource.owned or identifier not in once:
            once[identifier] = server
    return list(once.values())


async def _both[A, B](first: Awaitable[A], second: Awaitable[B]) -> tuple[A, B]:
    """Return two answers that are asked for at the same time."""
    return await asyncio.gather(first, second)


def _unknown(identifier: str) -> BrowseError:
    """Return the error that there is nothing of that name."""
    return BrowseError(**translation("invalid_media", identifier=identifier))


@contextmanager
def _raised_as(kind: type[HomeAssistantError]) -> Generator[None]:
    """Raise an error of ours as what Home Assistant shows at this place."""
    try:
        yield
    except HomeAssistantError as err:
        if isinstance(err, kind):
            raise
        raise converted(err, kind) from err
