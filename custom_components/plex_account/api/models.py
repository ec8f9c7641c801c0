"""What Plex answers, as frozen dataclasses, and how they are read.

Plex leaves out fields as it likes and writes the same value in different ways (true,
1, "1"), so whatever is not needed to go on is optional, and unknown fields are ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Final, Self

from .exceptions import PlexResponseError
from .reading import (
    MAX_URL,
    Json,
    children,
    flag,
    identifier,
    integer,
    objects,
    required,
    root,
    secret,
    text,
    texts,
    time,
    web_address,
)

TRANSIENT_TOKEN_LIFETIME = timedelta(hours=48)
# Seconds, of a code of four characters.
PIN_LIFETIME = 900
# Of one server. Real ones have hardly more than ten.
MAX_CONNECTIONS: Final = 32
# Characters.
MAX_VERSION: Final = 64
MAX_CODE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The Plex Pass of an account, or its absence."""

    active: bool | None
    status: str | None
    plan: str | None
    features: list[str]
    subscribed_at: datetime | None
    payment_service: str | None

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        """Read the `subscription` of a user."""
        return cls(
            active=flag(data, "active"),
            status=text(data, "status"),
            plan=text(data, "plan"),
            features=texts(data, "features", "feature"),
            subscribed_at=time(data, "subscribedAt"),
            payment_service=text(data, "paymentService"),
        )

    def to_json(self) -> dict[str, Json]:
        """Return what `from_json` reads."""
        return {
            "active": self.active,
            "status": self.status,
            "plan": self.plan,
            "features": [*self.features],
            "subscribedAt": _written(self.subscribed_at),
            "paymentService": self.payment_service,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One of Plex's own services that an account may use."""

    identifier: str | None
    endpoint: str | None
    status: str | None

    @classmethod
    def from_json(cls, data: dict[str, Json]) -> Self:
        """Read one of the `services` of a user, without its token and secret."""
        return cls(
            identifier=text(data, "identifier"),
            endpoint=text(data, "endpoint", MAX_URL),
            status=text(data, "status"),
        )

    def to_json(self) -> dict[str, Json]:
        """Return what `from_json` reads."""
        return {
            "identifier": self.identifier,
            "endpoint": self.endpoint,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A Plex account, as `/api/v2/user` and a sign-in describe it."""

    id: int
    uuid: str
    username: str | None
    title: str | None
    email: str | None
    friendly_name: str | None
    thumb: str | None
    country: str | None
    locale: str | None
    joined_at: datetime | None
    confirmed: bool | None
    has_password: bool | None
    two_factor_enabled: bool | None
    home: bool | None
    home_admin: bool | None
    home_size: int | None
    max_home_size: int | None
    guest: bool | None
    restricted: bool | None
    protected: bool | None
    remember_expires_at: datetime | None
    subscription: Subscription
    subscription_description: str | None
    entitlements: list[str]
    roles: list[str]
    services: list[Service]
    auth_token: str | None = field(repr=False)

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the body of an answer; PlexResponseError if it is no user."""
        data = root(body, "user", bare=True)
        return cls(
            id=required(integer(data, "id"), "user id"),
            uuid=required(identifier(data, "uuid"), "user uuid"),
            username=text(data, "username"),
            title=text(data, "title"),
            email=text(data, "email"),
            friendly_name=text(data, "friendlyName"),
            thumb=text(data, "thumb", MAX_URL),
            country=text(data, "country"),
            locale=text(data, "locale"),
            joined_at=time(data, "joinedAt"),
            confirmed=flag(data, "confirmed"),
            has_password=flag(data, "hasPassword"),
            two_factor_enabled=flag(data, "twoFactorEnabled"),
            home=flag(data, "home"),
            home_admin=flag(data, "homeAdmin"),
            home_size=integer(data, "homeSize"),
            max_home_size=integer(data, "maxHomeSize"),
            guest=flag(data, "guest"),
            restricted=flag(data, "restricted"),
            protected=flag(data, "protected"),
            remember_expires_at=time(data, "rememberExpiresAt"),
            subscription=Subscription.from_json(
                next(iter(objects(data.get("subscription"))), {})
            ),
            subscription_description=text(data, "subscriptionDescription"),
            entitlements=texts(data, "entitlements", "entitlement"),
            roles=texts(data, "roles", "role"),
            services=[
                Service.from_json(service)
                for service in children(data, "services", "service")
            ],
            auth_token=secret(data, "authToken"),
        )

    def to_json(self) -> dict[str, Json]:
        """Return what `from_json` reads, without the token."""
        return {
            "id": self.id,
            "uuid": self.uuid,
            "username": self.username,
            "title": self.title,
            "email": self.email,
            "friendlyName": self.friendly_name,
            "thumb": self.thumb,
            "country": self.country,
            "locale": self.locale,
            "joinedAt": _written(self.joined_at),
            "confirmed": self.confirmed,
            "hasPassword": self.has_password,
            "twoFactorEnabled": self.two_factor_enabled,
            "home": self.home,
            "homeAdmin": self.home_admin,
            "homeSize": self.home_size,
            "maxHomeSize": self.max_home_size,
            "guest": self.guest,
            "restricted": self.restricted,
            "protected": self.protected,
            "rememberExpiresAt": _written(self.remember_expires_at),
            "subscription": self.subscription.to_json(),
            "subscriptionDescription": self.subscription_description,
            "entitlements": [*self.entitlements],
            "roles": [*self.roles],
            "services": [service.to_json() for service in self.services],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture, such as the avatar of a user."""

    content: bytes = field(repr=False)
    content_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A code that a user types at plex.tv/link to sign this client in.

    `auth_token` is None until that has happened; `expires_in` is in seconds.
    """

    id: int
    code: str
    qr: str | None
    expires_in: int
    auth_token: str | None = field(repr=False)

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the body of an answer; PlexResponseError if it is no PIN."""
        data = root(body, "pin", bare=True)
        expires_in = integer(data, "expiresIn")
        return cls(
            id=required(integer(data, "id"), "pin id"),
            code=required(text(data, "code", MAX_CODE), "pin code"),
            qr=text(data, "qr", MAX_URL),
            expires_in=PIN_LIFETIME if expires_in is None else expires_in,
            auth_token=secret(data, "authToken"),
        )


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
            uri=required(text(data, "uri", MAX_URL), "uri").rstrip("/"),
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
    platform_version: str | None
    device: str | None
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
            access_token=_server_token(data),
            owned=required(flag(data, "owned"), "owner of a server"),
            home=flag(data, "home") or False,
            presence=flag(data, "presence") or False,
            relay=flag(data, "relay") or False,
            https_required=flag(data, "httpsRequired") or False,
            public_address_matches=flag(data, "publicAddressMatches") or False,
            product=text(data, "product"),
            product_version=text(data, "productVersion", MAX_VERSION),
            platform=text(data, "platform"),
            platform_version=text(data, "platformVersion"),
            device=text(data, "device"),
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
            "platformVersion": self.platform_version,
            "device": self.device,
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
    """Return what is greater for the one to believe of two of the same identifier."""
    return server.owned, server.presence


def _server_token(data: dict[str, Json]) -> str | None:
    """Return the token for a server, None for a JWT, which servers do not take."""
    token = secret(data, "accessToken")
    return None if token and token.startswith("eyJ") else token


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """Who answers at an address, and whether the server has an owner."""

    machine_identifier: str
    version: str | None
    claimed: bool | None

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the body of an answer; PlexResponseError if it is no server's."""
        data = root(body, "MediaContainer")
        return cls(
            machine_identifier=required(
                identifier(data, "machineIdentifier"), "machine identifier"
            ),
            version=text(data, "version", MAX_VERSION),
            # Told by `/identity` and by `/` under different names.
            claimed=flag(data, "claimed" if "claimed" in data else "myPlex"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransientToken:
    """A token with the rights of the one it was made from, for at most 48 hours."""

    token: str = field(repr=False)
    issued_at: datetime

    @property
    def expires_at(self) -> datetime:
        """Return when the token dies at the latest; Plex does not tell."""
        return self.issued_at + TRANSIENT_TOKEN_LIFETIME

    @classmethod
    def from_json(cls, body: Json, issued_at: datetime) -> Self:
        """Read the body of an answer; PlexResponseError if it holds no token."""
        data = root(body, "MediaContainer")
        return cls(
            token=required(secret(data, "token"), "transient token"),
            issued_at=issued_at,
        )


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


def _written(when: datetime | None) -> str | None:
    """Return a time in one of the ways in which Plex writes it."""
    return when.isoformat() if when else None


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
