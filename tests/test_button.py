"""Tests of the buttons."""

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from . import setup_integration
from .plex_emulator import MediaServer, PlexEmulator

BUTTON = "button.attic_renew_transient_token"


async def press(hass: HomeAssistant) -> None:
    """Press the button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": BUTTON}, blocking=True
    )


async def test_renew_transient_token(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """The button gets a new token; the sensor and the actions have it at once."""
    await setup_integration(hass, config_entry)
    (old,) = attic.transient_tokens
    await press(hass)
    assert len(attic.transient_tokens) == 2
    data = config_entry.runtime_data.servers[attic.machine_identifier].data
    assert data.token.token == attic.transient_tokens[-1].text != old.text


async def test_server_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """If there is nobody to make a token, that is told."""
    await setup_integration(hass, config_entry)
    await attic.stop()
    with pytest.raises(HomeAssistantError) as raised:
        await press(hass)
    assert raised.value.translation_key == "server_unreachable"
