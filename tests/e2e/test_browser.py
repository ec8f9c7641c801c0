"""The integration in a real Home Assistant's frontend, clicked through in Chromium."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser
import pytest
from yarl import URL

from tests.translations import LANGUAGES

from .browser import CHROMIUM, PHONE, SMALL_PHONE, Folder, chromium, frontend
from .emulator_process import EmulatorClient
from .hass_client import HassClient
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


@asynccontextmanager
async def language_of(home: HassClient, language: str) -> AsyncGenerator[None]:
    """Let a user, and meanwhile the home, speak a language."""
    await home.command(
        "frontend/set_user_data", key="language", value={"language": language}
    )
    # Entities have their names from it.
    await home.command("config/core/update", language=language)
    yield
    await home.command("config/core/update", language="en")


@pytest.fixture
async def phone_user(home: HassClient) -> HassClient:
    """Return another administrator."""
    return await home.add_user("anna", "password-home-anna", group="system-admin")


@pytest.mark.xdist_group("e2e")
async def test_phones(
    phone_user: HassClient,
    plex_world: EmulatorClient,
    browser: Browser,
    pictures: Path,
) -> None:
    """Who speaks another language reads nothing else of ours, and all of it fits."""
    async with (
        language_of(phone_user, "de"),
        frontend(
            browser,
            phone_user.url,
            Folder(pictures, "german-phone"),
            token=phone_user.token,
            language="de",
            viewport=PHONE,
        ) as window,
    ):
        tour = Tour(phone_user, plex_world, window)
        await tour.add_with_password()
        await tour.see_integration()
        await tour.reconfigure()
        await tour.perform_main_action()
    (entry,) = await phone_user.entries()
    for language in LANGUAGES:
        async with (
            language_of(phone_user, language),
            frontend(
                browser,
                phone_user.url,
                Folder(pictures, f"small-phone-{language}"),
                token=phone_user.token,
                language=language,
                viewport=SMALL_PHONE,
            ) as window,
        ):
            await phone_user.rest(
                "POST", f"config/config_entries/entry/{entry['entry_id']}/reload"
            )
            await Tour(phone_user, plex_world, window).glance()
