"""Films and songs through a real Home Assistant, in FFmpeg's own player library."""

import asyncio

import av
import pytest

from tests.plex_emulator.demo_library import FILMS
from tests.plex_emulator.media_files import SECONDS

from .hass_client import Data, HassClient

DIRECT, *_, CONVERTED = FILMS
# All but the longest of the end-to-end tests share one Home Assistant.
pytestmark = pytest.mark.xdist_group("e2e")


async def address_of(home: HassClient, title: str) -> str:
    """Return where Home Assistant says that something is to be fetched."""
    found = await home.action("find_media", query=title)
    item = found["items"][0]
    assert item["title"] == title
    media = await home.command(
        "media_source/resolve_media", media_content_id=item["media_content_id"]
    )
    return home.url + str(media["url"])


def play(url: str, kind: str, second: float) -> float:
    """Play from a place on, and return the second of what is heard or seen first."""
    with av.open(url, timeout=20) as player:
        (stream, *_) = [each for each in player.streams if each.type == kind]
        player.seek(int(second * av.time_base))
        frame = next(player.decode(stream))
        assert isinstance(frame, av.VideoFrame | av.AudioFrame)
        assert frame.time is not None
        return frame.time - float((stream.start_time or 0) * (stream.time_base or 0))


@pytest.mark.parametrize(
    ("title", "kind"), [(DIRECT, "video"), (CONVERTED, "video"), ("Salt", "audio")]
)
async def test_play(home: HassClient, attic: Data, title: str, kind: str) -> None:
    """It is played from its beginning, from its middle and from close to its end."""
    url = await address_of(home, title)
    for second in (0, SECONDS / 2, SECONDS - 3):
        shown = await asyncio.to_thread(play, url, kind, second)
        # A player begins where there is a whole picture.
        assert second - 4 <= shown <= second + 1
