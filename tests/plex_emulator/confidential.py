"""What must never show up in a log: every secret, recognisable by its first words."""

import random
from uuid import UUID


class Secrets(list[str]):
    """Every secret the emulator ever handed out or was given."""

    alike = False
    """Whether they are the same whenever the emulator runs, as for pictures."""

    def __init__(self) -> None:
        """Begin without any."""
        super().__init__()
        self._dice: dict[str, random.Random] = {}

    def keep(self, secret: str) -> str:
        """Remember a secret and return it."""
        if secret not in self:
            self.append(secret)
        return secret

    def mint(self, kind: str) -> str:
        """Make a new secret that says what it is, such as tv-token-1f3a."""
        secret = f"{kind}-{self._chance(kind).randbytes(10).hex()}"
        self.append(secret)
        return secret

    def mint_transient(self, server: str) -> str:
        """Make a transient token of a server, which has Plex's own shape."""
        number = self._chance(server).getrandbits(128)
        secret = f"transient-{UUID(int=number, version=4)}"
        self.append(secret)
        return secret

    def _chance(self, name: str) -> random.Random:
        """Return what to throw for something of that name."""
        if not self.alike:
            return random.SystemRandom()
        return self._dice.setdefault(name, random.Random(name))
