"""Repairs that can be decided here: whether plain HTTP may be used again."""

from typing import override

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.core import HomeAssistant

from .const import DOMAIN
from .coordinator import PlexConfigEntry


async def async_create_fix_flow(
    hass: HomeAssistant,
    issue_id: str,
    data: dict[str, str | int | float | None] | None,
) -> RepairsFlow:
    """Create the flow for the only issue that can be decided."""
    assert data
    return AllowPlainHttpFlow(str(data["entry_id"]), str(data["machine_identifier"]))


class AllowPlainHttpFlow(ConfirmRepairFlow):
    """Let an administrator allow plain HTTP where HTTPS has worked before."""

    def __init__(self, entry_id: str, machine_identifier: str) -> None:
        """Know which server it is about."""
        self._entry_id = entry_id
        self._machine_identifier = machine_identifier

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Say what it means, and allow it."""
        entries: list[PlexConfigEntry] = self.hass.config_entries.async_loaded_entries(
            DOMAIN
        )
        servers = [
            server
            for entry in entries
            if entry.entry_id == self._entry_id
            and (server := entry.runtime_data.servers.get(self._machine_identifier))
        ]
        if user_input is not None:
            # None is left if the account was unloaded meanwhile.
            for server in servers:
                await server.async_allow_plain_http()
        return await super().async_step_confirm(user_input)
