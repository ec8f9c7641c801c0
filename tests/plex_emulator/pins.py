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


@dataclass(eq=False)
class Pin:
    """One link code."""

    id: int
    code: str
    client_identifier: str
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
            "qr": f"{plex_url}/api/v2/pins/qr/{self.code}",
            "expiresIn": max(0, int(self.expires_at - clock.now())),
            "authToken": auth_token,
        }


def new_code(*, strong: bool) -> str:
    """Make a code for plex.tv/link, or the long kind for the web."""
    if strong:
        return "pin-code-" + "".join(random.choices(STRONG_ALPHABET, k=16))
    return "".join(random.choices(SHORT_ALPHABET, k=4))
