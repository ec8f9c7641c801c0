"""Constants of the Plex Account integration."""

import logging
from typing import Final

DOMAIN: Final = "plex_account"
LOGGER = logging.getLogger(__package__)

CONF_CLIENT_IDENTIFIER: Final = "client_identifier"
CONF_SERVER_URL: Final = "server_url"

# By what name users know it.
PLEX_TV: Final = "plex.tv"
