"""Tests of the Plex Account integration."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.helpers import device_registry as dr, issue_registry as ir

if TYPE_CHECKING:
    # At run time only once tests.harness, a module of this package, has been loaded.
    from pytest_homeassistant_custom_component.common import MockConfigEntry

    from .plex_emulator import MediaServer


# Seconds.
PATIENCE = 10
PACKAGE = "custom_components.plex_account"

type Tick = Callable[[timedelta], Awaitable[None]]


async def setup_integration(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Set up an account as Home Assistant does at its start."""
    entry.add_to_hass(hass)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def follow(
    hass: HomeAssistant, entry: MockConfigEntry, *servers: MediaServer
) -> None:
    """Choose shared servers in the options, as their dialog does."""
    added = [server.machine_identifier for server in servers]
    hass.config_entries.async_update_entry(entry, options={"added_servers": added})
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that takes a few requests."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


async def perform(
    hass: HomeAssistant, action: str, context: Context | None = None, /, **data: Any
) -> dict[str, Any]:
    """Perform an action as an automation does, and return its response."""
    response = await hass.services.async_call(
        "plex_account", action, data, True, context, return_response=True
    )
    assert response is not None
    return dict(response)


def source_of(server: MediaServer) -> str:
    """Return the source that is a server."""
    return f"server://{server.machine_identifier}"


def device_id_of(
    hass: HomeAssistant, entry: ConfigEntry, identifier: str | None
) -> str:
    """Return the id of the device of an account or a server."""
    device = dr.async_get(hass).async_get_device_by_identifier(
        ("plex_account", str(identifier)), entry.entry_id
    )
    assert device
    return device.id


def names_of_devices(hass: HomeAssistant, entry: ConfigEntry) -> set[str | None]:
    """Return the names of the devices of an entry."""
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return {device.name for device in devices}


def issue_keys(hass: HomeAssistant) -> set[str | None]:
    """Return the translation keys of the issues there are."""
    return {issue.translation_key for issue in ir.async_get(hass).issues.values()}


def state_of(hass: HomeAssistant, entity_id: str) -> str:
    """Return the state of an entity that must be there."""
    state = hass.states.get(entity_id)
    assert state, f"There is no {entity_id}"
    return state.state


def unexpected(records: Iterable[logging.LogRecord]) -> list[str]:
    """Return what we or Home Assistant have logged as unexpected, which nothing is."""
    return [
        record.getMessage()
        for record in records
        if record.levelno > logging.DEBUG
        and (
            "Detected that custom integration" in record.getMessage()
            or (
                (record.name == "homeassistant" or record.name.startswith(PACKAGE))
                and (record.exc_info or "unexpected happened" in record.getMessage())
            )
        )
    ]
