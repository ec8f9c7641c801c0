"""Tests of what a server's transcoder makes fit for players."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

from aiohttp import web
from aiohttp.test_utils import TestClient
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.plex_account import hls
from custom_components.plex_account.api import PlexNotFoundError
from custom_components.plex_account.hls import (
    MAX_TICKETS,
    async_get_transcode,
    async_stop_transcodes,
)
from homeassistant.components.media_source import async_resolve_media
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from . import PATIENCE, Tick, setup_integration, until
from .const import CLIENT_IDENTIFIER
from .plex_emulator import Delay, Ending, MediaServer, PlexEmulator, Vanish, error
from .plex_emulator.library import Entry, Section
from .plex_emulator.transcoder import MASTER

type Player = TestClient[web.Request, web.Application]

PING = "/video/:/transcode/universal/ping"
STOP = "/video/:/transcode/universal/stop"


@pytest.fixture
def film(attic: MediaServer) -> Entry:
    """Return a film that players can't play."""
    film = Entry(100, "movie", "Film", files=[("film.mkv", b"film")])
    film.codecs = ("hevc", "dts")
    attic.library.sections = [Section(1, "movie", "Films", [film])]
    return film


@pytest.fixture
async def player(
    hass: HomeAssistant,
    film: Entry,
    config_entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
) -> Player:
    """Return a player that has no account at Home Assistant."""
    await async_setup_component(hass, "media_source", {})
    await setup_integration(hass, config_entry)
    return await hass_client_no_auth()


async def resolve(hass: HomeAssistant, server: MediaServer, film: Entry) -> str:
    """Return where Home Assistant says that a film is."""
    (entry,) = hass.config_entries.async_entries("plex_account")
    path = f"{entry.unique_id}/{server.machine_identifier}/item/{film.key}"
    play = await async_resolve_media(hass, f"media-source://plex_account/{path}", None)
    assert play.mime_type == "application/x-mpegURL"
    return play.url


@pytest.fixture
async def path(
    hass: HomeAssistant, player: Player, attic: MediaServer, film: Entry
) -> str:
    """Return where Home Assistant says that the film is."""
    return await resolve(hass, attic, film)


async def lines(player: Player, path: str) -> list[str]:
    """Return what a playlist names."""
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.content_type == "application/vnd.apple.mpegurl"
        text = await answer.text()
    return [line for line in text.splitlines() if line and line[0] != "#"]


async def start(player: Player, path: str) -> str:
    """Return where the playlist of a session is, which begins with that."""
    async with player.get(path, allow_redirects=False) as answer:
        assert answer.status == HTTPStatus.FOUND
        return beside(path, answer.headers["Location"])


def beside(path: str, name: str) -> str:
    """Return where something is that a playlist names."""
    return f"{path.rpartition('/')[0]}/{name}"


async def test_music(
    hass: HomeAssistant, player: Player, plex: PlexEmulator, attic: MediaServer
) -> None:
    """For music the server has a transcoder of its own."""
    track = Entry(101, "track", "Song", files=[("song.wma", b"song")])
    track.codecs = (None, "wmav2")
    attic.library.sections.append(Section(2, "artist", "Music", [track]))
    path = await resolve(hass, attic, track)
    plex.requests.clear()
    async with player.get(path, allow_redirects=False):
        (asked,) = plex.requests
        assert asked.path == "/music/:/transcode/universal/start.m3u8"


async def test_play(
    player: Player, plex: PlexEmulator, attic: MediaServer, path: str
) -> None:
    """Playlists and segments come through Home Assistant, without a signature."""
    assert len(path.split("/")[4]) >= 22
    plex.requests.clear()
    index = await start(player, path)
    assert await start(player, path) == index
    (segment,) = await lines(player, path)
    async with player.get(beside(index, segment)) as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.content_type == "video/mp2t"
        assert await answer.read() == attic.transcoder.made[segment]
    first, *others = plex.requests
    session = first.query["session"]
    client = first.query["X-Plex-Client-Identifier"]
    assert dict(first.query) == {
        "path": "/library/metadata/100",
        "mediaIndex": "0",
        "partIndex": "0",
        "protocol": "hls",
        "offset": "0",
        "directPlay": "0",
        "directStream": "1",
        "fastSeek": "1",
        "maxVideoBitrate": "20000",
        "videoResolution": "1920x1080",
        "subtitles": "none",
        "location": "lan",
        "session": session,
        "X-Plex-Client-Identifier": client,
        "X-Plex-Session-Identifier": session,
        "X-Plex-Platform": "Chrome",
    }
    for asked in (first, *others):
        assert asked.headers["X-Plex-Session-Identifier"] == session
        assert asked.headers["X-Plex-Platform"] == "Chrome"
        assert asked.headers["X-Plex-Product"] == "Plex Account for Home Assistant"
    assert len(others) == 2
    assert all(asked.token.startswith("transient-") for asked in (first, *others))
    clients = {asked.value("X-Plex-Client-Identifier") for asked in plex.requests}
    assert clients == {client}
    # Who knows that of the account could take part in its signing in.
    assert CLIENT_IDENTIFIER not in str([(r.headers, r.query) for r in plex.requests])


@pytest.mark.parametrize(
    ("relay", "expected"),
    [
        (False, ("8000", "1920x1080", "wan")),
        (True, ("900", "720x480", "wan")),
    ],
)
async def test_quality(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    config_entry: MockConfigEntry,
    hass_client_no_auth: ClientSessionGenerator,
    relay: bool,
    expected: tuple[str, ...],
) -> None:
    """No more is made of a film than what the way to its server carries."""
    if relay:
        # By any other way it could be played as it is.
        film.files, film.codecs = [("film.mp4", b"film")], ("h264", "aac")
    attic.listing.connections = [
        replace(each, local=False, relay=relay) for each in attic.listing.connections
    ]
    await async_setup_component(hass, "media_source", {})
    await setup_integration(hass, config_entry)
    player = await hass_client_no_auth()
    await start(player, await resolve(hass, attic, film))
    (asked,) = plex.requests.matching(path="/video/*/start.m3u8")
    names = ("maxVideoBitrate", "videoResolution", "location")
    assert tuple(asked.query[name] for name in names) == expected


@pytest.mark.parametrize("kind", ["versions", "parts"])
async def test_several_files(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    kind: str,
) -> None:
    """Of several versions the server chooses one, several parts become one film."""
    if kind == "versions":
        film.files.append(("film.avi", b"film"))
    else:
        film.files, film.codecs = [("film.mp4", b"film")], ("h264", "aac")
        film.is_split = True
    await start(player, await resolve(hass, attic, film))
    (asked,) = plex.requests.matching(path="/video/*/start.m3u8")
    assert (asked.query["mediaIndex"], asked.query["partIndex"]) == ("-1", "-1")


async def test_two_players(
    hass: HomeAssistant, player: Player, attic: MediaServer, film: Entry
) -> None:
    """A second player does not stop the first; a third is no new one to the server."""
    first, second = [await resolve(hass, attic, film) for _ in range(2)]
    playlists = [await start(player, path) for path in (first, second)]
    clients = set(attic.transcoder.sessions)
    assert len(clients) == 2
    assert await lines(player, playlists[0])
    mine, other = [path.split("/")[4] for path in playlists]
    async with player.get(playlists[0].replace(mine, other)) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND
    transcode = async_get_transcode(hass, mine)
    assert transcode
    await transcode.async_stop()
    await start(player, await resolve(hass, attic, film))
    assert set(attic.transcoder.sessions) == clients


async def test_jump(
    hass: HomeAssistant, player: Player, plex: PlexEmulator, path: str
) -> None:
    """A segment is waited for to which the server has not come."""
    segment = beside(await start(player, path), "00000.ts")
    plex.faults.add(error(404), path="/video/*/00000.ts", times=2)
    async with player.get(segment) as answer:
        assert answer.status == HTTPStatus.OK
    rule = plex.faults.add(error(404), path="/video/*/00000.ts")
    waiting = asyncio.ensure_future(player.get(segment))
    await until(lambda: rule.hits > 1)
    transcode = async_get_transcode(hass, path.split("/")[4])
    await async_stop_transcodes(hass)
    assert (await waiting).status == HTTPStatus.NOT_FOUND
    # Nor does one begin whose turn comes too late.
    assert transcode
    with pytest.raises(PlexNotFoundError):
        await transcode.async_start()


@pytest.mark.parametrize("end", ["time", "unload", "stop"])
async def test_stopped(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    config_entry: MockConfigEntry,
    tick: Tick,
    end: str,
    path: str,
) -> None:
    """The server's work ends when nobody fetches any more, and with Home Assistant."""
    unused = await resolve(hass, attic, film)
    playlist = await start(player, path)
    match end:
        case "time":
            await tick(timedelta(minutes=9))
            assert await lines(player, playlist)
            await tick(timedelta(minutes=9))
            assert len(attic.transcoder.sessions) == 1
            await tick(timedelta(minutes=2))
        case "unload":
            await hass.config_entries.async_unload(config_entry.entry_id)
        case _:
            hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not attic.transcoder.sessions
    assert len(plex.requests.matching(path=STOP)) == 1
    for url in (path, playlist, unused):
        async with player.get(url) as answer:
            assert answer.status == HTTPStatus.NOT_FOUND


async def test_most_at_a_time(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    tick: Tick,
) -> None:
    """What nobody watches makes room where a server can't convert one more."""
    attic.transcoder.most = 3
    paths = [await resolve(hass, attic, film) for _ in range(5)]
    playlists = [await start(player, path) for path in paths[:3]]
    begin = "/video/:/transcode/universal/start.m3u8"
    plex.requests.clear()
    async with player.get(paths[3]) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    assert len(plex.requests.matching(path=begin)) == 1
    await tick(timedelta(seconds=11))
    assert await lines(player, playlists[0])
    await tick(timedelta(seconds=11))
    # What is wrong with a film is no reason to end another.
    rule = plex.faults.add(error(500), path=begin)
    async with player.get(paths[3]) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    assert len(attic.transcoder.sessions) == 3
    plex.faults.remove(rule)
    playlists.append(await start(player, paths[3]))
    for playlist, status in zip(playlists, (200, 404, 200, 200), strict=True):
        async with player.get(playlist) as answer:
            assert answer.status == status
    # What has not begun takes no place.
    assert len(attic.transcoder.sessions) == 3
    assert async_get_transcode(hass, paths[4].split("/")[4])


async def test_long_film(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    tick: Tick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server is told that a film still plays, which it would end after minutes."""
    monkeypatch.setattr(hls, "SEGMENT_PATIENCE", 0.05)
    _, path = [await resolve(hass, attic, film) for _ in range(2)]
    playlist = await start(player, path)
    plex.requests.clear()
    for _ in range(4):
        await tick(timedelta(seconds=30))
    (session,) = attic.transcoder.sessions.values()
    pings = plex.requests.matching("Attic", PING)
    assert [ping.field("session") for ping in pings] == [session] * 4
    assert {ping.value("X-Plex-Client-Identifier") for ping in pings} == {
        *attic.transcoder.sessions
    }
    await tick(timedelta(minutes=6))
    assert await lines(player, playlist)
    # That it does not want to hear it does not matter meanwhile.
    plex.faults.add(error(404), path=PING)
    await tick(timedelta(minutes=4))
    assert await lines(player, playlist)
    await tick(timedelta(minutes=6))
    async with player.get(beside(playlist, "00000.ts")) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND
    # It has ended, and begins anew.
    assert await lines(player, path)


async def test_server_gone(
    hass: HomeAssistant,
    player: Player,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    path: str,
) -> None:
    """A server that is gone does not hold up the end."""
    playlist = await start(player, path)
    await attic.stop()
    async with player.get(playlist) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    assert await hass.config_entries.async_unload(config_entry.entry_id)


@pytest.mark.parametrize(
    "line",
    [
        "http://evil.example/film.ts",
        "//evil.example/film.ts",
        "/api/states",
        "../../../states",
        "session/%2e%2e/index.m3u8",
        "\udcff",
    ],
)
async def test_hostile_playlist(
    hass: HomeAssistant, player: Player, attic: MediaServer, film: Entry, line: str
) -> None:
    """A playlist that leads elsewhere does not reach the player."""
    evil = line.encode(errors="surrogateescape")
    attic.transcoder.made["index.m3u8"] = b"#EXTM3U\n00000.ts\n" + evil
    async with player.get(await resolve(hass, attic, film)) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    for master in (
        MASTER + evil,
        MASTER.replace(b".m3u8", b".ts"),
        MASTER.replace(b".m3u8", b".M3U8"),
        b"",
        b"#EXTM3U\n",
        b"#EXTM3U\nother/index.m3u8",
        MASTER + b"\n" * 100_000,
    ):
        attic.transcoder.master = master
        async with player.get(await resolve(hass, attic, film)) as answer:
            assert answer.status == HTTPStatus.BAD_GATEWAY


@pytest.mark.parametrize(
    "tag",
    [
        '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"',
        "#EXT-X-KEY:METHOD=AES-128,URI=http://evil.example/",
        "#EXT-X-MAP:URI=http://evil.example/",
        "#EXT-X-MAP:URI='//evil.example/'",
        '#EXT-X-MAP:URI ="../../evil"',
        '#EXT-X-MAP:uri="/evil"',
        '#EXT-X-DATERANGE:X-ASSET-LIST="http://evil.example/"',
        "#EXT-X-VERSION:http://evil.example/",
        "#EXTINF:4,http://evil.example/",
        ' #EXT-X-KEY:METHOD=AES-128,URI="http://evil.example/"',
        "#EXTM3U\rhttp:evil",
        'a.ts #EXT-X-KEY:METHOD=AES-128,URI="http://evil.example/"',
    ],
)
async def test_hostile_tag(
    hass: HomeAssistant, player: Player, attic: MediaServer, film: Entry, tag: str
) -> None:
    """Of the tags only those reach a player that it needs, and that lead nowhere."""
    attic.transcoder.made["index.m3u8"] = (
        '#EXTM3U\n#EXT-X-VERSION:7\n\n#EXT-X-MAP:URI="00000.mp4"\n'
        f"{tag}\n#EXTINF:4.004, nodesc\n00000.ts\n#EXT-X-ENDLIST"
    ).encode()
    async with player.get(await resolve(hass, attic, film)) as answer:
        text = await answer.text()
    assert "evil" not in text
    assert "etc" not in text
    is_refused = "\r" in tag or "a.ts" in tag
    assert answer.status == (HTTPStatus.BAD_GATEWAY if is_refused else HTTPStatus.OK)
    if not is_refused:
        kept = [line for line in text.splitlines() if line != "#EXTINF:4,"]
        assert kept == [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            '#EXT-X-MAP:URI="00000.mp4"',
            "#EXTINF:4.004,",
            "00000.ts",
            "#EXT-X-ENDLIST",
        ]


async def test_head(player: Player, path: str) -> None:
    """A player may first ask what there is, with the ticket alone."""
    async with player.head(path, allow_redirects=False) as answer:
        assert answer.status == HTTPStatus.FOUND
        playlist = beside(path, answer.headers["Location"])
    async with player.head(playlist) as answer:
        assert answer.content_type == "application/vnd.apple.mpegurl"
    async with player.head(beside(playlist, "00000.ts")) as answer:
        assert answer.content_type == "video/mp2t"


async def test_ended_by_the_server(
    player: Player, plex: PlexEmulator, attic: MediaServer, path: str
) -> None:
    """A session that a server has forgotten begins anew when a player tries again."""
    assert await lines(player, path)
    attic.transcoder.sessions.clear()
    plex.requests.clear()
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND
    # A playlist is there from the beginning.
    assert len(plex.requests) == 1
    assert await lines(player, path)


async def test_many_tickets(
    hass: HomeAssistant, player: Player, attic: MediaServer, film: Entry
) -> None:
    """Who has long not fetched makes room, and his transcoder ends."""
    paths = [await resolve(hass, attic, film) for _ in range(MAX_TICKETS)]
    for path in (*paths[:2], paths[0]):
        assert await lines(player, path)
    # Of the two that play, the second has not been heard of for longer.
    paths += [await resolve(hass, attic, film) for _ in range(MAX_TICKETS - 1)]
    await hass.async_block_till_done(wait_background_tasks=True)
    (session,) = attic.transcoder.sessions
    async with player.get(paths[1]) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND
    for path in (paths[0], paths[-1]):
        assert await lines(player, path)
    assert session in attic.transcoder.sessions


async def test_last_day(player: Player, tick: Tick, path: str) -> None:
    """However often it is used, a ticket is worthless after a day."""
    for _ in range(6 * 24 - 1):
        assert await lines(player, path)
        await tick(timedelta(minutes=9, seconds=59))
    await tick(timedelta(minutes=9, seconds=59))
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND


async def test_unloaded_while_it_begins(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    path: str,
) -> None:
    """A transcoder that begins while the account goes ends all the same."""
    plex.faults.add(Delay(0.2), path="/video/:/transcode/universal/start.m3u8")
    transcode = async_get_transcode(hass, path.split("/")[4])
    assert transcode
    starting = asyncio.create_task(transcode.async_start())
    await asyncio.sleep(0.05)
    await hass.config_entries.async_unload(config_entry.entry_id)
    with pytest.raises(PlexNotFoundError):
        await starting
    assert not attic.transcoder.sessions
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND


async def test_silent_server(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that says nothing does not hold up the end."""
    monkeypatch.setattr(hls, "STOP_TIMEOUT", 0.05)
    await start(player, await resolve(hass, attic, film))
    plex.faults.add(Vanish(Ending.SILENCE), path=STOP)
    async with asyncio.timeout(PATIENCE):
        assert await hass.config_entries.async_unload(config_entry.entry_id)
    assert len(plex.requests.matching(path=STOP)) == 1


async def test_other_account(
    hass: HomeAssistant,
    player: Player,
    attic: MediaServer,
    grace_entry: MockConfigEntry,
    path: str,
) -> None:
    """The end of an account leaves alone what is played of another."""
    await start(player, path)
    await setup_integration(hass, grace_entry)
    assert await hass.config_entries.async_unload(grace_entry.entry_id)
    assert attic.transcoder.sessions
    assert await lines(player, path)


async def test_ends_at_once(
    hass: HomeAssistant, player: Player, attic: MediaServer, path: str
) -> None:
    """Whoever ends what is played does so once."""
    assert await lines(player, path)
    await asyncio.gather(async_stop_transcodes(hass), async_stop_transcodes(hass))
    assert not attic.transcoder.sessions


async def test_server_left_out(
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    path: str,
) -> None:
    """A ticket of a server that is no longer followed is worthless."""
    assert await lines(player, path)
    plex.servers.remove(attic)
    await config_entry.runtime_data.async_refresh()
    assert not config_entry.runtime_data.servers
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND
    await tick(timedelta(seconds=30))
    assert not attic.transcoder.sessions
    await attic.close()


@pytest.mark.parametrize(
    "name",
    [
        "session/{session}/base/../../stop",
        "session/{session}/base/%2e%2e",
        "session/{other}/base/index.m3u8",
        "stop",
        "x/start.m3u8",
    ],
)
async def test_nothing_else(
    player: Player, plex: PlexEmulator, attic: MediaServer, name: str, path: str
) -> None:
    """A ticket is good for its own session alone."""
    await lines(player, path)
    (session,) = attic.transcoder.sessions.values()
    plex.requests.clear()
    tail = name.format(session=session, other=session[::-1])
    url = player.make_url("/").with_path(beside(path, tail), encoded=True)
    async with player.session.get(url) as answer:
        assert answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    assert not plex.requests


async def test_refused(player: Player, plex: PlexEmulator, path: str) -> None:
    """A transcoder that refuses is told to the player as a fault of the server's."""
    rule = plex.faults.add(error(503), path="/video/:/transcode/universal/start.m3u8")
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    plex.faults.remove(rule)
    assert await lines(player, path)


async def test_stop_refused(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    attic: MediaServer,
    film: Entry,
    config_entry: MockConfigEntry,
) -> None:
    """To end what a player had is no reason for a new token, or to sign in again."""
    await start(player, await resolve(hass, attic, film))
    attic.revoke(attic.owner)
    plex.requests.clear()
    assert await hass.config_entries.async_unload(config_entry.entry_id)
    assert [request.path for request in plex.requests] == [STOP]
    assert not hass.config_entries.flow.async_progress()
