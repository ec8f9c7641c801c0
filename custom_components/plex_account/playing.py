"""Where a player fetches an item: as it is, or made fit for it."""

import asyncio
from typing import Final

from aiohttp import hdrs

from homeassistant.components.media_source import PlayMedia, Unresolvable
from homeassistant.core import HomeAssistant

from .access import async_stream
from .api import (
    Item,
    ItemType,
    MediaFile,
    PlexError,
    PlexNotFoundError,
    PlexServerError,
)
from .errors import translation
from .hls import async_open_transcode
from .media import PHOTO_PATH, direct_file, media_path
from .server_coordinator import PlexServerCoordinator

# How Home Assistant's media panel wants HLS to be called.
PANEL_HLS_TYPE: Final = "application/x-mpegURL"

# Seconds that a server, which has just told of a file, is given to show that it has it.
# Its disk may have to wake up, so then it is believed.
CHECK_TIMEOUT: float = 5


async def async_play(
    hass: HomeAssistant, server: PlexServerCoordinator, item: Item
) -> PlayMedia:
    """Return where a player fetches an item: of Home Assistant.

    Raises Unresolvable for what is no one thing, or has no file.
    """
    photo = item.thumb if item.type is ItemType.PHOTO else None
    if not item.files or (item.type is ItemType.PHOTO and photo is None):
        key = "not_playable" if item.is_folder else "no_file"
        raise Unresolvable(**translation(key, title=item.title))
    if photo:
        return PlayMedia(media_path(server, f"{PHOTO_PATH}{photo}"), "image/jpeg")
    direct = direct_file(item)
    if direct and _is_carried(server, item):
        file, kind = direct
        if await _is_handed_out(server, file):
            return PlayMedia(media_path(server, file.key), kind)
    return PlayMedia(async_open_transcode(hass, server, item), PANEL_HLS_TYPE)


def _is_carried(server: PlexServerCoordinator, item: Item) -> bool:
    """Return if an item as it is may go the way to its server: no film by the relay."""
    connection = server.data.connection
    return item.type is ItemType.TRACK or not (connection and connection.relay)


async def _is_handed_out(server: PlexServerCoordinator, file: MediaFile) -> bool:
    """Return if a server has a file, and does not insist on making it smaller."""
    try:
        async with (
            asyncio.timeout(CHECK_TIMEOUT),
            await async_stream(
                server, "GET", file.key, headers={hdrs.RANGE: "bytes=0-0"}
            ),
        ):
            return True
    except PlexNotFoundError, PlexServerError:
        # It may have another version, or be limited.
        return False
    except PlexError, TimeoutError:
        # The player will be told the same.
        return True
