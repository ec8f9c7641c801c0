"""Constants of the Plex Account integration."""

import logging
from typing import Final

DOMAIN: Final = "plex_account"
LOGGER = logging.getLogger(__package__)

CONF_CLIENT_IDENTIFIER: Final = "client_identifier"
CONF_SERVER_URL: Final = "server_url"
# In the options: own servers that are not followed, and shared ones that are.
CONF_LEFT_OUT_SERVERS: Final = "left_out_servers"
CONF_ADDED_SERVERS: Final = "added_servers"

TROUBLESHOOTING_URL: Final = (
    "https://github.com/plex-account/plex_account/blob/main/docs/troubleshooting.md"
)

# By what name users know it.
PLEX_TV: Final = "plex.tv"
