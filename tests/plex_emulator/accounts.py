"""Plex accounts and what plex.tv tells about them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .pictures import draw_avatar
from .replies import Data, plex_data

FREE_FEATURES = ("adaptive_bitrate", "home", "two-factor-authentication")
PASS_FEATURES = (*FREE_FEATURES, "pass", "webhooks")
# What no client here asks for, but some want to be there.
ALWAYS = {
    "anonymous": False,
    "emailOnlyAuth": False,
    "mailingListStatus": "unsubscribed",
    "mailingListActive": False,
    "profile": {
        "autoSelectAudio": True,
        "defaultAudioLanguage": "en",
        "defaultSubtitleLanguage": "en",
        "autoSelectSubtitle": 1,
        "defaultSubtitleAccessibility": 0,
        "defaultSubtitleForced": 0,
        "watchedIndicator": 1,
        "mediaReviewsVisibility": 0,
    },
    "subscriptions": [],
    "adsConsent": None,
    "adsConsentSetAt": None,
    "adsConsentReminderAt": None,
    "experimentalFeatures": False,
    "backupCodesCreated": False,
    "attributionPartner": None,
}


@dataclass
class Subscription:
    """The Plex Pass of an account, or that there is none."""

    active: bool = False
    subscribed_at: datetime | None = None
    status: str = "Inactive"
    payment_service: str | None = None
    plan: str | None = None
    features: list[str] = field(default_factory=lambda: list(FREE_FEATURES))


@dataclass
class Service:
    """One of Plex's own services, with the account's token for it."""

    identifier: str
    endpoint: str
    token: str | None
    secret: str | None = None
    status: str = "online"


@dataclass
class User:
    """What plex.tv tells about an account, besides what depends on the token."""

    id: int
    uuid: str
    username: str
    title: str
    email: str
    thumb: str
    friendly_name: str = ""
    locale: str | None = None
    confirmed: bool = True
    joined_at: int = 1552593531
    protected: bool = False
    scrobble_types: str = ""
    country: str = "ES"
    subscription_description: str | None = None
    restricted: bool = False
    home: bool = False
    guest: bool = False
    home_size: int = 1
    home_admin: bool = False
    max_home_size: int = 15
    subscription: Subscription = field(default_factory=Subscription)
    entitlements: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)


@dataclass(eq=False)
class AccountToken:
    """What one client has been signed in with: plex.tv keeps one for each client."""

    text: str
    account: Account
    client_identifier: str
    remember_expires_at: int


@dataclass(eq=False)
class Account:
    """Someone who can sign in."""

    user: User
    password: str | None
    """None for those who signed up with Google, Apple or Facebook."""
    verification_code: str | None = None
    """The code that the sign-in asks for, None without two-factor authentication."""
    avatar: bytes = b""
    left_out: set[str] = field(default_factory=set)
    """Plex's names of what the answers about the user do not have."""

    def __post_init__(self) -> None:
        """Give the account a picture of its own."""
        self.avatar = self.avatar or draw_avatar(self.user.uuid)

    @property
    def username(self) -> str:
        """The name to sign in with."""
        return self.user.username

    def known_as(self, login: str) -> bool:
        """Tell whether this is the account's user name or e-mail address."""
        return login.casefold() in {
            self.user.username.casefold(),
            self.user.email.casefold(),
        }

    def subscribe(self, plan: str = "lifetime") -> None:
        """Give the account a Plex Pass."""
        self.user.subscription = Subscription(
            active=True,
            subscribed_at=datetime(2019, 3, 16, 15, 20, 12, tzinfo=UTC),
            status="Active",
            plan=plan,
            features=list(PASS_FEATURES),
        )
        self.user.subscription_description = f"{plan.capitalize()} Plex Pass"
        self.user.entitlements = ["all"]
        self.user.roles = ["plexpass"]

    def unsubscribe(self) -> None:
        """Take the Plex Pass away."""
        self.user.subscription = Subscription()
        self.user.subscription_description = None
        self.user.entitlements = []
        self.user.roles = []


def user_data(token: AccountToken) -> Data:
    """Return what plex.tv answers about the user who has this token."""
    account = token.account
    user = account.user
    data: dict[str, Any] = (
        plex_data(user)
        | ALWAYS
        | {
            "subscription": plex_data(user.subscription),
            "services": [plex_data(service) for service in user.services],
            "authToken": token.text,
            "rememberExpiresAt": token.remember_expires_at,
            "hasPassword": account.password is not None,
            "twoFactorEnabled": account.verification_code is not None,
        }
    )
    return {name: data[name] for name in data if name not in account.left_out}


def signed_in_data(token: AccountToken) -> Data:
    """Return what plex.tv answers to a sign-in: a little more."""
    return user_data(token) | {"pastSubscriptions": [], "trials": []}
