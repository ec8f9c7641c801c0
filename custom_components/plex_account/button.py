"""Buttons: replace the transient token of a server."""

from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import PlexConfigEntry
from .entity import PlexServerEntity, async_add_server_entities

PARALLEL_UPDATES = 1

RENEW_TRANSIENT_TOKEN = ButtonEntityDescription(
    key="renew_transient_token",
    translation_key="renew_transient_token",
    entity_category=EntityCategory.DIAGNOSTIC,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the buttons of the servers."""
    async_add_server_entities(
        entry,
        async_add_entities,
        lambda server: [PlexRenewTokenButton(server, RENEW_TRANSIENT_TOKEN)],
    )


class PlexRenewTokenButton(PlexServerEntity, ButtonEntity):
    """A button that replaces the transient token of a server."""

    @override
    async def async_press(self) -> None:
        """Replace the token; what was handed out before lives on until it expires."""
        await self.coordinator.async_renew_token()
