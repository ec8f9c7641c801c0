"""HLS of what players can't play as it is: a server's transcoder, behind a ticket.

A signature is good for one path, but such a film has a thousand. So whoever has the
ticket, which nobody can guess, may fetch them until it expires.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from itertools import count
import re
import secrets
from typing import Final
from uuid import uuid4

from aiohttp import ClientResponse

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.util.hass_dict import HassKey

from .access import async_stream
from .api import (
    Connection,
    Item,
    ItemType,
    PlexError,
    PlexNotFoundError,
    PlexResponseError,
    PlexServerError,
    read_stream,
)
from .const import DOMAIN, LOGGER
from .identity import identity_at_server
from .server_coordinator import PlexServerCoordinator

MASTER_PLAYLIST: Final = "start.m3u8"
PLAYLIST_SUFFIX: Final = ".m3u8"
# Seconds without a request after which a ticket is worthless, and after which it is in
# any case.
TICKET_LIFETIME: Final = 600
MAX_TICKET_LIFETIME: Final = 86_400
# Seconds without a request after which others may have its place at the server.
IDLE_TIME: Final = 20
# A server ends what nobody says to be alive after minutes, however much is fetched.
PING_INTERVAL: Final = timedelta(seconds=30)
# How many a server has at a time; who has long not fetched makes room for one more.
MAX_TICKETS: Final = 32
# Seconds that the end of all of them may take.
STOP_TIMEOUT: Final = 2
# Bytes and lines of a playlist; that of ten hours has a quarter, or three, of it if its
# segments are of a second.
PLAYLIST_SIZE: Final = 4 * 1024 * 1024
MAX_LINES: Final = 100_000
# Seconds that a segment to which a player has jumped may take to be there, and between
# two looks for it.
SEGMENT_PATIENCE: Final = 5
SEGMENT_PAUSE: Final = 0.25

# What a playlist may name: files of its own session.
_SESSION_FILE = re.compile(
    r"session/(?P<session>[\w-]{36})/\w{1,16}/[\w-][\w.-]{0,63}", re.ASCII
)
_NAME = r"(?!\S*\.\.)[\w-][\w./-]{0,127}"
_NAME_LINE = re.compile(_NAME, re.ASCII)
# The tags that a player needs, of which but one names something, and no titles.
_TAG_LINE = re.compile(
    r"(?P<timed>#EXTINF:[\d.]{1,32},).*"
    r"|(?P<tag>#EXTM3U"
    r"|#EXT-X-(?:VERSION|TARGETDURATION|MEDIA-SEQUENCE|DISCONTINUITY-SEQUENCE"
    r"|PLAYLIST-TYPE|ALLOW-CACHE|DISCONTINUITY|INDEPENDENT-SEGMENTS|ENDLIST)"
    r"(?::[\w.]{1,32})?"
    rf'|#EXT-X-MAP:URI="{_NAME}")',
    re.ASCII,
)

_TRANSCODES: HassKey[dict[str, Transcode]] = HassKey(f"{DOMAIN}_transcodes")


def _quality(connection: Connection) -> dict[str, str]:
    """Return what a way to a server carries: kilobits per second, and a picture."""
    bitrate, resolution = "8000", "1920x1080"
    if connection.relay:
        # Plex lets a megabit through if the owner has no Plex Pass.
        bitrate, resolution = "900", "720x480"
    elif connection.local:
        # Above that not even what needs no new pictures is passed on as it is.
        bitrate = "20000"
    return {
        "maxVideoBitrate": bitrate,
        "videoResolution": resolution,
        "location": "lan" if connection.local else "wan",
    }


class Transcode:
    """A session of a server's transcoder, which ends once nobody fetches any more."""

    def __init__(
        self,
        hass: HomeAssistant,
        server: PlexServerCoordinator,
        item: Item,
        number: int,
    ) -> None:
        """Have an item's file made fit for a player; nothing is sent yet."""
        self.ticket = secrets.token_urlsafe()
        self.server = server
        self.number = number
        self._hass = hass
        self._session = str(uuid4())
        kind = "music" if item.type is ItemType.TRACK else "video"
        self._path = f"/{kind}/:/transcode/universal"
        # One whom the server takes for a player that has begun something else is cut
        # off, and each that it does not know yet is a new device to its owner.
        identity = identity_at_server(
            server.identity, f"{server.data.resource.client_identifier}/{number}"
        )
        player = {
            "X-Plex-Session-Identifier": self._session,
            "X-Plex-Platform": "Chrome",
        }
        # The server shows who plays what.
        self._headers = {**identity.headers, **player}
        # Of several versions the server chooses, and several parts it joins.
        is_plain = len(item.files) == 1 and item.files[0].is_whole
        index = "0" if is_plain else "-1"
        self._params = {
            "path": f"/library/metadata/{item.rating_key}",
            "mediaIndex": index,
            "partIndex": index,
            "protocol": "hls",
            "offset": "0",
            "directPlay": "0",
            "directStream": "1",
            # Else it takes seconds to begin elsewhere than at the beginning.
            "fastSeek": "1",
            "subtitles": "none",
            "session": self._session,
            "X-Plex-Client-Identifier": identity.client_identifier,
            **player,
        }
        self._playlist: str | None = None
        self._starting = asyncio.Lock()
        # Whether the server may have something to stop.
        self._is_begun = False
        self._used_at = hass.loop.time()
        self._worthless_at = self._used_at + MAX_TICKET_LIFETIME
        self._cancel_pings = async_track_time_interval(
            hass, self._async_ping, PING_INTERVAL
        )

    @property
    def is_idle(self) -> bool:
        """Return if the server may be at work for nobody."""
        unused = self._hass.loop.time() - self._used_at
        return self._is_begun and unused >= IDLE_TIME

    async def _async_ping(self, _: datetime) -> None:
        """Keep it alive, or stop once nobody fetches any more, or may."""
        expires_at = min(self._used_at + TICKET_LIFETIME, self._worthless_at)
        if self._hass.loop.time() >= expires_at or not self.server.is_followed:
            await self.async_stop()
        elif self._is_begun:
            await self._async_tell("ping")

    @callback
    def _async_keep(self) -> None:
        """Let the ticket be good for another while, and others make room before.

        Raises PlexNotFoundError if it is worthless by now.
        """
        if async_get_transcode(self._hass, self.ticket) is not self:
            raise PlexNotFoundError("It was stopped")
        transcodes = self._hass.data[_TRANSCODES]
        transcodes[self.ticket] = transcodes.pop(self.ticket)
        self._used_at = self._hass.loop.time()

    async def async_start(self) -> str:
        """Return the playlist of the session, which begins when it is first asked for.

        There is but one for all that a player can choose from, so that it need not.
        Raises as async_stream does.
        """
        self._async_keep()
        # Asked for once more, the server would begin anew.
        async with self._starting:
            if self._playlist is None:
                master = await self._async_begin()
                try:
                    self._async_keep()
                except PlexNotFoundError:
                    # It was stopped meanwhile, maybe before it had begun.
                    await self._async_tell("stop")
                    raise
                playlists = (
                    name
                    for name in master
                    if name.endswith(PLAYLIST_SUFFIX) and self._is_own(name)
                )
                self._playlist = next(playlists, None)
                if self._playlist is None:
                    raise PlexResponseError("The playlist has nothing to play")
        return self._playlist

    async def _async_begin(self) -> list[str]:
        """Let the server begin, in the place of what nobody watches if need be."""
        path = f"{self._path}/{MASTER_PLAYLIST}"
        self._is_begun = True
        access = await self.server.async_get_access()
        params = self._params | _quality(access.connection)
        try:
            answer = await self._stream("GET", path, params)
        except PlexServerError as err:
            # It converts no more at a time.
            is_full = err.status == HTTPStatus.SERVICE_UNAVAILABLE
            if not (is_full and await self._async_make_room()):
                raise
            answer = await self._stream("GET", path, params)
        async with answer:
            return await self._async_lines(answer)

    async def _async_make_room(self) -> bool:
        """Stop what nobody has fetched for longest, return if there is such."""
        for each in self._hass.data[_TRANSCODES].values():
            if each.server is self.server and each.is_idle:
                await each.async_stop()
                return True
        return False

    async def async_playlist(self, name: str) -> bytes:
        """Return a playlist, in which there is nothing but files of the session.

        Raises as `stream` does.
        """
        async with await self.stream("GET", name) as answer:
            lines = await self._async_lines(answer)
        return "".join(f"{line}\n" for line in lines).encode()

    async def _async_lines(self, answer: ClientResponse) -> list[str]:
        """Read a playlist, of which there can be much."""
        playlist = await read_stream(answer, PLAYLIST_SIZE)
        return await self._hass.async_add_executor_job(_lines, playlist)

    async def stream(self, method: str, name: str) -> ClientResponse:
        """Return the answer for a file of the session, to be read and closed.

        Raises PlexNotFoundError if it is not of this session, and as async_stream does.
        """
        if not self._is_own(name):
            raise PlexNotFoundError("Not of this session")
        is_playlist = name.endswith(PLAYLIST_SUFFIX)
        gives_up_at = self._hass.loop.time() + (0 if is_playlist else SEGMENT_PATIENCE)
        while True:
            self._async_keep()
            try:
                return await self._stream(method, f"{self._path}/{name}")
            except PlexNotFoundError:
                if self._hass.loop.time() >= gives_up_at:
                    # The server has ended it, and begins anew if it is asked to.
                    self._playlist = None
                    raise
            # It has not come so far, after a jump.
            await asyncio.sleep(SEGMENT_PAUSE)

    def _is_own(self, name: str) -> bool:
        """Return if a file is one of this session."""
        match = _SESSION_FILE.fullmatch(name)
        return bool(match and match["session"] == self._session)

    async def async_stop(self) -> None:
        """Make the ticket worthless, and let the server end its work."""
        if self._hass.data[_TRANSCODES].pop(self.ticket, None) is None:
            return
        self._cancel_pings()
        if self._is_begun:
            await self._async_tell("stop")

    async def _async_tell(self, what: str) -> None:
        """Let the server go on with its work, or end it."""
        # For that the server is not looked for: it ends by itself, if later.
        if (access := self.server.last_access) is None:
            return
        try:
            answer = await self.server.client(access).stream(
                "GET",
                f"{self._path}/{what}",
                headers=self._headers,
                params={"session": self._session},
            )
            answer.close()
        except PlexError as err:
            LOGGER.debug("%s: no %s of the transcoder: %s", self.server.name, what, err)

    async def _stream(
        self, method: str, path: str, params: Mapping[str, str] | None = None
    ) -> ClientResponse:
        """Ask the server as the player that this session is to it."""
        return await async_stream(
            self.server, method, path, headers=self._headers, params=params
        )


@callback
def async_open_transcode(
    hass: HomeAssistant, server: PlexServerCoordinator, item: Item
) -> str:
    """Return where an item's file can be fetched in a form for players."""
    transcodes = hass.data.setdefault(_TRANSCODES, {})
    others = [each for each in transcodes.values() if each.server is server]
    if len(others) >= MAX_TICKETS:
        server.config_entry.async_create_background_task(
            hass, others[0].async_stop(), f"{server.name} transcoder"
        )
    taken = {each.number for each in others}
    number = next(number for number in count(1) if number not in taken)
    transcode = Transcode(hass, server, item, number)
    transcodes[transcode.ticket] = transcode
    return f"/api/{DOMAIN}/hls/{transcode.ticket}/{MASTER_PLAYLIST}"


@callback
def async_get_transcode(hass: HomeAssistant, ticket: str) -> Transcode | None:
    """Return what a ticket is for, None if it is worthless."""
    transcode = hass.data.get(_TRANSCODES, {}).get(ticket)
    return transcode if transcode and transcode.server.is_followed else None


async def async_stop_transcodes(
    hass: HomeAssistant, entry: ConfigEntry | None = None
) -> None:
    """Stop what is played of an account, or all."""
    transcodes = [
        transcode
        for transcode in hass.data.get(_TRANSCODES, {}).values()
        if entry is None or entry is transcode.server.config_entry
    ]
    # Nothing waits for a server that does not answer.
    with suppress(TimeoutError):
        async with asyncio.timeout(STOP_TIMEOUT):
            await asyncio.gather(*(each.async_stop() for each in transcodes))


def _lines(playlist: bytes) -> list[str]:
    """Return a playlist without what no player needs.

    Raises PlexResponseError if it is none, or leads elsewhere.
    """
    try:
        told = playlist.decode().splitlines()
    except UnicodeDecodeError as err:
        raise PlexResponseError("The playlist is no text") from err
    if len(told) > MAX_LINES:
        raise PlexResponseError("The playlist is too long")
    lines: list[str] = []
    # Line by line, so that other threads may run meanwhile.
    for line in map(str.strip, told):
        if line.startswith("#"):
            if match := _TAG_LINE.fullmatch(line):
                lines.append(match["timed"] or match["tag"])
        elif _NAME_LINE.fullmatch(line):
            lines.append(line)
        elif line:
            raise PlexResponseError("The playlist leads elsewhere")
    if lines[:1] != ["#EXTM3U"]:
        raise PlexResponseError("It is no playlist")
    return lines
