"""Tests of who we are to Plex."""

from uuid import UUID

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import identity
from custom_components.plex_account.const import DOMAIN
from homeassistant.const import __version__
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_integration

from . import setup_integration
from .const import CLIENT_IDENTIFIER
from .plex_emulator import Account, Ending, MediaServer, PlexEmulator, Vanish


async def test_at_servers(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """A server knows us by another name than plex.tv does, always the same.

    Who has not proven to be that server learns nothing.
    """
    await plex.add_server("Cellar", owner=ada)
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_reload(config_entry.entry_id)
    known = {
        host: {
            request.client_identifier
            for request in plex.requests.matching(host=host)
            if request.token
        }
        for host in ("plex.tv", "Attic", "Cellar")
    }
    assert known["plex.tv"] == {CLIENT_IDENTIFIER}
    (at_attic,), (at_cellar,) = known["Attic"], known["Cellar"]
    assert len({CLIENT_IDENTIFIER, at_attic, at_cellar}) == 3
    assert {UUID(each).version for each in (at_attic, at_cellar)} == {4}
    for request in plex.requests.matching(path="/identity"):
        assert not any(name.startswith("X-Plex") for name in request.headers)
        assert "HomeAssistant" not in str(request.headers)


async def test_what_plex_shows(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry
) -> None:
    """In Plex's list of devices everybody sees what this is, and whose."""
    await setup_integration(hass, config_entry)
    headers = plex.requests.matching(host="plex.tv")[0].headers
    integration = await async_get_integration(hass, DOMAIN)
    assert {
        name: value for name, value in headers.items() if name.startswith("X-Plex-")
    } == {
        "X-Plex-Client-Identifier": CLIENT_IDENTIFIER,
        "X-Plex-Device": "Home Assistant",
        "X-Plex-Device-Name": hass.config.location_name,
        "X-Plex-Platform": "Home Assistant",
        "X-Plex-Platform-Version": __version__,
        "X-Plex-Product": "Plex Account for Home Assistant",
        "X-Plex-Token": config_entry.data["token"],
        "X-Plex-Version": str(integration.version),
    }


async def test_signed_out_already(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Where there is nothing left to be given back nobody has to do anything."""
    await setup_integration(hass, config_entry)
    plex.sign_out_everywhere(ada)
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert plex.requests.matching(path="/api/v2/users/signout")
    assert "Could not sign out" not in caplog.text


async def test_sign_out_takes_no_time(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who removes an account does not wait for a plex.tv that says nothing."""
    monkeypatch.setattr(identity, "SIGN_OUT_TIMEOUT", 0.1)
    await setup_integration(hass, config_entry)
    plex.faults.add(Vanish(Ending.SILENCE), path="/api/v2/users/signout")
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert "Could not sign out of Plex (no answer in time)" in caplog.text
