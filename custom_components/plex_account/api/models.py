"""What Plex answers, as frozen dataclasses, and how they are read.

Plex leaves out fields as it likes and writes the same value in different ways (true,
1, "1"), so whatever is not needed to go on is optional, and unknown fields are ignored.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Self

from .reading import (
    MAX_URL,
    MAX_VERSION,
    Json,
    children,
    flag,
    identifier,
    integer,
    objects,
    plex_tv_token,
    required,
    root,
    secret,
    text,
    texts,
    time,
)

TRANSIENT_TOKEN_LIFETIME = timedelta(hours=48)
# Seconds, of a code of four characters.
PIN_LIFETIME = 900
# Characters.
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
            auth_token=plex_tv_token(data, "authToken"),
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


def _written(when: datetime | None) -> str | None:
    """Return a time in one of the ways in which Plex writes it."""
    return when.isoformat() if when else None
