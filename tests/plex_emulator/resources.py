"""What plex.tv lists under /resources: servers and players, and where they are."""

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from .accounts import Account
from .replies import Data, plex_data

VERSION = "1.43.4.10903-e5521bd8c"
# Names below .invalid can never be resolved.
PLEX_DIRECT = "0123456789abcdef0123456789abcdef.plex.direct.invalid"


@dataclass
class Connection:
    """One address at which a device says it can be reached."""

    uri: str
    address: str
    local: bool = True
    relay: bool = False
    ipv6: bool = False

    @classmethod
    def at(cls, url: str, *, local: bool = True, relay: bool = False) -> Self:
        """Make the connection to a URL whose host is an address or a custom domain."""
        host = urlsplit(url).hostname or ""
        return cls(url, host, local=local, relay=relay, ipv6=":" in host)

    @classmethod
    def plex_direct(
        cls,
        shown: str,
        port: int,
        *,
        address: str = "127.0.0.1",
        domain: str = PLEX_DIRECT,
        local: bool = False,
        relay: bool = False,
    ) -> Self:
        """Make one under Plex's own kind of host name.

        The name shows one address, but what a client may connect to is loopback.
        """
        host = f"{shown.replace('.', '-').replace(':', '-')}.{domain}"
        return cls(
            f"https://{host}:{port}",
            address,
            local=local,
            relay=relay,
            ipv6=":" in address,
        )

    @property
    def protocol(self) -> str:
        """Either http or https."""
        return urlsplit(self.uri).scheme

    @property
    def port(self) -> int:
        """The port, which may be the protocol's own."""
        return urlsplit(self.uri).port or (443 if self.protocol == "https" else 80)

    def plain(self) -> Connection:
        """Return what is listed to a client that did not ask for HTTPS."""
        address = f"[{self.address}]" if self.ipv6 else self.address
        uri = f"http://{address}:{self.port}"
        return Connection(uri, self.address, self.local, self.relay, self.ipv6)


@dataclass
class Listing:
    """What a device told plex.tv about itself."""

    name: str
    product: str
    product_version: str
    platform: str | None
    platform_version: str | None
    device: str | None
    client_identifier: str
    provides: str
    public_address: str = "203.0.113.8"
    relay: bool = True
    presence: bool = True
    https_required: bool = False
    public_address_matches: bool = True
    connections: list[Connection] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    """Plex's names of what the answers about the device do not have."""


@dataclass(eq=False)
class Player:
    """An app that plays, which plex.tv lists between the servers."""

    listing: Listing
    owner: Account
    token: str


@dataclass
class Share:
    """How a server looks to someone it is shared with."""

    home: bool = False
    public_address_matches: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which connections a client asked for."""

    https: bool
    relay: bool
    ipv6: bool

    def choose(self, connections: list[Connection]) -> list[Connection]:
        """Return those that such a client is told of."""
        listed = [
            connection
            for connection in connections
            if (self.relay or not connection.relay)
            and (self.ipv6 or not connection.ipv6)
        ]
        return listed if self.https else [item.plain() for item in listed]


def connection_data(connection: Connection) -> Data:
    """Return a connection as plex.tv writes it."""
    return {
        "protocol": connection.protocol,
        "address": connection.address,
        "port": connection.port,
        "uri": connection.uri,
        "local": connection.local,
        "relay": connection.relay,
        "IPv6": connection.ipv6,
    }


def resource_data(
    listing: Listing,
    owner: Account,
    wanted: Wanted,
    *,
    token: str,
    share: Share | None = None,
) -> Data:
    """Return a device as its owner sees it, or someone it is shared with."""
    data = plex_data(listing) | {
        "accessToken": token,
        "owned": share is None,
        "home": False,
        "ownerId": None,
        "sourceTitle": None,
        "connections": [
            connection_data(connection)
            for connection in wanted.choose(listing.connections)
        ],
    }
    if share:
        data |= {
            "home": share.home,
            "ownerId": owner.user.id,
            "sourceTitle": owner.user.title,
            "publicAddressMatches": share.public_address_matches,
        }
    hidden = listing.left_out | {"leftOut"}
    return {name: data[name] for name in data if name not in hidden}
