"""What must never show up in a log: every secret, recognisable by its first words."""

import secrets
from uuid import uuid4


class Secrets(list[str]):
    """Every secret the emulator ever handed out or was given."""

    def keep(self, secret: str) -> str:
        """Remember a secret and return it."""
        if secret not in self:
            self.append(secret)
        return secret

    def mint(self, kind: str) -> str:
        """Make a new secret that says what it is, such as tv-token-1f3a."""
        secret = f"{kind}-{secrets.token_hex(10)}"
        self.append(secret)
        return secret

    def mint_transient(self) -> str:
        """Make a transient token, which has Plex's own shape."""
        secret = f"transient-{uuid4()}"
        self.append(secret)
        return secret
