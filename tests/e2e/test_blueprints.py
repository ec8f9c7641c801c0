"""The blueprints in a real Home Assistant, imported from a URL as by the buttons."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import ClientSession
import pytest
from yarl import URL

from tests.const import PHONE

from .emulator_process import EmulatorClient
from .hass_client import Data, HassClient
from .hass_process import BUTTON, PLAYER, TEXT
from .sign_in import sign_in_with_password
from .waiting import eventually

SERVER = "Attic"
TITLE = "A train to nowhere"
CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PLAYER = "media_player.plex_living_room"
# Seconds, for what takes a moment.
PATIENCE = 15

# All but the longest of the end-to-end tests share one Home Assistant.
pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture
async def attic(home: HassClient, plex_world: EmulatorClient) -> str:
    """Return the device of a server whose owner has signed in."""
    entry = await sign_in_with_password(home, plex_world, "ada")
    devices = await home.devices(entry["entry_id"])
    return str(next(item["id"] for item in devices if item["name"] == SERVER))


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone with the companion app."""

    device_id: str
    webhook_id: str
    """How the app names itself to Home Assistant."""


@pytest.fixture
async def phone(home: HassClient) -> AsyncGenerator[Phone]:
    """Register a phone."""
    registered = await home.rest(
        "POST",
        "mobile_app/registrations",
        PHONE | {"app_data": {"push_websocket_channel": True}},
    )
    (entry,) = await home.entries("mobile_app")
    (device,) = await home.devices(entry["entry_id"])
    yield Phone(device["id"], registered["webhook_id"])
    await home.remove_entry(entry["entry_id"])


type AddAutomation = Callable[[str, Data], Awaitable[None]]


@pytest.fixture
async def add_from_blueprint(
    home: HassClient, repository: URL
) -> AsyncGenerator[AddAutomation]:
    """Return what imports a blueprint as the dialog does, and makes an automation."""
    added: list[str] = []

    async def add(name: str, inputs: Data) -> None:
        url = str(repository / f"{name}.yaml")
        imported = await home.command("blueprint/import", url=url)
        assert imported["validation_errors"] is None
        path = f"{imported['suggested_filename']}.yaml"
        await home.command(
            "blueprint/save",
            domain="automation",
            path=path,
            yaml=imported["raw_data"],
            source_url=url,
            allow_override=imported["exists"],
        )
        use = {"path": path, "input": inputs}
        entity = await home.add_automation(name, {"alias": name, "use_blueprint": use})
        added.append(name)
        # It is unavailable if Home Assistant does not understand it.
        assert await home.state(entity) == "on"

    yield add
    for name in added:
        await home.remove_automation(name)


async def fetch(home: HassClient, path: str) -> tuple[str, bytes]:
    """Ask Home Assistant for what is at a path, as somebody without an account."""
    async with ClientSession() as session, session.get(home.url + path) as response:
        assert response.status == HTTPStatus.OK
        return response.content_type, await response.read()


async def test_poster(
    home: HassClient, add_from_blueprint: AddAutomation, attic: str, phone: Phone
) -> None:
    """The phone is told what is playing, with a picture that it can load."""
    await home.rest("POST", f"states/{PLEX_PLAYER}", {"state": "idle"})
    await add_from_blueprint(
        "poster_notification",
        {"players": [PLEX_PLAYER], "server": attic, "phone": phone.device_id},
    )
    async with (
        asyncio.timeout(PATIENCE),
        home.subscription(
            "mobile_app/push_notification_channel", webhook_id=phone.webhook_id
        ) as notifications,
    ):
        playing = {
            "friendly_name": "Plex (Living room)",
            "media_content_id": 100,
            "media_title": TITLE,
        }
        await home.rest(
            "POST", f"states/{PLEX_PLAYER}", {"state": "playing", "attributes": playing}
        )
        notification = await anext(notifications)
    assert notification["title"] == TITLE
    assert notification["message"] == "Plex (Living room)"
    kind, picture = await fetch(home, notification["data"]["image"])
    assert (kind, picture[:2]) == ("image/jpeg", b"\xff\xd8")


async def test_play_on_cast(
    home: HassClient, add_from_blueprint: AddAutomation, attic: str
) -> None:
    """The player is told what to play, and gets it of Home Assistant."""
    await add_from_blueprint(
        "play_on_cast",
        {
            "triggers": [{"trigger": "state", "entity_id": BUTTON}],
            "server": attic,
            "title": TITLE,
            "player": PLAYER,
        },
    )
    before = await home.state(TEXT)
    await home.press(BUTTON)

    async def played() -> str | None:
        told = await home.state(TEXT)
        return told if told and told != before else None

    told = await eventually(played, "the player is told what to play")
    media = await home.command("media_source/resolve_media", media_content_id=told)
    kind, content = await fetch(home, media["url"])
    assert (kind, content[4:8]) == ("video/mp4", b"ftyp")


async def test_server_unreachable(
    home: HassClient,
    plex_world: EmulatorClient,
    add_from_blueprint: AddAutomation,
    attic: str,
) -> None:
    """A notification tells which server has been away for so long."""
    await add_from_blueprint(
        "server_unreachable", {"servers": [CONNECTIVITY], "duration": {"seconds": 1}}
    )
    await plex_world("stop_server", server=SERVER)

    async def notified() -> Data | None:
        for notification in await home.command("persistent_notification/get"):
            if notification["notification_id"] == "plex_account_attic":
                found: Data = notification
                return found
        return None

    # It is noticed at once, long before the server would be asked again.
    notification = await eventually(notified, "there is a warning")
    assert notification["title"] == "Attic is unreachable"
    assert "this Plex Media Server since" in notification["message"]
    await plex_world("start_server", server=SERVER)
