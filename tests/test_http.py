"""Tests of the views by which files and pictures leave Home Assistant."""

import asyncio
from contextlib import AsyncExitStack
import gzip
from http import HTTPStatus
import time

from aiohttp import ClientError, ClientResponse, ClientTimeout, web
from aiohttp.test_utils import TestClient
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.plex_account import access, http as plex_account_http
from custom_components.plex_account.api import http
from custom_components.plex_account.server_coordinator import MAX_PLAYERS
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant

from . import setup_integration, until
from .plex_emulator import (
    Account,
    Cut,
    Delay,
    Drip,
    Ending,
    Endless,
    Fault,
    MediaServer,
    PlexEmulator,
    Raw,
    Reply,
    Vanish,
    error,
    redirect,
)
from .plex_emulator.faults import RealAnswer
from .plex_emulator.library import FILE, Entry, Section
from .plex_emulator.replies import Answer

type Player = TestClient[web.Request, web.Application]

FILM = bytes(range(256)) * 4096


def _path(entry: MockConfigEntry, server: MediaServer, path: str) -> str:
    """Return where Home Assistant has something of a server."""
    return f"/api/plex_account/{entry.unique_id}/{server.machine_identifier}{path}"


@pytest.fixture
def film(attic: MediaServer) -> Entry:
    """Return a film of one megabyte."""
    film = Entry(100, "movie", "Film", files=[("film.mp4", FILM)])
    attic.library.sections = [Section(1, "movie", "Films", [film])]
    return film


@pytest.fixture
async def player(
    hass: HomeAssistant,
    config_entry: MockConfigEntry,
    film: Entry,
    hass_client: ClientSessionGenerator,
) -> Player:
    """Return somebody who has signed in to Home Assistant."""
    await setup_integration(hass, config_entry)
    return await hass_client()


@pytest.fixture
def path(config_entry: MockConfigEntry, attic: MediaServer, film: Entry) -> str:
    """Return where Home Assistant has the film."""
    return _path(config_entry, attic, film.part_path(0))


async def test_whole(
    player: Player, plex: PlexEmulator, film: Entry, path: str
) -> None:
    """A file comes as it is; the server gets the transient token in a header."""
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.OK
        assert answer.content_type == "video/mp4"
        assert answer.content_length == len(FILM)
        assert answer.headers["ETag"]
        assert await answer.read() == FILM
        assert not [name for name in answer.headers if "plex" in name.lower()]
    (asked,) = plex.requests.matching(path=film.part_path(0))
    assert asked.headers["X-Plex-Token"].startswith("transient-")
    assert not asked.query
    async with player.head(path) as answer:
        assert answer.content_length == len(FILM)
    (_, asked) = plex.requests.matching(path=film.part_path(0))
    assert asked.method == "HEAD"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("bytes=0-0", FILM[:1]),
        ("bytes=1000-", FILM[1000:]),
        ("bytes=-5", FILM[-5:]),
        (f"bytes={len(FILM)}-", None),
    ],
)
async def test_range(
    player: Player, path: str, wanted: str, expected: bytes | None
) -> None:
    """A player can begin anywhere."""
    async with player.get(path, headers={"Range": wanted}) as answer:
        if expected is None:
            assert answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        else:
            assert answer.status == HTTPStatus.PARTIAL_CONTENT
            assert await answer.read() == expected
        assert answer.headers["Content-Range"].endswith(f"/{len(FILM)}")


async def test_renewed(player: Player, attic: MediaServer, path: str) -> None:
    """A token that has died is renewed before anybody notices."""
    attic.forget_tokens()
    async with player.get(path) as answer:
        assert await answer.read() == FILM


@pytest.mark.parametrize(
    "tail",
    [
        "/security/token",
        "/library/sections",
        "/library/parts/1000/1700000000/../../../identity",
        "/library/parts/1000/1700000000/%66ile.mp4",
        "/library/parts/1000/1700000000/file.mp4%0a",
        "//evil.example/library/parts/1/2/file.mp4",
    ],
)
async def test_nothing_else(
    player: Player,
    config_entry: MockConfigEntry,
    attic: MediaServer,
    plex: PlexEmulator,
    tail: str,
) -> None:
    """Nothing but what a library lists is asked of a server."""
    plex.requests.clear()
    path = _path(config_entry, attic, tail)
    url = player.make_url("/").with_path(path, encoded=True)
    async with player.session.get(url) as answer:
        assert answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    assert not plex.requests


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (error(404), HTTPStatus.NOT_FOUND),
        (error(403), HTTPStatus.BAD_GATEWAY),
        (error(503), HTTPStatus.BAD_GATEWAY),
        (error(509), HTTPStatus.BAD_GATEWAY),
        (redirect("https://evil.example/film.mp4"), HTTPStatus.BAD_GATEWAY),
        (Vanish(), HTTPStatus.BAD_GATEWAY),
        (Reply(Answer(200, b"<script>", "text/html")), HTTPStatus.BAD_GATEWAY),
        (
            Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n\0"),
            HTTPStatus.BAD_GATEWAY,
        ),
    ],
)
async def test_refused(
    player: Player, plex: PlexEmulator, path: str, fault: Fault, expected: HTTPStatus
) -> None:
    """What a server does instead of giving a file is a plain error for a player."""
    plex.faults.add(fault, path="/library/parts/*")
    async with player.get(path, allow_redirects=False) as answer:
        assert answer.status == expected
        assert answer.headers.get("Location") is None
        assert "evil" not in await answer.text()


async def test_odd_headers(player: Player, plex: PlexEmulator, path: str) -> None:
    """What of its headers is too odd to be passed on does not keep a file away."""
    head = "HTTP/1.1 200 OK\r\nAccept-Ranges: \1\r\nContent-Type: Video/MP4;"
    odd = f"{head}{'(' * 8000}\r\nContent-Length: {len(FILM)}\r\n\r\n".encode()
    plex.faults.add(Raw(odd + FILM), path="/library/parts/*")
    async with player.get(path) as answer:
        assert await answer.read() == FILM
        assert answer.content_type == "video/mp4"
        assert "Accept-Ranges" not in answer.headers


@pytest.mark.parametrize(
    "kind",
    [
        "image/svg+xml",
        "image/svg+xml,",
        "image/svg+xml a",
        "image/svg xml",
        "audio/x-mpegurl",
        "text/html",
        "application/javascript",
        "",
    ],
)
async def test_active_content(
    player: Player, plex: PlexEmulator, path: str, kind: str
) -> None:
    """Nothing is handed over that a browser would run as Home Assistant's own."""
    plex.faults.add(Reply(Answer(200, FILM, kind)), path="/library/parts/*")
    async with player.get(path) as answer:
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
        assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "body",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert()</script></svg>",
        b"\xff\xfe" + "#EXTM3U\nhttp://192.168.1.1/".encode("utf-16-le"),
        b"\xfe\xff" + "#EXTM3U\nhttp://192.168.1.1/".encode("utf-16-be"),
        b"\xef\xbb\xbf#EXTM3U\nhttp://192.168.1.1/reboot",
        b"[playlist]\nFile1=http://192.168.1.1/reboot\n" + bytes(100),
        b"ID3",
        b"",
    ],
)
@pytest.mark.parametrize("wanted", [None, "bytes=0-", "bytes=1-", "bytes=5-9,0-"])
async def test_text(
    player: Player, plex: PlexEmulator, path: str, body: bytes, wanted: str | None
) -> None:
    """No player is led elsewhere by a text that is said to be a film."""
    plex.faults.add(Reply(Answer(200, body, "video/mp4")), path="/library/parts/*")
    headers = {"Range": wanted} if wanted else {}
    async with player.get(path, headers=headers) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY


async def test_text_at_the_beginning_of_a_part(
    player: Player, plex: PlexEmulator, path: str
) -> None:
    """Nor by the beginning of one, though that is all that was asked for."""
    for told in ("bytes 0-7/100", "bytes 00-7/100", "bytes 1-7/100", ""):
        headers = {"Content-Range": told}
        # Of a file that is not longer that is the beginning, too.
        is_begun = told.startswith("bytes 0-")
        at_the_end = HTTPStatus.BAD_GATEWAY if is_begun else HTTPStatus.PARTIAL_CONTENT
        for wanted, body, status in (
            (None, b"#EXTM3U\n", HTTPStatus.BAD_GATEWAY),
            ("bytes=0-", b"#EXTM3U\n", HTTPStatus.BAD_GATEWAY),
            ("bytes=0-7", b"#EXTM3U\n", HTTPStatus.BAD_GATEWAY),
            # Less than it is told by.
            ("bytes=0-7", b"ID3", HTTPStatus.BAD_GATEWAY),
            ("bytes=0-2", b"ID3", HTTPStatus.PARTIAL_CONTENT),
            ("bytes=-8", b"#EXTM3U\n", at_the_end),
        ):
            part = Answer(206, body, "video/mp4", headers)
            plex.faults.add(Reply(part), path="/library/parts/*")
            asked = {"Range": wanted} if wanted else {}
            async with player.get(path, headers=asked) as answer:
                assert answer.status == status


async def test_small_pieces(
    player: Player, plex: PlexEmulator, film: Entry, path: str
) -> None:
    """However small the pieces are, it is the beginning that counts."""
    film.files = [("film.mp4", b"RIFF1234AVI ")]
    plex.faults.add(Drip(0.01), path="/library/parts/*")
    async with player.get(path) as answer:
        assert await answer.read() == b"RIFF1234AVI "
    film.files = [("film.mp4", b"<html></html>")]
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY


async def test_text_inside(player: Player, plex: PlexEmulator, path: str) -> None:
    """In the middle of a file there may well be text."""
    headers = {"Content-Range": "bytes 5-15/100"}
    part = Answer(206, b"Hello world", "video/mp4", headers)
    plex.faults.add(Reply(part), path="/library/parts/*")
    async with player.get(path, headers={"Range": "bytes=5-15"}) as answer:
        assert await answer.read() == b"Hello world"


async def test_part_of_somewhere(player: Player, plex: PlexEmulator, path: str) -> None:
    """Which part it is need not be said."""
    plex.faults.add(Reply(Answer(206, FILM, "video/mp4")), path="/library/parts/*")
    async with player.get(path, headers={"Range": "bytes=5-"}) as answer:
        assert answer.status == HTTPStatus.PARTIAL_CONTENT
        assert await answer.read() == FILM


@pytest.mark.parametrize(
    "start", [b"OggS", b"RIFF", b"ID3\4", b"\0\0\0 ftyp", b"2a3bmdat"]
)
async def test_letters(
    player: Player, plex: PlexEmulator, path: str, start: bytes
) -> None:
    """Some files begin with letters."""
    body = start + b"Some title that is long enough to be taken for a text as well"
    plex.faults.add(Reply(Answer(200, body, "audio/ogg")), path="/library/parts/*")
    async with player.get(path) as answer:
        assert await answer.read() == body


async def test_encoded(player: Player, plex: PlexEmulator, path: str) -> None:
    """What nobody can count on is no file either."""
    packed = Answer(200, gzip.compress(FILM), "video/mp4", {"Content-Encoding": "gzip"})
    plex.faults.add(Reply(packed), path="/library/parts/*")
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY


@pytest.mark.parametrize("status", [304, 416])
async def test_no_page(
    player: Player, plex: PlexEmulator, path: str, status: int
) -> None:
    """What a server says beside a status is not for players."""
    page = Answer(status, b"<h1>No</h1>", "text/html", {"Content-Range": "bytes */9"})
    plex.faults.add(Reply(page), path="/library/parts/*")
    async with player.get(path) as answer:
        assert answer.status == status
        assert answer.headers["Content-Range"] == "bytes */9"
        assert await answer.read() == b""


@pytest.mark.parametrize(
    ("version", "kept"), [("/7", "private, max-age=43200"), ("", "private")]
)
async def test_picture(
    player: Player,
    config_entry: MockConfigEntry,
    attic: MediaServer,
    film: Entry,
    version: str,
    kept: str,
) -> None:
    """A browser that has a picture of a version need not ask for it again."""
    thumb = f"/library/metadata/{film.key}/thumb{version}"
    async with player.get(_path(config_entry, attic, thumb)) as answer:
        assert answer.content_type == "image/jpeg"
        assert answer.headers["Cache-Control"] == kept


async def test_several_ranges(player: Player, plex: PlexEmulator, path: str) -> None:
    """Who asks for several parts gets all."""
    async with player.get(path, headers={"Range": "bytes=0-1,5-6"}) as answer:
        assert await answer.read() == FILM
    (asked,) = plex.requests.matching(path="/library/parts/*")
    assert "Range" not in asked.headers


@pytest.mark.parametrize("ending", Ending)
async def test_breaks_off(
    player: Player,
    plex: PlexEmulator,
    path: str,
    ending: Ending,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A player sees that it has not got all, and gets the rest when it asks again."""
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.2))
    plex.faults.add(Cut(ending), path="/library/parts/*", times=1)
    pieces: list[bytes] = []

    async def receive(answer: ClientResponse) -> None:
        while piece := await answer.content.readany():
            pieces.append(piece)

    async with player.get(path) as answer:
        with pytest.raises(ClientError):
            await receive(answer)
    got = b"".join(pieces)
    assert len(got) < len(FILM)
    assert FILM.startswith(got)
    headers = {"Range": f"bytes={len(got)}-"}
    async with player.get(path, headers=headers) as answer:
        assert got + await answer.read() == FILM
    assert "authSig" not in caplog.text
    assert "ERROR" not in caplog.text


async def test_without_range(player: Player, plex: PlexEmulator, path: str) -> None:
    """A server that gives all is no reason to give less."""
    whole = Reply(Answer(200, FILM, "video/mp4"))
    plex.faults.add(whole, path="/library/parts/*")
    async with player.get(path, headers={"Range": "bytes=5-"}) as answer:
        assert answer.status == HTTPStatus.OK
        assert await answer.read() == FILM


@pytest.mark.parametrize("told", [len(FILM) - 10, len(FILM) + 10])
async def test_wrong_length(
    player: Player, plex: PlexEmulator, path: str, told: int
) -> None:
    """Nobody gets more than was announced, or takes less for all."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: {told}\r\n\r\n"
    )
    plex.faults.add(Raw(head.encode() + FILM), path="/library/parts/*")
    async with player.get(path) as answer:
        assert answer.content_length == told
        if told > len(FILM):
            with pytest.raises(ClientError):
                await answer.read()
        else:
            assert await answer.read() == FILM[:told]


async def test_not_modified(player: Player, plex: PlexEmulator, path: str) -> None:
    """What a player has already is not sent again."""
    async with player.get(path) as answer:
        etag = answer.headers["ETag"]
    plex.faults.add(Reply(Answer(304, headers={"ETag": etag})), path="/library/parts/*")
    async with player.get(path, headers={"If-None-Match": etag}) as answer:
        assert (answer.status, answer.headers["ETag"]) == (304, etag)
    *_, asked = plex.requests.matching(path="/library/parts/*")
    assert asked.headers["If-None-Match"] == etag


async def test_not_loaded(
    hass: HomeAssistant, player: Player, config_entry: MockConfigEntry, path: str
) -> None:
    """Nothing is left of an account that is unloaded."""
    await hass.config_entries.async_unload(config_entry.entry_id)
    async with player.get(path) as answer:
        assert answer.status == HTTPStatus.NOT_FOUND


async def test_player_leaves(player: Player, plex: PlexEmulator, path: str) -> None:
    """What nobody takes any more is not fetched any more."""
    file = Endless()
    plex.faults.add(file, path="/library/parts/*")
    async with player.get(path) as answer:
        await answer.content.readexactly(1000)
        assert file.running == 1
        answer.close()
    await until(lambda: file.running == 0)


@pytest.mark.parametrize("is_looked_for", [False, True])
async def test_slow_disk(
    player: Player,
    plex: PlexEmulator,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    is_looked_for: bool,
) -> None:
    """A file may take longer to begin than any other answer."""
    monkeypatch.setattr(access, "PATIENCE", 0.03)
    if is_looked_for:
        monkeypatch.setattr(access, "FILE_PATIENCE", 0.03)
    plex.faults.add(Delay(0.2), path="/library/parts/*")
    plex.requests.clear()
    async with player.get(path) as answer:
        assert await answer.read() == FILM
    assert bool(plex.requests.matching(path="/identity")) is is_looked_for


async def test_refused_slowly(
    player: Player,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that begins to refuse, and says no more, keeps nobody."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.2)
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n<html>"
    plex.faults.add(Raw(head, ending=Ending.SILENCE), path="/library/parts/*")
    async with asyncio.timeout(5), player.get(path) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    (server,) = config_entry.runtime_data.servers.values()
    assert not server.players


class Stall:
    """Let everything wait just when the rest of a file is on its way."""

    async def happen(
        self, request: web.BaseRequest, real: RealAnswer
    ) -> web.StreamResponse:
        """Send a beginning, more of it as late as may be, and the rest."""
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        response.content_length = 3000
        await response.prepare(request)
        await response.write(FILM[:1000])
        await asyncio.sleep(0.05)
        assert request.transport
        request.transport.write(FILM[1000:2000])
        self.block()
        await asyncio.sleep(0.05)
        request.transport.write(FILM[2000:3000])
        return response

    @staticmethod
    def block() -> None:
        """Let nothing else run."""
        time.sleep(0.5)


async def test_late(
    player: Player, plex: PlexEmulator, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That Home Assistant itself was busy is no reason to break a file off."""
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.3))
    plex.faults.add(Stall(), path="/library/parts/*")
    async with player.get(path) as answer:
        assert await answer.read() == FILM[:3000]


async def test_player_pauses(
    player: Player, plex: PlexEmulator, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A player may take its time; only the server has to go on."""
    monkeypatch.setattr(http, "STREAM_TIMEOUT", ClientTimeout(sock_read=0.1))
    file = Endless()
    plex.faults.add(file, path="/library/parts/*")
    async with player.get(path) as answer:
        await answer.content.readexactly(1)
        sent = 0
        while file.sent > sent:
            # Until all that is on the way is full.
            sent = file.sent
            await asyncio.sleep(0.3)
        await answer.content.readexactly(sent + 1)
        assert file.running == 1


async def test_too_many(
    player: Player,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Players do not take what all else needs to reach a server, but wait for it."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    pauses, file = Raw(head + FILM[-100:], ending=Ending.SILENCE), Endless()
    (server,) = config_entry.runtime_data.servers.values()
    async with AsyncExitStack() as stack:
        plex.faults.add(pauses, path="/library/parts/*", times=MAX_PLAYERS - 1)
        for _ in range(MAX_PLAYERS - 1):
            await stack.enter_async_context(player.get(path))
        plex.faults.add(file, path="/library/parts/*", times=1)
        async with player.get(path) as last:
            waiting = asyncio.create_task(_read(player, path))
            await server.async_refresh()
            assert server.data.reachable
            assert not waiting.done()
            last.close()
        assert await waiting == FILM
        plex.faults.add(pauses, path="/library/parts/*", times=1)
        await stack.enter_async_context(player.get(path))
        monkeypatch.setattr(plex_account_http, "BUSY_PATIENCE", 0.05)
        async with player.get(path) as answer:
            assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
            assert answer.headers["Retry-After"]


async def _read(player: Player, path: str) -> bytes:
    """Return what a player gets."""
    async with player.get(path) as answer:
        return await answer.read()


@pytest.mark.parametrize("end", ["unload", "stop"])
async def test_end(
    hass: HomeAssistant,
    player: Player,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    path: str,
    end: str,
) -> None:
    """Nobody goes on to play what is gone, nor holds up Home Assistant's end."""
    file = Endless()
    plex.faults.add(file, path="/library/parts/*")
    async with player.get(path) as answer:
        # It pauses.
        await answer.content.readexactly(1)
        if end == "unload":
            await hass.config_entries.async_unload(config_entry.entry_id)
        else:
            hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await until(lambda: file.running == 0)
        with pytest.raises(ClientError):
            await answer.read()


async def test_another_machine(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
) -> None:
    """Where no certificate proves who answers, the token goes to nobody else."""
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    await setup_integration(hass, config_entry)
    path = _path(config_entry, attic, "/library/parts/420/1700000000/file.mp4")
    browser = await hass_client()
    async with browser.get(path) as answer:
        assert await answer.read() == FILE
    await until(lambda: bool(attic.push.sockets))
    # Somebody else has got the address meanwhile.
    attic.listing.client_identifier = "f" * 40
    plex.faults.add(error(500), path="/api/v2/resources")
    plex.requests.clear()
    async with browser.get(path) as answer:
        assert answer.status == HTTPStatus.BAD_GATEWAY
    asked = plex.requests.matching(host="Attic")
    assert {(request.path, request.token) for request in asked} == {("/identity", "")}
