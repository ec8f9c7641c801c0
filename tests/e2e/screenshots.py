"""Make the pictures of the documentation: python -m tests.e2e.screenshots."""

import asyncio
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from aiohttp import ClientSession
from PIL import Image
from playwright.async_api import FloatRect, Page, ViewportSize

from .browser import chromium, frontend
from .child import ROOT
from .emulator_process import EmulatorClient, EmulatorProcess
from .hass_client import onboard
from .hass_process import HassProcess
from .tour import Tour

FOLDER = ROOT / "docs" / "images"
WINDOW = ViewportSize(width=1200, height=1600)
# As it is in a living room.
SCREEN = ViewportSize(width=1200, height=800)
# Pixels around a dialog.
MARGIN = 24
# Bytes.
MAX_SIZE = 150_000


@dataclass(frozen=True, slots=True)
class Cut:
    """What is cut out of what is seen, and the name of the picture it becomes."""

    name: str
    selector: str = "dialog-data-entry-flow ha-dialog dialog"
    margin: int = MARGIN
    to_the_end: bool = False
    """Whether all below it is on the picture too."""


# By what is seen on the tour.
CUTS = {
    "password": Cut("add-account"),
    "verification-code": Cut("verification-code"),
    "link-code": Cut("link-code"),
    "device-attic": Cut("entities", "ha-config-device-page .container", margin=0),
    "find-media": Cut(
        "action", "tools-action .content >> nth=0", margin=0, to_the_end=True
    ),
    "reauth": Cut("sign-in-again"),
    "media": Cut("media", "home-assistant", margin=0),
    "film": Cut("film", "home-assistant", margin=0),
}


class Gallery:
    """An album of only what is worth showing, cut out and small."""

    async def keep(self, name: str, page: Page) -> None:
        """Keep a picture of the page if it is one to show."""
        if name not in CUTS:
            return
        cut = CUTS[name]
        part = page.locator(cut.selector)
        await part.evaluate("element => element.scrollIntoView()")
        # Nothing is to look as if it were pointed at.
        await page.mouse.move(0, 0)
        box = await part.bounding_box()
        assert box
        if cut.to_the_end:
            box["height"] = WINDOW["height"]
        content = await page.screenshot(
            clip=_with_margin(box, cut.margin), animations="disabled"
        )
        _save(FOLDER / f"{cut.name}.png", content)


async def _main() -> None:
    """Take the tour with a camera."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with HassProcess() as hass, EmulatorProcess(hass.authority, alike=True) as emulator:
        async with ClientSession() as session, chromium() as browser:
            plex = EmulatorClient(session, await emulator.ready())
            home = await onboard(session, await hass.ready(session), "demo", "demo")
            await hass.until(home.version)
            async with frontend(
                browser, home.url, Gallery(), token=home.token, viewport=WINDOW
            ) as window:
                tour = Tour(home, plex, window)
                await tour.add_with_password()
                await tour.see_integration()
                await window.page.set_viewport_size(SCREEN)
                await tour.watch()
                await window.page.set_viewport_size(WINDOW)
                await tour.add_with_link_code()
                await tour.find_title()
                await tour.sign_in_again()


def _with_margin(box: FloatRect, margin: int) -> FloatRect:
    """Return a larger box that does not leave the window."""
    left = max(0, box["x"] - margin)
    top = max(0, box["y"] - margin)
    right = min(WINDOW["width"], box["x"] + box["width"] + margin)
    bottom = min(WINDOW["height"], box["y"] + box["height"] + margin)
    return FloatRect(x=left, y=top, width=right - left, height=bottom - top)


def _save(path: Path, content: bytes) -> None:
    """Write a PNG with few colours, which is much smaller."""
    with Image.open(BytesIO(content)) as image:
        image.convert("RGB").quantize(dither=Image.Dither.NONE).save(
            path, optimize=True
        )
    if (size := path.stat().st_size) > MAX_SIZE:
        raise ValueError(f"{path.name} is too large: {size} bytes")


if __name__ == "__main__":
    asyncio.run(_main())
