"""Servers and where they can be reached, as plex.tv and servers themselves list them.

Read as the other models are.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Final, Self

from .exceptions import PlexResponseError
from .reading import (
    MAX_URL,
    MAX_VERSION,
    Json,
    children,
    flag,
    identifier,
    objects,
    plex_tv_token,
    required,
    root,
    secret,
    text,
    web_address,
)

# Of one server. Real ones have hardly more than ten.
MAX_CONNECTIONS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One address of a server. `local` means private, not that it is our network.

    A `pinned` one is reached at `address` itself, as name servers do not tell that of
    the name in `uri`; the certificate is still that of the name.
    """

    uri: str
    protocol: str
    address: str
    port: int
    local: bool
    relay: bool
    ipv6: bool
    pinned: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self | None:
        """Read a connection, None if there is no address that we could use."""
        url = web_address(data, "uri")
        # With a path it could be made to ask any device for anything.
        if url is None or url.path_qs != "/" or url.fragment:
            return None
        host, port = required(url.host, "host"), required(url.port, "port")
        address = _address(data) or host
        return cls(
            uri=required(text(data, "uri", MAX_URL), "uri").rstrip("/?#"),
            protocol=url.scheme,
            address=address,
            port=port,
            local=flag(data, "local") or False,
            relay=flag(data, "relay") or False,
            # The flag is missing at custom URLs and at media servers.
            ipv6=flag(data, "IPv6") or ":" in address,
        )

    def to_json(self) -> dict[str, Json]:
        """Return what `from_json` reads; whether it is pinned is not Plex's to say."""
        return {
            "uri": self.uri,
            "address": self.address,
            "local": self.local,
            "relay": self.relay,
            "IPv6": self.ipv6,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A server that an account can use, as `/api/v2/resources` lists it."""

    name: str
    client_identifier: str
    access_token: str | None = field(repr=False)
    owned: bool
    home: bool
    presence: bool
    relay: bool
    https_required: bool
    public_address_matches: bool
    product: str | None
    product_version: str | None
    platform: str | None
    source_title: str | None
    connections: tuple[Connection, ...]

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        """Read a server; PlexResponseError if it is not said which or whose it is."""
        client_identifier = required(
            identifier(data, "clientIdentifier"), "server identifier"
        )
        return cls(
            name=text(data, "name") or client_identifier,
            client_identifier=client_identifier,
            access_token=plex_tv_token(data, "accessToken"),
            owned=required(flag(data, "owned"), "owner of a server"),
            home=flag(data, "home") or False,
            presence=flag(data, "presence") or False,
            relay=flag(data, "relay") or False,
            https_required=flag(data, "httpsRequired") or False,
            public_address_matches=flag(data, "publicAddressMatches") or False,
            product=text(data, "product"),
            product_version=text(data, "productVersion", MAX_VERSION),
            platform=text(data, "platform"),
            source_title=text(data, "sourceTitle"),
            connections=_connections(children(data, "connections", "connection")),
        )

    def to_json(self) -> dict[str, Json]:
        """Return what `from_json` reads, with the token."""
        return {
            "name": self.name,
            "clientIdentifier": self.client_identifier,
            "accessToken": self.access_token,
            "owned": self.owned,
            "home": self.home,
            "presence": self.presence,
            "relay": self.relay,
            "httpsRequired": self.https_required,
            "publicAddressMatches": self.public_address_matches,
            "product": self.product,
            "productVersion": self.product_version,
            "platform": self.platform,
            "sourceTitle": self.source_title,
            "connections": [item.to_json() for item in self.connections],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerList:
    """The servers that `/api/v2/resources` lists, in Plex's order.

    There is one of each identifier. `duplicates` and `unreadable` are how many were
    left out for another of the same identifier, or because it was not said which or
    whose they are; then a server that is missing need not be gone.
    """

    servers: tuple[Resource, ...]
    duplicates: int
    unreadable: int

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the servers, not the players; PlexResponseError if it is no such list.

        Also raises it if none of the items can be read.
        """
        items: Iterable[Json]
        match body:
            case list():
                items = body
            case {"resources": dict(listed)}:
                items = objects(listed.get("resource"))
            case _:
                raise PlexResponseError("Not a list of resources")
        servers: dict[str, Resource] = {}
        duplicates = unreadable = 0
        for item in items:
            try:
                server = _server(item)
            except PlexResponseError:
                unreadable += 1
                continue
            if server is None:
                continue
            twin = servers.get(server.client_identifier)
            duplicates += twin is not None
            # Who shares a server may say that it is another one, but not that it is
            # the account's own.
            if twin is None or _standing(twin) < _standing(server):
                servers[server.client_identifier] = server
        if unreadable and not servers:
            raise PlexResponseError("No server can be read")
        return cls(
            servers=tuple(servers.values()),
            duplicates=duplicates,
            unreadable=unreadable,
        )


def _server(item: Json) -> Resource | None:
    """Read a server, None if it is a player."""
    if not isinstance(item, dict) or not isinstance(item.get("provides", ""), str):
        raise PlexResponseError("Not a resource")
    if "server" not in (text(item, "provides") or "").split(","):
        return None
    return Resource.from_json(item)


def _standing(server: Resource) -> tuple[bool, bool]:
    """Return a sort key: of two of the same identifier the greater is believed."""
    return server.owned, server.presence


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConnectionInformation:
    """Where a source can be reached, and with which transient token."""

    name: str | None
    client_identifier: str | None
    access_token: str | None = field(repr=False)
    connections: tuple[Connection, ...]

    @classmethod
    def from_json(cls, body: Json) -> Self | None:
        """Read the body of an answer, None if it names no device.

        Raises PlexResponseError if the body is not a server's.
        """
        devices = objects(root(body, "MediaContainer").get("Device"))
        if not devices:
            return None
        device = devices[0]
        information = cls(
            name=text(device, "name"),
            client_identifier=text(device, "clientIdentifier"),
            access_token=secret(device, "accessToken"),
            connections=_connections(objects(device.get("Connection"))),
        )
        if not information.access_token and not information.connections:
            raise PlexResponseError("No token and no connection in the answer")
        return information


def _connections(items: Iterable[dict[str, Json]]) -> tuple[Connection, ...]:
    """Read the connections that have a usable address, as many as there may be."""
    readable = (
        connection for item in items if (connection := Connection.from_json(item))
    )
    return tuple(islice(readable, MAX_CONNECTIONS))


def _address(data: dict[str, Json]) -> str | None:
    """Return an address, or a name in its place; None for what is neither."""
    value = text(data, "address")
    return value if value and _is_address(value) else identifier(data, "address")


@lru_cache
def _is_address(value: str) -> bool:
    """Return if it is an address, but not one that says at which interface."""
    try:
        return not getattr(ip_address(value), "scope_id", None)
    except ValueError:
        return False
