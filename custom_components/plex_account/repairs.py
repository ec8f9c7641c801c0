"""Repairs that can be decided here: whether plain HTTP may be used again."""

from typing import override

from homeassistant.components.repairs import (
    ConfirmRepairFlow,
    RepairsFlow,
    RepairsFlowResult,
)
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .coordinator import PlexConfigEntry


async def async_create_fix_flow(
    hass: HomeAssistant,
    issue_id: str,
    data: dict[str, str | int | float | None] | None,
) -> RepairsFlow:
    """Create the flow for the only issue that can be decided."""
    return AllowPlainHttpFlow()


class AllowPlainHttpFlow(ConfirmRepairFlow):
    """Let an administrator allow plain HTTP where HTTPS has worked before."""

    @override
    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Say what it means, and allow it."""
        if user_input is not None and not await self._async_allow():
            return self.async_abort(reason="nothing_allowed")
        return await super().async_step_confirm(user_input)

    async def _async_allow(self) -> bool:
        """Allow it, and return if there is still a server to which that applies."""
        assert self.data
        entry: PlexConfigEntry | None = self.hass.config_entries.async_get_entry(
            str(self.data["entry_id"])
        )
        # It may have been unloaded or removed meanwhile.
        if entry is None or entry.state is not ConfigEntryState.LOADED:
            return False
        identifier = str(self.data["machine_identifier"])
        server = entry.runtime_data.servers.get(identifier)
        return server is not None and await server.async_allow_plain_http()
