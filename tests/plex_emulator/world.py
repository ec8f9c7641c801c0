"""All that exists: who has an account, and which devices there are."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .accounts import Account
from .confidential import Secrets
from .faults import Faults
from .recording import RequestLog
from .resources import Player

if TYPE_CHECKING:
    from .media_server import MediaServer, Provider


@dataclass(eq=False, repr=False)
class World:
    """What plex.tv and the media servers share."""

    accounts: list[Account] = field(default_factory=list)
    servers: list[MediaServer] = field(default_factory=list)
    players: list[Player] = field(default_factory=list)
    providers: list[Provider] = field(default_factory=list)
    secrets: Secrets = field(default_factory=Secrets)
    faults: Faults = field(default_factory=Faults)
    requests: RequestLog = field(default_factory=RequestLog)

    def servers_of(self, account: Account) -> list[MediaServer]:
        """Return the servers that an account owns or that are shared with it."""
        return [
            server
            for server in self.servers
            if server.owner is account or account in server.shares
        ]

    def account(self, username: str) -> Account:
        """Return the account with this user name."""
        for account in self.accounts:
            if account.username == username:
                return account
        raise LookupError(f"no account {username!r}")

    def server(self, name: str) -> MediaServer:
        """Return the server with this name or machine identifier."""
        for server in self.servers:
            if name in {server.name, server.machine_identifier}:
                return server
        raise LookupError(f"no server {name!r}")
