"""The views of Home Assistant by which players get files, pictures and HLS.

What leaves are paths of Home Assistant, never a token or an address of Plex.
"""

import asyncio
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
import re
import string
from typing import Final

from aiohttp import ClientError, ClientResponse, hdrs, web

from homeassistant.components.http import KEY_HASS, HomeAssistantView
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError

from .access import async_stream
from .api import (
    PlexConnectionError,
    PlexError,
    PlexNotFoundError,
    PlexResponseError,
    media_type,
    part_path,
    picture_path,
)
from .const import DOMAIN, LOGGER
from .coordinator import PlexConfigEntry
from .hls import MASTER_PLAYLIST, PLAYLIST_SUFFIX, async_get_transcode
from .media import PHOTO_PATH, PICTURE_REUSE, media_path, picture_params
from .server_coordinator import PlexServerCoordinator

# The part of a file that a player wants, and what it has already.
ASKED_HEADERS: Final = (
    hdrs.RANGE,
    hdrs.IF_RANGE,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.IF_NONE_MATCH,
)
# What a player has to know of what it gets. All else stays here.
PASSED_HEADERS: Final = (
    hdrs.ACCEPT_RANGES,
    hdrs.CONTENT_LENGTH,
    hdrs.CONTENT_RANGE,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
)
# Whatever comes, a browser that opens it is to run nothing of it as Home Assistant's.
SAFE_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "private",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The path of a picture ends in its version: a new one has another.
VERSION_HEADERS: Final = SAFE_HEADERS | {
    hdrs.CACHE_CONTROL: f"private, max-age={PICTURE_REUSE.total_seconds():.0f}"
}
# Neither drawings, which have scripts, nor lists of other places.
MEDIA_TYPE: Final = re.compile(
    r"(?:audio|image|video)/(?!.*mpegurl)[a-z0-9][a-z0-9.-]*", re.ASCII
)
OTHER_TYPE: Final = "application/octet-stream"
HLS_TYPE: Final = "application/vnd.apple.mpegurl"
# By its first bytes a text is told from a file: such as a page, or a list that leads
# players elsewhere. A range may not have them, or be too short. Only these kinds of
# files may begin with eight letters, too.
BEGINNING: Final = 8
INSIDE: Final = re.compile(r"bytes=(?:-|0*[1-9])", re.ASCII)
SHORT: Final = re.compile(r"bytes=0+-0*[0-6]", re.ASCII)
PRINTABLE: Final = string.printable.encode() + b"\xef\xbb\xbf"
LETTERS: Final = (
    *(b".RMF", b".snd", b"8BPS", b"APET", b"BW64", b"DSD ", b"FORM", b"FRM8", b"FUJI"),
    *(b"GIF8", b"IIRO", b"IIRS", b"MAC ", b"MMOR", b"MPCK", b"MThd", b"OFR ", b"OggS"),
    *(b"RF64", b"RIFF", b"RIFX", b"TTA1", b"TTA2", b"caff", b"fLaC", b"riff", b"tBaK"),
    b"wvpk",
)
# What stands behind the size with which a film of QuickTime's kind begins.
ATOMS: Final = {b"free", b"ftyp", b"mdat", b"moov", b"pnot", b"skip", b"wide"}
# Seconds that a request waits for its turn, and after which it may be tried again.
BUSY_PATIENCE: Final[float] = 10


class MediaView(HomeAssistantView):
    """Files and pictures of servers, for whoever has signed in to Home Assistant."""

    url = f"/api/{DOMAIN}/{{account}}/{{server}}/{{path:.+}}"
    name = f"api:{DOMAIN}:media"

    async def head(
        self, request: web.Request, account: str, server: str, path: str
    ) -> web.StreamResponse:
        """Tell of a file what there is to know."""
        return await self.get(request, account, server, path)

    async def get(
        self, request: web.Request, account: str, server: str, path: str
    ) -> web.StreamResponse:
        """Hand over a file or a picture while it comes."""
        coordinator = _server(request, account, server)
        path = f"/{path}"
        # What is written in another way than by us is nothing that was listed.
        if coordinator is None or _raw_path(request) != media_path(coordinator, path):
            raise web.HTTPNotFound
        params, headers = None, SAFE_HEADERS
        if picture_path(path.removeprefix(PHOTO_PATH)):
            if path[-1].isdigit():
                headers = VERSION_HEADERS
            path, params = picture_params(path)
        elif not part_path(path):
            raise web.HTTPNotFound
        asked = _asked(request)
        async with (
            _playing(coordinator),
            await async_stream(
                coordinator,
                request.method,
                path,
                headers=asked,
                params=params,
            ) as answer,
        ):
            return await _hand_over(request, answer, headers, asked)


class HlsView(HomeAssistantView):
    """Playlists and segments, for whoever has the ticket."""

    url = f"/api/{DOMAIN}/hls/{{ticket}}/{{name:.+}}"
    name = f"api:{DOMAIN}:hls"
    requires_auth = False
    # A cast device asks for it from a page of its own.
    cors_allowed = True

    async def head(
        self, request: web.Request, ticket: str, name: str
    ) -> web.StreamResponse:
        """Tell of a playlist or a segment what there is to know."""
        return await self.get(request, ticket, name)

    async def get(
        self, request: web.Request, ticket: str, name: str
    ) -> web.StreamResponse:
        """Hand over a playlist, or a segment while it comes."""
        transcode = async_get_transcode(request.app[KEY_HASS], ticket)
        if transcode is None or not _raw_path(request).endswith(f"/{ticket}/{name}"):
            raise web.HTTPNotFound
        async with _playing(transcode.server):
            if name == MASTER_PLAYLIST:
                raise web.HTTPFound(await transcode.async_start())
            if name.endswith(PLAYLIST_SUFFIX):
                return web.Response(
                    body=await transcode.async_playlist(name), content_type=HLS_TYPE
                )
            async with await transcode.stream(request.method, name) as answer:
                return await _hand_over(request, answer, SAFE_HEADERS, {})


def _raw_path(request: web.Request) -> str:
    """Return the path as it was written."""
    return request.raw_path.partition("?")[0]


def _server(
    request: web.Request, account: str, server: str
) -> PlexServerCoordinator | None:
    """Return a server of an account that is loaded."""
    entry: PlexConfigEntry | None = request.app[
        KEY_HASS
    ].config_entries.async_entry_for_domain_unique_id(DOMAIN, account)
    if entry is None or entry.state is not ConfigEntryState.LOADED:
        return None
    return entry.runtime_data.servers.get(server)


def _asked(request: web.Request) -> dict[str, str]:
    """Return what of a player's request is the server's business."""
    asked: dict[str, str] = {
        name: request.headers[name] for name in ASKED_HEADERS if name in request.headers
    }
    if "," in asked.get(hdrs.RANGE, ""):
        # Several parts in one answer are nothing that players need.
        del asked[hdrs.RANGE]
    return asked


@asynccontextmanager
async def _turn(server: PlexServerCoordinator) -> AsyncGenerator[None]:
    """Wait until the server is asked for less, as for a page of pictures."""
    try:
        async with asyncio.timeout(BUSY_PATIENCE):
            await server.player_turns.acquire()
    except TimeoutError as err:
        retry_after = {hdrs.RETRY_AFTER: f"{BUSY_PATIENCE:.0f}"}
        raise web.HTTPServiceUnavailable(headers=retry_after) from err
    try:
        yield
    finally:
        server.player_turns.release()


@asynccontextmanager
async def _playing(server: PlexServerCoordinator) -> AsyncGenerator[None]:
    """Let a player fetch from a server, and tell it plainly what is wrong."""
    task = asyncio.current_task()
    assert task
    server.players.add(task)
    try:
        async with _turn(server):
            yield
    except PlexNotFoundError as err:
        raise web.HTTPNotFound from err
    except (PlexError, HomeAssistantError) as err:
        LOGGER.debug("A player gets nothing: %s", err)
        raise web.HTTPBadGateway from err
    finally:
        server.players.discard(task)


async def _hand_over(
    request: web.Request,
    answer: ClientResponse,
    headers: dict[str, str],
    asked: dict[str, str],
) -> web.StreamResponse:
    """Send on what the server sends to what it was asked, as fast as it is taken."""
    headers = headers | {
        name: value
        for name in PASSED_HEADERS
        if (value := answer.headers.get(name)) and value.isprintable()
    }
    if answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        # There is nothing in it for a player, if maybe a page.
        headers.pop(hdrs.CONTENT_LENGTH, None)
        return web.Response(status=answer.status, headers=headers)
    kind = media_type(answer)
    headers[hdrs.CONTENT_TYPE] = kind if MEDIA_TYPE.fullmatch(kind) else OTHER_TYPE
    response = web.StreamResponse(status=answer.status, headers=headers)
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    pieces = answer.content.iter_any()
    beginning = await _beginning(pieces)
    if not _is_file(answer, beginning, asked.get(hdrs.RANGE, "")):
        raise PlexResponseError("It is no file")
    await response.prepare(request)
    try:
        await response.write(beginning)
        async for piece in pieces:
            await response.write(piece)
    except ClientError as err:
        # The player sees that it is not all, and asks for the rest.
        LOGGER.debug("A file broke off: %s", type(err).__name__)
        request.protocol.force_close()
        return response
    await response.write_eof()
    return response


def _is_file(answer: ClientResponse, beginning: bytes, wanted: str) -> bool:
    """Return if what comes is a file as it is."""
    # What the server says that it is may not be true.
    told = answer.headers.get(hdrs.CONTENT_RANGE, "")
    is_inside = INSIDE.match(wanted) and not told.startswith("bytes 0-")
    is_short = SHORT.fullmatch(wanted)
    begins = answer.status == HTTPStatus.OK or not (is_inside or is_short)
    is_encoded = answer.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity"
    return not is_encoded and not (begins and _is_text(beginning[:BEGINNING]))


async def _beginning(pieces: AsyncIterator[bytes]) -> bytes:
    """Return the first bytes, or all if there are not many."""
    beginning = b""
    try:
        async for piece in pieces:
            beginning += piece
            if len(beginning) >= BEGINNING:
                break
    except ClientError as err:
        raise PlexConnectionError(f"It broke off: {type(err).__name__}") from None
    return beginning


def _is_text(beginning: bytes) -> bool:
    """Return if a file is a text rather than a film or the like."""
    return beginning.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) or not (
        beginning.strip(PRINTABLE)
        or beginning.startswith(LETTERS)
        or beginning[4:] in ATOMS
    )
