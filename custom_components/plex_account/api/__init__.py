"""An asyncio client of the parts of Plex's HTTP API that this integration needs."""

from .connections import (
    ConnectionTier,
    ProbeOutcome,
    Reply,
    probe_connections,
    tier,
    usable_connections,
)
from .exceptions import (
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexNotFoundError,
    PlexPermissionError,
    PlexRateLimitError,
    PlexResponseError,
    PlexServerError,
    PlexThrottledError,
    PlexTimeoutError,
    PlexTwoFactorRequiredError,
)
from .http import ClientIdentity
from .models import (
    Connection,
    Pin,
    Resource,
    ServerIdentity,
    Service,
    SourceConnectionInformation,
    Subscription,
    TransientToken,
    User,
)
from .plex_tv import PLEX_TV_URL, PlexTvClient
from .server import PlexServerClient

__all__ = [
    "PLEX_TV_URL",
    "ClientIdentity",
    "Connection",
    "ConnectionTier",
    "Pin",
    "PlexAuthenticationError",
    "PlexConnectionError",
    "PlexError",
    "PlexInvalidTwoFactorCodeError",
    "PlexNotFoundError",
    "PlexPermissionError",
    "PlexRateLimitError",
    "PlexResponseError",
    "PlexServerClient",
    "PlexServerError",
    "PlexThrottledError",
    "PlexTimeoutError",
    "PlexTvClient",
    "PlexTwoFactorRequiredError",
    "ProbeOutcome",
    "Reply",
    "Resource",
    "ServerIdentity",
    "Service",
    "SourceConnectionInformation",
    "Subscription",
    "TransientToken",
    "User",
    "probe_connections",
    "tier",
    "usable_connections",
]
