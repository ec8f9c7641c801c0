"""What an item of a library is called in Home Assistant, and how it is fetched."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from itertools import chain, zip_longest
import time
from typing import Final

from lru import LRU

from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util.async_ import create_eager_task
from homeassistant.util.hass_dict import HassKey

from .access import async_ask_library
from .api import Item, ItemType, MediaFile
from .const import DOMAIN
from .server_coordinator import PlexServerCoordinator

# How long a picture can be fetched at the least by whoever was given its path, and how
# long the same path is given again, by which browsers know what they have already.
PICTURE_LIFETIME: Final = timedelta(days=1)
PICTURE_REUSE: Final = timedelta(hours=12)
MAX_SIGNED: Final = 10_000
# Pixels that a picture in a list and a photo on a screen have at the least.
PICTURE_SIZE: Final = (400, 600)
PHOTO_SIZE: Final = (1920, 1080)
# Seconds that what some servers have found waits for the others.
SEARCH_TIMEOUT: float = 8
# What stands before the path of a picture that is wanted in the size of a screen.
PHOTO_PATH: Final = "/photo"

# What players can play as it is: how they call a container, and what is in it.
_VIDEO_TYPES: Final = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    # Browsers play it, though not by its own name.
    "mov": "video/mp4",
    "webm": "video/webm",
}
_AUDIO_TYPES: Final = {
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "m4a": "audio/mp4",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "wav": "audio/wav",
}
# What is shown otherwise, or made of what can't be played as it is.
_OTHER_TYPES: Final = {ItemType.TRACK: "audio/mpeg", ItemType.PHOTO: "image/jpeg"}
_VIDEO_CODECS: Final = {"h264", "vp8", "vp9", "av1"}
_AUDIO_CODECS: Final = {None, "aac", "mp3", "opus", "flac", "vorbis"}

type Found = list[tuple[PlexServerCoordinator, Item]]

_SIGNED: HassKey[LRU[str, tuple[float, str]]] = HassKey(f"{DOMAIN}_signed_pictures")


def server_identifier(server: PlexServerCoordinator) -> str:
    """Return what names a server, below which all that it has is named."""
    account = server.config_entry.unique_id
    return f"{account}/{server.data.resource.client_identifier}"


def item_identifier(server: PlexServerCoordinator, item: Item) -> str:
    """Return what names an item, in automations too."""
    kind = "playlist" if item.type is ItemType.PLAYLIST else "item"
    return f"{server_identifier(server)}/{kind}/{item.rating_key}"


def media_content_id(server: PlexServerCoordinator, item: Item) -> str | None:
    """Return what a media player is told to play, None for what is no one thing."""
    if not item.files:
        return None
    return f"media-source://{DOMAIN}/{item_identifier(server, item)}"


def media_path(server: PlexServerCoordinator, path: str) -> str:
    """Return where Home Assistant has a file or a picture of a server."""
    return f"/api/{DOMAIN}/{server_identifier(server)}{path}"


@callback
def async_picture(
    hass: HomeAssistant, server: PlexServerCoordinator, item: Item
) -> str | None:
    """Return where the picture of an item can be fetched for a day."""
    if item.thumb is None:
        return None
    path = media_path(server, item.thumb)
    signed_paths = hass.data.setdefault(_SIGNED, LRU(MAX_SIGNED))
    # By the clock that the signature goes by, which may be set back.
    now = time.time()
    match signed_paths.get(path):
        case (at, str(signed)) if 0 <= now - at < PICTURE_REUSE.total_seconds():
            return signed
    signed = async_sign_path(
        hass, path, PICTURE_LIFETIME + PICTURE_REUSE, use_content_user=True
    )
    signed_paths[path] = now, signed
    return signed


def picture_params(path: str) -> tuple[str, dict[str, str]]:
    """Return where a server scales a picture, and how; that is a JPEG."""
    shown = path.removeprefix(PHOTO_PATH)
    width, height = PICTURE_SIZE if shown == path else PHOTO_SIZE
    return "/photo/:/transcode", {
        "url": shown,
        "width": str(width),
        "height": str(height),
        "minSize": "1",
        "upscale": "1",
    }


def content_type(item: Item) -> str:
    """Return the type of what is played, by which players choose what they list."""
    if not item.files:
        return ""
    if direct := direct_file(item):
        return direct[1]
    return _OTHER_TYPES.get(item.type, "video/mp4")


def direct_file(item: Item) -> tuple[MediaFile, str] | None:
    """Return the first file that most players can play as it is, and its type."""
    for file in item.files:
        if file.is_whole and (kind := _direct_type(item, file)):
            return file, kind
    return None


def _direct_type(item: Item, file: MediaFile) -> str | None:
    """Return the type of a file if most players can play it as it is."""
    is_wave = file.container == "wav" and file.audio_codec == "pcm"
    if file.container is None or not (is_wave or file.audio_codec in _AUDIO_CODECS):
        return None
    if item.type is ItemType.TRACK:
        return _AUDIO_TYPES.get(file.container)
    if file.video_codec not in _VIDEO_CODECS:
        return None
    return _VIDEO_TYPES.get(file.container)


def subtitle(item: Item) -> str | None:
    """Return what tells an item from others of its title."""
    match item.type:
        case ItemType.EPISODE:
            number = "".join(
                f"{letter}{index}"
                for letter, index in (("S", item.parent_index), ("E", item.index))
                if index is not None
            )
            told = (item.grandparent_title, number)
        case ItemType.TRACK:
            told = (item.grandparent_title, item.parent_title or "")
        case ItemType.SEASON | ItemType.ALBUM | ItemType.PHOTO:
            told = (item.parent_title, "")
        case _:
            told = (None, "" if item.year is None else str(item.year))
    return " · ".join(part for part in told if part) or None


async def async_search(
    servers: Sequence[PlexServerCoordinator], query: str, limit: int
) -> Found:
    """Return what servers find, the best of each first.

    One that can't be reached is left out, and one that is silent if others have found
    something; if none is left its error is raised.
    """
    # Nobody wants to wait for one that is known to be down.
    asked = [server for server in servers if server.data.reachable] or servers
    if not asked:
        return []
    errors: list[HomeAssistantError] = []

    async def ask(server: PlexServerCoordinator) -> Found:
        try:
            items = await async_ask_library(
                server, lambda library: library.search(query, limit)
            )
        except HomeAssistantError as err:
            errors.append(err)
            return []
        return [(server, item) for item in items]

    asking = [create_eager_task(ask(server)) for server in asked]
    try:
        done, _ = await asyncio.wait(asking, timeout=SEARCH_TIMEOUT)
        if not any(task.result() for task in done):
            done, _ = await asyncio.wait(asking)
    finally:
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
    if errors and len(errors) == len(asked):
        raise errors[0]
    found = [task.result() for task in asking if task in done]
    return [each for each in chain(*zip_longest(*found)) if each]
