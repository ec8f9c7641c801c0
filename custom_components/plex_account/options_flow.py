"""Options of a Plex account: which servers are followed."""

from collections.abc import Mapping
from typing import Any

import voluptuous as vol

from homeassistant.config_entries import (
    ConfigEntryState,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .api import Resource
from .const import CONF_ADDED_SERVERS, CONF_LEFT_OUT_SERVERS
from .coordinator import PlexConfigEntry

CONF_SERVERS = "servers"


class PlexAccountOptionsFlow(OptionsFlowWithReload):
    """Let the user choose the servers that get a device."""

    config_entry: PlexConfigEntry

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer all servers that the account can use."""
        entry = self.config_entry
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="not_loaded")
        account = entry.runtime_data
        servers = account.data.servers
        if user_input is not None:
            chosen = set(user_input[CONF_SERVERS])
            # What plex.tv does not list now keeps what was chosen for it.
            left_out = set(entry.options.get(CONF_LEFT_OUT_SERVERS, ())) - chosen
            added = set(entry.options.get(CONF_ADDED_SERVERS, ())) - servers.keys()
            for key, server in servers.items():
                if server.owned and key not in chosen:
                    left_out.add(key)
                elif not server.owned and key in chosen:
                    added.add(key)
            return self.async_create_entry(
                data={
                    CONF_ADDED_SERVERS: sorted(added),
                    CONF_LEFT_OUT_SERVERS: sorted(left_out),
                }
            )
        options = [
            SelectOptionDict(value=key, label=_label(server))
            for key, server in servers.items()
        ]
        return self.async_show_form(
            step_id="init",
            data_schema=vol.Schema(
                {
                    vol.Required(
                        CONF_SERVERS, default=list(account.servers)
                    ): SelectSelector(
                        SelectSelectorConfig(
                            options=options, multiple=True, mode=SelectSelectorMode.LIST
                        )
                    )
                }
            ),
        )


def without_server(options: Mapping[str, Any], key: str) -> dict[str, list[str]]:
    """Return options in which a server is not followed, be it owned or shared."""
    return {
        CONF_ADDED_SERVERS: sorted({*options.get(CONF_ADDED_SERVERS, ())} - {key}),
        CONF_LEFT_OUT_SERVERS: sorted({*options.get(CONF_LEFT_OUT_SERVERS, ()), key}),
    }


def _label(server: Resource) -> str:
    """Return the name of a server, and of whom it is."""
    if server.owned or not server.source_title:
        return server.name
    return f"{server.name} ({server.source_title})"
