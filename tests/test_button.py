"""Tests of the buttons."""

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.plex_account import server_coordinator
from custom_components.plex_account.api import connections
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from . import setup_integration
from .const import PLEX_DIRECT
from .plex_emulator import Connection, MediaServer, PlexEmulator

BUTTON = "button.attic_renew_transient_token"


async def press(hass: HomeAssistant) -> None:
    """Press the button."""
    await hass.services.async_call(
        "button", "press", {"entity_id": BUTTON}, blocking=True
    )


async def test_renew_transient_token(
    hass: HomeAssistant, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """The button gets a new token; the sensor and the actions have it at once."""
    (old,) = attic.transient_tokens
    await press(hass)
    assert len(attic.transient_tokens) == 2
    data = loaded.runtime_data.servers[attic.machine_identifier].data
    assert data.token.token == attic.transient_tokens[-1].text != old.text


async def test_not_lost_meanwhile(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    names: None,
) -> None:
    """A server is not said to be off as a better way to it is looked for."""
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.1)
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 0.4)
    await attic.encrypt(None)
    attic.listing.connections = [
        Connection.at(attic.url),
        Connection.plex_direct("203.0.113.9", plex.silent_port, domain=PLEX_DIRECT),
    ]
    await setup_integration(hass, config_entry)
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    await press(hass)
    assert len(attic.transient_tokens) == 2
    changed = {event.data["entity_id"] for event in changes}
    assert "binary_sensor.attic_connectivity" not in changed


async def test_server_down(
    hass: HomeAssistant, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """If there is nobody to make a token, that is told."""
    await attic.stop()
    with pytest.raises(HomeAssistantError) as raised:
        await press(hass)
    assert raised.value.translation_key == "server_unreachable"
