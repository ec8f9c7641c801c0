"""The door through which files and pictures leave Home Assistant.

What leaves are paths of Home Assistant, never a token or an address of Plex.
"""

from typing import Final

from aiohttp import ClientError, ClientResponse, hdrs, web

from homeassistant.components.http import KEY_HASS, HomeAssistantView
from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError

from .api import PlexError, PlexNotFoundError, part_path, picture_path
from .const import DOMAIN, LOGGER
from .coordinator import PlexConfigEntry, PlexServerCoordinator
from .hls import MASTER_PLAYLIST, async_get_transcode
from .media import PHOTO_PATH, media_path, picture_params

# The part of a file that a player wants, and what it has already.
ASKED_HEADERS: Final = (
    hdrs.RANGE,
    hdrs.IF_RANGE,
    hdrs.IF_MODIFIED_SINCE,
    hdrs.IF_NONE_MATCH,
)
# What a player has to know of what it gets. All else stays here.
TOLD_HEADERS: Final = (
    hdrs.ACCEPT_RANGES,
    hdrs.CONTENT_ENCODING,
    hdrs.CONTENT_LENGTH,
    hdrs.CONTENT_RANGE,
    hdrs.ETAG,
    hdrs.LAST_MODIFIED,
)
MEDIA_TYPES: Final = {"audio", "image", "video"}
# What is no media in spite of its name: pages and drawings with scripts, which would
# be Home Assistant's own.
ACTIVE_TYPES: Final = {"image/svg+xml"}
# What a server says rather than gives; so is all text.
WORDS_TYPES: Final = {"application/json", "application/xml"}
HLS_TYPE: Final = "application/vnd.apple.mpegurl"


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
        params = None
        if picture_path(path.removeprefix(PHOTO_PATH)):
            path, params = picture_params(path)
        elif not part_path(path):
            raise web.HTTPNotFound
        try:
            async with coordinator.async_stream(
                request.method, path, headers=_asked(request), params=params
            ) as answer:
                return await _hand_over(request, answer)
        except (PlexError, HomeAssistantError) as err:
            raise _refusal(err) from err


class HlsView(HomeAssistantView):
    """Playlists and segments, for whoever has the ticket."""

    url = f"/api/{DOMAIN}/hls/{{ticket}}/{{name:.+}}"
    name = f"api:{DOMAIN}:hls"
    requires_auth = False
    # A cast device asks for it from a page of its own.
    cors_allowed = True

    async def get(
        self, request: web.Request, ticket: str, name: str
    ) -> web.StreamResponse:
        """Hand over a playlist, or a segment while it comes."""
        transcode = async_get_transcode(request.app[KEY_HASS], ticket)
        if transcode is None or not _raw_path(request).endswith(f"/{ticket}/{name}"):
            raise web.HTTPNotFound
        try:
            if name == MASTER_PLAYLIST:
                raise web.HTTPFound(await transcode.async_start())
            if name.endswith(".m3u8"):
                return web.Response(
                    body=await transcode.async_playlist(name), content_type=HLS_TYPE
                )
            async with transcode.stream(request.method, name) as answer:
                return await _hand_over(request, answer)
        except (PlexError, HomeAssistantError) as err:
            raise _refusal(err) from err


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
    return {
        name: request.headers[name] for name in ASKED_HEADERS if name in request.headers
    }


def _refusal(err: PlexError | HomeAssistantError) -> web.HTTPException:
    """Return what a player is told if there is nothing for it."""
    if isinstance(err, PlexNotFoundError):
        return web.HTTPNotFound()
    LOGGER.debug("A player gets nothing: %s", err)
    return web.HTTPBadGateway()


async def _hand_over(
    request: web.Request, answer: ClientResponse
) -> web.StreamResponse:
    """Send on what the server sends, as fast as it is taken."""
    headers: dict[str, str] = {
        name: answer.headers[name] for name in TOLD_HEADERS if name in answer.headers
    }
    kind = answer.content_type
    group = kind.partition("/")[0]
    if group == "text" or kind in WORDS_TYPES:
        # Such as a page that says what is wrong, which no player could show.
        raise web.HTTPBadGateway
    if group not in MEDIA_TYPES or kind in ACTIVE_TYPES:
        kind = "application/octet-stream"
    headers |= {
        hdrs.CONTENT_TYPE: kind,
        "X-Content-Type-Options": "nosniff",
        hdrs.CACHE_CONTROL: "private",
    }
    response = web.StreamResponse(status=answer.status, headers=headers)
    await response.prepare(request)
    if request.method == hdrs.METH_GET:
        try:
            async for piece in answer.content.iter_any():
                await response.write(piece)
        except (ClientError, TimeoutError) as err:
            # The player sees that it is not all, and asks for the rest.
            LOGGER.debug("A file broke off: %s", type(err).__name__)
            request.protocol.force_close()
            return response
    await response.write_eof()
    return response
