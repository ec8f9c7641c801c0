"""What the media panel shows: items of a library, and the folders that they are in."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

from homeassistant.components.media_player import BrowseMedia, MediaClass
from homeassistant.components.media_source import BrowseMediaSource
from homeassistant.core import HomeAssistant

from .api import PAGE_SIZE, Item, ItemType, Page, SectionType
from .const import DOMAIN
from .media import async_picture, content_type, item_identifier, subtitle
from .server_coordinator import PlexServerCoordinator

CLASSES: Final = {
    ItemType.MOVIE: MediaClass.MOVIE,
    ItemType.SHOW: MediaClass.TV_SHOW,
    ItemType.SEASON: MediaClass.SEASON,
    ItemType.EPISODE: MediaClass.EPISODE,
    ItemType.ARTIST: MediaClass.ARTIST,
    ItemType.ALBUM: MediaClass.ALBUM,
    ItemType.TRACK: MediaClass.TRACK,
    ItemType.PHOTO: MediaClass.IMAGE,
    ItemType.CLIP: MediaClass.VIDEO,
    ItemType.COLLECTION: MediaClass.DIRECTORY,
    ItemType.PLAYLIST: MediaClass.PLAYLIST,
}
SECTION_CLASSES: Final = {
    SectionType.MOVIE: MediaClass.MOVIE,
    SectionType.SHOW: MediaClass.TV_SHOW,
    SectionType.ARTIST: MediaClass.ARTIST,
    SectionType.PHOTO: MediaClass.IMAGE,
}


def folder(
    identifier: str,
    title: str,
    children: Sequence[BrowseMedia] | None = None,
    *,
    children_class: MediaClass = MediaClass.DIRECTORY,
    can_search: bool = False,
) -> BrowseMediaSource:
    """Return something that can only be opened."""
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=identifier,
        media_class=MediaClass.DIRECTORY,
        media_content_type="",
        title=title,
        can_play=False,
        can_expand=True,
        can_search=can_search,
        children=children,
        children_media_class=children_class,
    )


def page_node(
    hass: HomeAssistant,
    server: PlexServerCoordinator,
    identifier: str,
    title: str,
    page: Page,
    start: int,
    *,
    is_mixed: bool = False,
) -> BrowseMediaSource:
    """Return a page of items; the first is followed by all others."""
    films = Counter(each.title for each in page.items if each.type is ItemType.MOVIE)
    discs = {each.parent_index for each in page.items if each.type is ItemType.TRACK}
    classes = {CLASSES[each.type] for each in page.items}
    media_class = classes.pop() if len(classes) == 1 else MediaClass.DIRECTORY
    others = range(PAGE_SIZE, page.total, PAGE_SIZE) if start == 0 else ()
    return folder(
        identifier,
        title,
        [
            *(
                _item_node(
                    hass,
                    server,
                    item,
                    with_subtitle=is_mixed or films[item.title] > 1,
                    with_disc=len(discs) > 1,
                )
                for item in page.items
                if item.is_folder or item.files
            ),
            *(
                folder(
                    f"{identifier}/from/{other}",
                    f"{other + 1} - {min(other + PAGE_SIZE, page.total)}",
                    children_class=media_class,
                )
                for other in others
            ),
        ],
        children_class=media_class,
    )


def found_nodes(
    hass: HomeAssistant, found: Sequence[tuple[PlexServerCoordinator, Item]]
) -> list[BrowseMediaSource]:
    """Return what a search has found, and which server has it if several do."""
    shown = [
        (server, _item_node(hass, server, item, with_subtitle=True, with_disc=False))
        for server, item in found
        if item.is_folder or item.files
    ]
    servers: defaultdict[str, set[str]] = defaultdict(set)
    for server, node in shown:
        servers[node.title].add(server.data.resource.client_identifier)
    for server, node in shown:
        if len(servers[node.title]) > 1:
            node.title = f"{node.title} · {server.data.resource.name}"
    return [node for _, node in shown]


def _item_node(
    hass: HomeAssistant,
    server: PlexServerCoordinator,
    item: Item,
    *,
    with_subtitle: bool,
    with_disc: bool,
) -> BrowseMediaSource:
    """Return an item, with what tells it from others of its title if that is wanted."""
    title = item.title
    if with_subtitle and (more := subtitle(item)):
        title = f"{title} ({more})"
    elif item.index is not None and item.type in {ItemType.EPISODE, ItemType.TRACK}:
        disc = f"{item.parent_index}-" if with_disc and item.parent_index else ""
        title = f"{disc}{item.index}. {title}"
    return BrowseMediaSource(
        domain=DOMAIN,
        identifier=item_identifier(server, item),
        media_class=CLASSES[item.type],
        media_content_type=content_type(item),
        title=title,
        can_play=bool(item.files),
        can_expand=item.is_folder,
        thumbnail=async_picture(hass, server, item),
    )
