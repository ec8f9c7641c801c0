"""Link codes: how a client signs in without a password."""

from dataclasses import dataclass
import random
import string

from . import clock
from .accounts import AccountToken
from .replies import Data

STRONG_LIFETIME = 1800
SHORT_LIFETIME = 900
# Without what people mix up.
SHORT_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
STRONG_ALPHABET = string.ascii_lowercase + string.digits
LOCATION = {
    "code": "ES",
    "european_union_member": True,
    "continent_code": "EU",
    "country": "Spain",
    "city": "Lugo",
    "time_zone": "Europe/Madrid",
    "postal_code": "27001",
    "in_privacy_restricted_country": True,
    "in_privacy_restricted_region": True,
    "subdivisions": "Galicia",
    "coordinates": "43.0, -7.6",
}


@dataclass(eq=False)
class Pin:
    """One link code."""

    id: int
    code: str
    client_identifier: str
    product: str
    created_at: float
    expires_at: float
    polled_at: float = 0.0
    token: AccountToken | None = None

    @property
    def expired(self) -> bool:
        """Whether it is too late to use it."""
        return clock.now() >= self.expires_at

    def data(self, plex_url: str, auth_token: str | None) -> Data:
        """Return what plex.tv answers about the code."""
        return {
            "id": self.id,
            "code": self.code,
            "product": self.product,
            "trusted": False,
            "qr": f"{plex_url}/api/v2/pins/qr/{self.code}",
            "clientIdentifier": self.client_identifier,
            "location": LOCATION,
            "expiresIn": max(0, int(self.expires_at - clock.now())),
            "createdAt": clock.iso(self.created_at),
            "expiresAt": clock.iso(self.expires_at),
            "authToken": auth_token,
            "newRegistration": None,
        }


def new_code(*, strong: bool) -> str:
    """Make a code for plex.tv/link, or the long kind for the web."""
    if strong:
        return "pin-code-" + "".join(random.choices(STRONG_ALPHABET, k=16))
    return "".join(random.choices(SHORT_ALPHABET, k=4))
