"""The integration in a real Home Assistant's frontend, clicked through in Chromium."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser
import pytest
from yarl import URL

from tests.translations import LANGUAGES

from .browser import CHROMIUM, DESKTOP, PHONE, SMALL_PHONE, Folder, chromium, frontend
from .emulator_process import EmulatorClient
from .hass_client import HassClient
from .sign_in import sign_in_with_password
from .story import USERNAME
from .tour import Tour

# Names a folder to keep the pictures in.
PICTURES = "PLEX_ACCOUNT_PICTURES"


@pytest.fixture(scope="module")
def pictures() -> Generator[Path]:
    """Return where to put pictures of all that is seen."""
    if kept := os.environ.get(PICTURES):
        path = Path(kept)
        path.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with TemporaryDirectory(prefix="plex-account-pictures-") as temporary:
        yield Path(temporary)


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
    pictures: Path,
    repository: URL,
) -> None:
    """Everything can be done in the frontend, and looks as it should."""
    async with frontend(browser, home.url, Folder(pictures, "desktop")) as window:
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
        await tour.download_diagnostics(pictures)
        await tour.remove()


@pytest.fixture
async def anna(home: HassClient, request: pytest.FixtureRequest) -> HassClient:
    """Return another administrator, a new one for each test."""
    name = f"anna-{request.node.name}"
    return await home.add_user(name, "password-home-anna", group="system-admin")


type Touring = Callable[..., AbstractAsyncContextManager[Tour]]


@pytest.fixture
def touring(
    anna: HassClient, plex_world: EmulatorClient, browser: Browser, pictures: Path
) -> Touring:
    """Return what lets a user, and meanwhile the home, speak a language."""

    @asynccontextmanager
    async def tour(language: str, **options: Any) -> AsyncGenerator[Tour]:
        await anna.command(
            "frontend/set_user_data", key="language", value={"language": language}
        )
        # Entities have their names from it.
        await anna.command("config/core/update", language=language)
        for entry in await anna.entries():
            await anna.rest(
                "POST", f"config/config_entries/entry/{entry['entry_id']}/reload"
            )
        width = options["viewport"]["width"]
        album = Folder(pictures, f"{language}-{width}")
        async with frontend(
            browser, anna.url, album, token=anna.token, language=language, **options
        ) as window:
            yield Tour(anna, plex_world, window)
        await anna.command("config/core/update", language="en")

    return tour


async def test_languages(touring: Touring) -> None:
    """Who speaks another language can do all in it."""
    async with touring("de", viewport=PHONE, color_scheme="dark") as tour:
        await tour.add_with_password()
        await tour.see_integration()
        await tour.reconfigure()
        await tour.perform_main_action()
        await tour.see_what_happens()
    async with touring("fr", viewport=SMALL_PHONE) as tour:
        await tour.see_what_happens()
    async with touring("en", viewport=DESKTOP, color_scheme="dark") as tour:
        await tour.see_integration()
        await tour.see_what_happens()


async def test_every_language(
    anna: HassClient, plex_world: EmulatorClient, touring: Touring
) -> None:
    """No language has a text that is missing, or too long for a small phone."""
    await sign_in_with_password(anna, plex_world, USERNAME)
    for language in LANGUAGES:
        async with touring(language, viewport=SMALL_PHONE) as tour:
            await tour.glance()
