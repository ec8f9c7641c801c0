"""Films and songs through a real Home Assistant, in the players that people have."""

import asyncio
from collections.abc import AsyncGenerator
import json
from pathlib import Path
import shutil

import pytest

from tests.plex_emulator.demo_library import FILMS
from tests.plex_emulator.media_files import SECONDS

from .hass_client import Data, HassClient
from .hass_process import free_port
from .sign_in import FLOWS
from .test_players import address_of

DIRECT, *_, CONVERTED = FILMS
SONG = "Salt"
DAEMON = "media_player.music_player_daemon"
# Seconds.
PATIENCE = 30
pytestmark = pytest.mark.xdist_group("e2e")


async def run(*command: str) -> str:
    """Run a program, and return what it prints."""
    program = shutil.which(command[0])
    assert program, f"no {command[0]} on PATH (apt-get install {command[0]})"
    process = await asyncio.create_subprocess_exec(
        program,
        *command[1:],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode() + err.decode()


@pytest.mark.parametrize("title", [DIRECT, CONVERTED, SONG])
async def test_ffmpeg(home: HassClient, attic: Data, title: str) -> None:
    """It is understood, and decoded from its middle to its end."""
    url = await address_of(home, title)
    told = await run(
        "ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "json", url
    )
    duration = float(json.loads(told)["format"]["duration"])
    assert duration == pytest.approx(SECONDS, abs=1)
    middle = ("-ss", f"{SECONDS / 2}", "-i", url)
    errors = await run("ffmpeg", "-v", "error", *middle, "-f", "null", "-")
    assert errors == ""


@pytest.mark.parametrize("title", [DIRECT, CONVERTED, SONG])
async def test_mpv(home: HassClient, attic: Data, title: str) -> None:
    """It is played from its middle, and until its end."""
    url = await address_of(home, title)
    for start in ("50%", "90%"):
        told = await run(
            "mpv",
            *("--no-config", "--vo=null", "--ao=null", "--ao-null-untimed"),
            *("--untimed", f"--start={start}", url),
        )
        assert "Exiting... (End of file)" in told


@pytest.fixture
async def mpd(tmp_path: Path) -> AsyncGenerator[int]:
    """Run a Music Player Daemon, and return where it listens."""
    port = free_port()
    program = shutil.which("mpd")
    assert program, "no mpd on PATH (apt-get install mpd)"
    config = tmp_path / "mpd.conf"
    config.write_text(f"""\
bind_to_address "127.0.0.1"
port "{port}"
db_file "{tmp_path}/db"
zeroconf_enabled "no"
audio_output {{
  type "null"
  name "silence"
}}
""")
    process = await asyncio.create_subprocess_exec(
        program, "--no-daemon", "--stderr", str(config), stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                break
    yield port
    process.terminate()
    await process.wait()


async def test_mpd(home: HassClient, attic: Data, mpd: int) -> None:
    """Home Assistant's own media player lists its songs, and plays what was found."""
    flow = await home.rest("POST", FLOWS, {"handler": "mpd"})
    result = await home.rest(
        "POST", f"{FLOWS}/{flow['flow_id']}", {"host": "127.0.0.1", "port": mpd}
    )
    entry_id = result["result"]["entry_id"]
    place = "media-source://plex_account"
    for title in ("Attic", "Music", "The Lanterns", "Low tide", f"2. {SONG}"):
        node = await home.command(
            "media_player/browse_media",
            entity_id=DAEMON,
            media_content_id=place,
            media_content_type="",
        )
        (place,) = (
            child["media_content_id"]
            for child in node["children"]
            if child["title"] == title
        )
    found = await home.action("find_media", query=SONG)
    assert found["items"][0]["media_content_id"] == place
    await home.rest(
        "POST",
        "services/media_player/play_media",
        {"entity_id": DAEMON, "media_content_id": place, "media_content_type": "music"},
    )
    async with asyncio.timeout(PATIENCE):
        while not (await home.states())[DAEMON]["attributes"].get("media_position"):
            await home.rest(
                "POST", "services/homeassistant/update_entity", {"entity_id": DAEMON}
            )
            await asyncio.sleep(0.5)
    assert await home.state(DAEMON) == "playing"
    await home.remove_entry(entry_id)
