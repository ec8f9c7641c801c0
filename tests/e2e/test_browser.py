"""The integration in a real Home Assistant's frontend, clicked through in Chromium."""

from collections.abc import AsyncGenerator, Awaitable, Callable
import os
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, ViewportSize
import pytest
from yarl import URL

from tests.translations import LANGUAGES

from .browser import (
    CHROMIUM,
    DESKTOP,
    PHONE,
    SMALL_PHONE,
    Album,
    Folder,
    Frontend,
    Texts,
    chromium,
    frontend,
)
from .emulator_process import EmulatorClient
from .hass_client import HassClient
from .sign_in import sign_in_with_password
from .story import USERNAME
from .tour import Tour

# Names a folder to keep pictures of all that is seen in.
PICTURES = "PLEX_ACCOUNT_PICTURES"


def album(name: str) -> Album | None:
    """Return where to keep pictures, if anybody wants to see them."""
    folder = os.environ.get(PICTURES)
    return Folder(Path(folder), name) if folder else None


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    """Run a browser."""
    assert CHROMIUM, "no chromium on PATH (apt-get install chromium)"
    async with chromium() as running:
        yield running


async def test_tour(
    home: HassClient,
    plex_world: EmulatorClient,
    browser: Browser,
    repository: URL,
    tmp_path: Path,
) -> None:
    """Everything can be done in the frontend, and looks as it should."""
    async with frontend(browser, home.url, album("desktop")) as window:
        await window.log_in("owner", "password-home-owner")
        tour = Tour(home, plex_world, window)
        await tour.add_with_password()
        await tour.see_integration()
        await tour.watch()
        await tour.watch_converted()
        await tour.paste_examples()
        await tour.add_with_link_code()
        await tour.perform_actions()
        await tour.automate()
        await tour.import_blueprint(repository / "server_unreachable.yaml")
        await tour.sign_in_again()
        await tour.reconfigure()
        await tour.sign_in_in_the_browser()
        await tour.allow_plain_http()
        await tour.choose_servers()
        await tour.download_diagnostics(tmp_path)
        await tour.remove()


@pytest.fixture
async def anna(home: HassClient, request: pytest.FixtureRequest) -> HassClient:
    """Return another administrator, a new one for each test."""
    name = f"anna-{request.node.name}"
    return await home.add_user(name, "password-home-anna", group="system-admin")


type Touring = Callable[..., Awaitable[Tour]]


@pytest.fixture
async def touring(
    anna: HassClient, plex_world: EmulatorClient, browser: Browser
) -> AsyncGenerator[Touring]:
    """Return what lets a user, and meanwhile the home, speak a language."""
    async with frontend(browser, anna.url, None, token=anna.token) as window:
        page = window.page

        async def tour(
            language: str,
            viewport: ViewportSize,
            color_scheme: Literal["dark", "light"] = "light",
        ) -> Tour:
            await anna.command(
                "frontend/set_user_data", key="language", value={"language": language}
            )
            # Entities have their names from it.
            await anna.command("config/core/update", language=language)
            for entry in await anna.entries():
                await anna.rest(
                    "POST", f"config/config_entries/entry/{entry['entry_id']}/reload"
                )
            await page.set_viewport_size(viewport)
            await page.emulate_media(color_scheme=color_scheme)
            pictures = album(f"{language}-{viewport['width']}")
            translated = Frontend(page, anna.url, Texts(language), pictures)
            await translated.load("/")
            return Tour(anna, plex_world, translated)

        yield tour
    await anna.command("config/core/update", language="en")


async def test_languages(touring: Touring) -> None:
    """Who speaks another language can do all in it."""
    tour = await touring("de", PHONE, "dark")
    await tour.add_with_password()
    await tour.see_integration()
    await tour.reconfigure()
    await tour.perform_main_action()
    await tour.see_what_happens()
    tour = await touring("fr", SMALL_PHONE)
    await tour.see_what_happens()
    tour = await touring("en", DESKTOP, "dark")
    await tour.see_integration()
    await tour.see_what_happens()


async def test_every_language(
    anna: HassClient, plex_world: EmulatorClient, touring: Touring
) -> None:
    """No language has a text that is missing, or too long for a small phone."""
    await sign_in_with_password(anna, plex_world, USERNAME)
    for language in LANGUAGES:
        tour = await touring(language, SMALL_PHONE)
        await tour.glance()
