"""Tests of the avatar."""

import asyncio
from datetime import timedelta
from http import HTTPStatus

from freezegun.api import TickingDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant

from . import setup_integration, state_of, until
from .plex_emulator import (
    Account,
    Answer,
    Delay,
    Fault,
    Flood,
    PlexEmulator,
    Reply,
    error,
    redirect,
)

AVATAR = "image.ada_avatar"
PATH = "/users/*/avatar"


@pytest.fixture
async def loaded(hass: HomeAssistant, config_entry: MockConfigEntry) -> MockConfigEntry:
    """Return Ada's entry, set up."""
    await setup_integration(hass, config_entry)
    return config_entry


async def test_avatar(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    plex: PlexEmulator,
    ada: Account,
    loaded: MockConfigEntry,
) -> None:
    """The picture is fetched once somebody looks, and again when its URL changes."""
    assert not plex.requests.matching(path=PATH)
    client = await hass_client()
    for _ in range(2):
        response = await client.get(f"/api/image_proxy/{AVATAR}")
        assert response.status == HTTPStatus.OK
        assert response.content_type == "image/png"
        assert await response.read() == ada.avatar
    (request,) = plex.requests.matching(path=PATH)
    assert not request.token

    before = state_of(hass, AVATAR)
    await loaded.runtime_data.async_refresh()
    assert state_of(hass, AVATAR) == before
    ada.user.thumb += "1"
    ada.avatar += b"changed"
    await loaded.runtime_data.async_refresh()
    assert state_of(hass, AVATAR) > before
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert await response.read() == ada.avatar
    assert len(plex.requests.matching(path=PATH)) == 2


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.NOT_FOUND])
async def test_changed_meanwhile(
    hass_client: ClientSessionGenerator,
    plex: PlexEmulator,
    ada: Account,
    loaded: MockConfigEntry,
    status: HTTPStatus,
) -> None:
    """What comes of an URL that is no longer the avatar's is not kept."""
    plex.faults.add(Delay(0.3, Answer(status, b"old", "image/png")), path=PATH, times=1)
    client = await hass_client()
    looking = asyncio.create_task(client.get(f"/api/image_proxy/{AVATAR}"))
    await until(lambda: bool(plex.requests.matching(path=PATH)))
    ada.user.thumb += "1"
    await loaded.runtime_data.async_refresh()
    await looking
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert await response.read() == ada.avatar


@pytest.mark.parametrize(
    "fault",
    [
        error(404, kind="html"),
        redirect("https://elsewhere.example/avatar"),
        Reply(Answer(200, b"<html></html>", "text/html")),
        Flood(9),
    ],
)
async def test_avatar_fails(
    hass_client: ClientSessionGenerator,
    plex: PlexEmulator,
    ada: Account,
    loaded: MockConfigEntry,
    freezer: TickingDateTimeFactory,
    fault: Fault,
) -> None:
    """A picture that can't be had is missing, and not asked for at each look."""
    rule = plex.faults.add(fault, path=PATH)
    client = await hass_client()
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert response.status == HTTPStatus.INTERNAL_SERVER_ERROR
    plex.faults.remove(rule)
    asked = len(plex.requests)
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert response.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert len(plex.requests) == asked
    freezer.tick(timedelta(minutes=5, seconds=1))
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert await response.read() == ada.avatar


@pytest.mark.parametrize(
    "thumb", ["", "avatar.png", "https://[", "https://plex.tv.example/avatar.png"]
)
async def test_no_avatar(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    thumb: str,
) -> None:
    """Without a picture at plex.tv there is none, and nobody else is asked."""
    ada.user.thumb = thumb
    await setup_integration(hass, config_entry)
    assert (state_of(hass, AVATAR) == STATE_UNKNOWN) is (thumb == "")
    before = len(plex.requests)
    client = await hass_client()
    response = await client.get(f"/api/image_proxy/{AVATAR}")
    assert response.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert len(plex.requests) == before
