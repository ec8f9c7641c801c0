"""Tests of what outlives a restart."""

from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account.const import DOMAIN
from homeassistant.const import STATE_ON
from homeassistant.core import HomeAssistant

from . import setup_integration, state_of
from .plex_emulator import MediaServer

CONNECTIVITY = "binary_sensor.attic_connectivity"


async def test_stored_and_removed(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
) -> None:
    """What is known is written at once, and goes with the account."""
    await setup_integration(hass, config_entry)
    key = f"{DOMAIN}.{config_entry.entry_id}"
    assert hass_storage[key]["data"] == {
        "https_worked": [attic.machine_identifier],
        "rotation": [],
    }
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert key not in hass_storage


@pytest.mark.parametrize(
    "stored",
    [
        {"version": 99, "data": {}},
        {"version": 0, "data": {}},
        {"version": 1, "data": {}},
        {"version": 1, "data": {"https_worked": "x", "rotation": {"a": 1}}},
        {"version": 1, "data": {"https_worked": [1, None], "rotation": ["a"]}},
    ],
)
async def test_unreadable(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_storage: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    stored: dict[str, Any],
) -> None:
    """What can't be understood is told once, and replaced."""
    key = f"{DOMAIN}.{config_entry.entry_id}"
    hass_storage[key] = {"minor_version": 1, "key": key, **stored}
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert hass_storage[key]["version"] == 1
    assert hass_storage[key]["data"]["https_worked"] == [attic.machine_identifier]
    told = caplog.text.count("What was stored of a Plex account can't be read")
    assert told == (stored["version"] != 1)
