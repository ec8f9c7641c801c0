"""What Plex answers, as frozen dataclasses, and how they are read.

Plex leaves out fields as it likes and writes the same value in different ways (true,
1, "1"), so whatever is not needed to go on is optional, and unknown fields are ignored.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from yarl import URL

from .exceptions import PlexResponseError
from .http import Json

TRANSIENT_TOKEN_LIFETIME = timedelta(hours=48)
# Seconds, of a code of four characters.
PIN_LIFETIME = 900
# More than any number of Plex's has, and less than Python refuses to read.
MAX_DIGITS = 20


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
            active=_flag(data, "active"),
            status=_text(data, "status"),
            plan=_text(data, "plan"),
            features=_texts(data, "features", "feature"),
            subscribed_at=_time(data, "subscribedAt"),
            payment_service=_text(data, "paymentService"),
        )


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
            identifier=_text(data, "identifier"),
            endpoint=_text(data, "endpoint"),
            status=_text(data, "status"),
        )


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
        data = _root(body, "user", bare=True)
        return cls(
            id=_required(_integer(data, "id"), "user id"),
            uuid=_required(_text(data, "uuid"), "user uuid"),
            username=_text(data, "username"),
            title=_text(data, "title"),
            email=_text(data, "email"),
            friendly_name=_text(data, "friendlyName"),
            thumb=_text(data, "thumb"),
            country=_text(data, "country"),
            locale=_text(data, "locale"),
            joined_at=_time(data, "joinedAt"),
            confirmed=_flag(data, "confirmed"),
            has_password=_flag(data, "hasPassword"),
            two_factor_enabled=_flag(data, "twoFactorEnabled"),
            home=_flag(data, "home"),
            home_admin=_flag(data, "homeAdmin"),
            home_size=_integer(data, "homeSize"),
            max_home_size=_integer(data, "maxHomeSize"),
            guest=_flag(data, "guest"),
            restricted=_flag(data, "restricted"),
            protected=_flag(data, "protected"),
            remember_expires_at=_time(data, "rememberExpiresAt"),
            subscription=Subscription.from_json(
                next(iter(_objects(data.get("subscription"))), {})
            ),
            subscription_description=_text(data, "subscriptionDescription"),
            entitlements=_texts(data, "entitlements", "entitlement"),
            roles=_texts(data, "roles", "role"),
            services=[
                Service.from_json(service)
                for service in _children(data, "services", "service")
            ],
            auth_token=_secret(data, "authToken"),
        )


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
        data = _root(body, "pin", bare=True)
        expires_in = _integer(data, "expiresIn")
        return cls(
            id=_required(_integer(data, "id"), "pin id"),
            code=_required(_text(data, "code"), "pin code"),
            qr=_text(data, "qr"),
            expires_in=PIN_LIFETIME if expires_in is None else expires_in,
            auth_token=_secret(data, "authToken"),
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
        """Read a connection, None if there is no URL that we could use."""
        uri = _text(data, "uri") or ""
        try:
            url = URL(uri)
            host, port = url.host, url.port
        except ValueError:
            return None
        if url.scheme not in {"http", "https"} or not host or not port:
            return None
        if url.user is not None or url.query_string or url.fragment:
            return None
        address = _text(data, "address") or host
        return cls(
            uri=uri,
            protocol=url.scheme,
            address=address,
            port=port,
            local=_flag(data, "local") or False,
            relay=_flag(data, "relay") or False,
            # The flag is missing at custom URLs and at media servers.
            ipv6=_flag(data, "IPv6") or ":" in address,
        )


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
    def from_json(cls, data: dict[str, Json]) -> Self | None:
        """Read a resource, None if it has no identifier."""
        identifier = _text(data, "clientIdentifier")
        if identifier is None:
            return None
        return cls(
            name=_text(data, "name") or identifier,
            client_identifier=identifier,
            access_token=_secret(data, "accessToken"),
            owned=_flag(data, "owned") or False,
            home=_flag(data, "home") or False,
            presence=_flag(data, "presence") or False,
            relay=_flag(data, "relay") or False,
            https_required=_flag(data, "httpsRequired") or False,
            public_address_matches=_flag(data, "publicAddressMatches") or False,
            product=_text(data, "product"),
            product_version=_text(data, "productVersion"),
            platform=_text(data, "platform"),
            platform_version=_text(data, "platformVersion"),
            device=_text(data, "device"),
            source_title=_text(data, "sourceTitle"),
            connections=_connections(_children(data, "connections", "connection")),
        )


def servers_from_json(body: Json) -> list[Resource]:
    """Read the servers, not the players, of `/api/v2/resources`.

    Raises PlexResponseError if an item does not say who and what it is. Passing it over
    would be to say that a server is gone, and with it goes what a user made of it.
    """
    items: Iterable[Json]
    match body:
        case list():
            items = body
        case {"resources": dict(root)}:
            items = _objects(root.get("resource"))
        case _:
            raise PlexResponseError("Not a list of resources")
    resources_by_id = {
        resource.client_identifier: resource
        for item in items
        if (resource := _server_from_json(item))
    }
    return list(resources_by_id.values())


def _server_from_json(item: Json) -> Resource | None:
    """Read a server, None if it is a player."""
    if not isinstance(item, dict) or not isinstance(item.get("provides", ""), str):
        raise PlexResponseError("Not a resource")
    if "server" not in (_text(item, "provides") or "").split(","):
        return None
    _required(_flag(item, "owned"), "owner of a server")
    return _required(Resource.from_json(item), "server identifier")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerIdentity:
    """Who answers at an address, and whether the server has an owner."""

    machine_identifier: str
    version: str | None
    claimed: bool | None

    @classmethod
    def from_json(cls, body: Json) -> Self:
        """Read the body of an answer; PlexResponseError if it is no server's."""
        data = _root(body, "MediaContainer")
        return cls(
            machine_identifier=_required(
                _text(data, "machineIdentifier"), "machine identifier"
            ),
            version=_text(data, "version"),
            # Told by `/identity` and by `/` under different names.
            claimed=_flag(data, "claimed" if "claimed" in data else "myPlex"),
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
        data = _root(body, "MediaContainer")
        return cls(
            token=_required(_secret(data, "token"), "transient token"),
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
        devices = _objects(_root(body, "MediaContainer").get("Device"))
        if not devices:
            return None
        device = devices[0]
        information = cls(
            name=_text(device, "name"),
            client_identifier=_text(device, "clientIdentifier"),
            access_token=_secret(device, "accessToken"),
            connections=_connections(_objects(device.get("Connection"))),
        )
        if not information.access_token and not information.connections:
            raise PlexResponseError("No token and no connection in the answer")
        return information


def _connections(items: Iterable[dict[str, Json]]) -> tuple[Connection, ...]:
    """Read the connections that have a usable URL."""
    return tuple(
        connection for item in items if (connection := Connection.from_json(item))
    )


def _root(body: Json, tag: str, *, bare: bool = False) -> dict[str, Json]:
    """Return the object that an answer is about; plex.tv's JSON has it bare."""
    if isinstance(body, dict):
        data = body.get(tag, body if bare else None)
        if isinstance(data, dict):
            return data
    raise PlexResponseError(f"No {tag} in the answer")


def _required[T](value: T | None, what: str) -> T:
    """Return a value that we cannot do without."""
    if value is None:
        raise PlexResponseError(f"No {what} in the answer")
    return value


def _objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list, or a single object as such a list."""
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict)]


def _children(data: dict[str, Json], key: str, tag: str) -> list[dict[str, Json]]:
    """Return a list of objects; XML wraps its elements in one that names the list."""
    return [
        child
        for item in _objects(data.get(key))
        for child in (_objects(item[tag]) if tag in item else [item])
        if child
    ]


def _texts(data: dict[str, Json], key: str, tag: str) -> list[str]:
    """Return a list of strings, which in XML are the ids of elements."""
    value = data.get(key)
    if isinstance(value, list) and any(isinstance(item, str) for item in value):
        return [item for item in value if isinstance(item, str)]
    return [text for child in _children(data, key, tag) if (text := _text(child, "id"))]


def _text(data: dict[str, Json], key: str) -> str | None:
    """Return a string, None for the empty one, which is XML's null."""
    value = data.get(key)
    return value or None if isinstance(value, str) else None


def _secret(data: dict[str, Json], key: str) -> str | None:
    """Return a token, None for what could not be sent in a header."""
    value = _text(data, key)
    return value if value and value.isascii() and value.isprintable() else None


def _integer(data: dict[str, Json], key: str) -> int | None:
    """Return a whole number."""
    value = data.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal() and len(value) < MAX_DIGITS:
        return int(value)
    return None


def _flag(data: dict[str, Json], key: str) -> bool | None:
    """Return a boolean, which in XML is "1" or "0"."""
    value = data.get(key)
    if value is None or isinstance(value, bool):
        return value
    match value:
        case 1 | "1" | "true":
            return True
        case 0 | "0" | "false":
            return False
    return None


def _time(data: dict[str, Json], key: str) -> datetime | None:
    """Return a time, which Plex writes in seconds or in one of two texts."""
    if data.get(key) is None:
        return None
    try:
        if (seconds := _integer(data, key)) is not None:
            return datetime.fromtimestamp(seconds, UTC)
        text = (_text(data, key) or "").removesuffix(" UTC")
        when = datetime.fromisoformat(text)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except ValueError, OverflowError, OSError:
        return None
