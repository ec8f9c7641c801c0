"""The integration in a real Home Assistant's frontend, clicked through in Chromium."""

from collections.abc import AsyncGenerator, Generator
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.async_api import Browser
import pytest
from yarl import URL

from .browser import CHROMIUM, PHONE, Folder, chromium, frontend
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
        await tour.add_with_link_code()
        await tour.perform_actions()
        await tour.automate()
        await tour.import_blueprint(repository / "server_unreachable.yaml")
        await tour.sign_in_again()
        await tour.reconfigure()
        await tour.sign_in_in_the_browser()
        await tour.choose_servers()
        await tour.download_diagnostics(pictures)
        await tour.remove()


@pytest.fixture
async def german_home(home: HassClient) -> AsyncGenerator[HassClient]:
    """Return a user whose language is German, as is that of the home meanwhile."""
    user = await home.add_user("anna", "password-home-anna", group="system-admin")
    await user.command(
        "frontend/set_user_data", key="language", value={"language": "de"}
    )
    # Entities have their names from it.
    await home.command("config/core/update", language="de")
    yield user
    await home.command("config/core/update", language="en")


@pytest.mark.xdist_group("e2e")
async def test_german_phone(
    german_home: HassClient,
    plex_world: EmulatorClient,
    browser: Browser,
    pictures: Path,
) -> None:
    """Who speaks German reads nothing else of ours, and all of it fits on a phone."""
    async with frontend(
        browser,
        german_home.url,
        Folder(pictures, "german-phone"),
        token=german_home.token,
        language="de",
        viewport=PHONE,
    ) as window:
        tour = Tour(german_home, plex_world, window)
        await tour.add_with_password()
        await tour.see_integration()
        await tour.reconfigure()
        await tour.perform_main_action()
