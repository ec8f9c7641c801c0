"""Tests of what outlives a restart."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account.const import DOMAIN
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant

from . import setup_integration, state_of
from .plex_emulator import Account, MediaServer, PlexEmulator, Vanish

CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
NOT_READABLE = "What was stored of a Plex account can't be read"

type Spoil = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
async def stored(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> dict[str, Any]:
    """Return what is stored of Ada's account, which is not loaded any more."""
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    file: dict[str, Any] = hass_storage[f"{DOMAIN}.{config_entry.entry_id}"]
    return file


async def start(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Load an account again."""
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_stored_and_removed(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """What plex.tv told is stored when the account is unloaded, and goes with it."""
    data = stored["data"]
    assert data["https_worked"] == [attic.machine_identifier]
    assert data["user"]["uuid"] == ada.user.uuid
    (server,) = data["servers"]
    assert server["accessToken"] == attic.access_token(ada)
    assert data["connections"][attic.machine_identifier]["uri"] == attic.url
    # The account's token has its place in the entry.
    assert config_entry.data["token"] not in str(data)
    (token,) = attic.transient_tokens
    assert token.text not in str(data)
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert not [key for key in hass_storage if key.startswith(DOMAIN)]


async def test_only_written_if_new(
    hass: HomeAssistant,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """Nothing is written as long as all is as it was."""
    key = f"{DOMAIN}.{config_entry.entry_id}"
    before = deepcopy(stored)
    await start(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    assert hass_storage[key] == before
    await start(hass, config_entry)
    hass_storage[key] = "untouched"
    await config_entry.runtime_data.async_refresh()
    await hass.config_entries.async_unload(config_entry.entry_id)
    assert hass_storage[key] == "untouched"


def changed(**changes: Any) -> Spoil:
    """Return what replaces a part of the data."""
    return lambda file: {**file, "data": {**file["data"], **changes}}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: {**file, "version": 99},
        lambda file: {**file, "version": 0},
        changed(user={}),
        changed(user="ada"),
        changed(user={"id": 1, "uuid": "somebodyelse0000"}),
        changed(servers=[{"name": "Attic"}]),
    ],
)
async def test_unreadable(
    hass: HomeAssistant,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
) -> None:
    """What can't be understood or is another's is told once, and replaced."""
    key = f"{DOMAIN}.{config_entry.entry_id}"
    before = deepcopy(stored)
    hass_storage[key] = spoil(stored)
    await start(hass, config_entry)
    assert caplog.text.count(NOT_READABLE) == 1
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    await hass.config_entries.async_unload(config_entry.entry_id)
    assert hass_storage[key]["version"] == before["version"]
    assert hass_storage[key]["data"] == before["data"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: {**file, "data": {}},
        # As 1.0.1 wrote it.
        lambda file: {**file, "data": {"https_worked": [], "rotation": []}},
        changed(https_worked="x", rotation={"a": 1}),
        changed(https_worked=[1, None], rotation=["a"]),
        changed(servers="x", connections="x"),
        changed(connections={"x": 1, "y": {"uri": "no"}}),
    ],
)
async def test_partly_unreadable(
    hass: HomeAssistant,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    spoil: Spoil,
) -> None:
    """What is missing or odd is done without."""
    hass_storage[f"{DOMAIN}.{config_entry.entry_id}"] = spoil(stored)
    await start(hass, config_entry)
    assert NOT_READABLE not in caplog.text
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert state_of(hass, PLEX_PASS) == STATE_ON


async def test_rejected_token_is_dropped(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    stored: dict[str, Any],
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """A server's token is forgotten if that server rejects it, and only then."""
    plex.faults.add(Vanish(), host="plex.tv")
    await attic.stop()
    await start(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    key = f"{DOMAIN}.{config_entry.entry_id}"
    (server,) = hass_storage[key]["data"]["servers"]
    assert server["accessToken"] == attic.access_token(ada)

    await attic.start()
    attic.revoke(ada)
    await start(hass, config_entry)
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    await hass.config_entries.async_unload(config_entry.entry_id)
    (server,) = hass_storage[key]["data"]["servers"]
    assert server["accessToken"] is None
