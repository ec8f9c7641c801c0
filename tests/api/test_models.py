"""How answers are read, whatever Plex leaves out or writes in another way."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from custom_components.plex_account.api import (
    Connection,
    Pin,
    PlexResponseError,
    Resource,
    ServerIdentity,
    Service,
    SourceConnectionInformation,
    Subscription,
    TransientToken,
    User,
)
from custom_components.plex_account.api.reading import Json

NAME = '<b>Ada & "Co"</b> 🎬 \\n'
EPOCH = datetime.fromtimestamp(0, UTC)
NOTHING: list[Json] = [None, "", [], {}, [None], [[]]]
WRONG_TEXTS: list[Json] = [*NOTHING, 5, 1.5, True, ["x"], {"x": "y"}]
WRONG_NUMBERS: list[Json] = [*NOTHING, "x", "-1", "1.5", "1" * 20, 1.5, 1e30, True]
WRONG_FLAGS: list[Json] = [*NOTHING, "x", "yes", "2", 2, -1, 0.5, [True]]
WRONG_TIMES: list[Json] = [
    *NOTHING,
    "x",
    "UTC",
    "2026-02-30T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "9" * 19,
    10**11 * 10**7,
    -(10**18),
    1e30,
    True,
]
# There are no tokens that a header can't hold.
WRONG_SECRETS: list[Json] = [*WRONG_TEXTS, "ä", "🎬", "a\nb", "a\0b", "\x7f"]
WRONG_PLEX_TV_TOKENS = [*WRONG_SECRETS, "eyJhbGciOiJFZERTQSJ9.e30.c2ln"]

type Fields = list[tuple[str, str | None, Any, list[Json]]]

USER: dict[str, Json] = {
    "id": 10000001,
    "uuid": "a1b2c3d4e5f60718",
    "username": NAME,
    "title": NAME,
    "email": "ada@example.com",
    "friendlyName": NAME,
    "thumb": "https://plex.tv/users/a1b2c3d4e5f60718/avatar?c=1",
    "country": "ES",
    "locale": "es",
    "joinedAt": 0,
    "confirmed": True,
    "hasPassword": True,
    "twoFactorEnabled": True,
    "home": True,
    "homeAdmin": True,
    "homeSize": 2,
    "maxHomeSize": 15,
    "guest": True,
    "restricted": True,
    "protected": True,
    "rememberExpiresAt": 0,
    "subscription": {
        "active": True,
        "status": "Active",
        "plan": "lifetime",
        "features": ["pass", "webhooks"],
        "subscribedAt": "1970-01-01T00:00:00Z",
        "paymentService": "stripe",
    },
    "subscriptionDescription": "Lifetime Plex Pass",
    "entitlements": ["all"],
    "roles": ["plexpass"],
    "services": [
        {
            "identifier": "epg",
            "endpoint": "https://epg.provider.plex.tv",
            "status": "online",
            "token": "secret-1",
            "secret": "secret-2",
        }
    ],
    "authToken": "secret-3",
    "pin": "secret-4",
    "somethingNew": {"at": [1, None]},
}
USER_READ = User(
    id=10000001,
    uuid="a1b2c3d4e5f60718",
    username=NAME,
    title=NAME,
    email="ada@example.com",
    friendly_name=NAME,
    thumb="https://plex.tv/users/a1b2c3d4e5f60718/avatar?c=1",
    country="ES",
    locale="es",
    joined_at=EPOCH,
    confirmed=True,
    has_password=True,
    two_factor_enabled=True,
    home=True,
    home_admin=True,
    home_size=2,
    max_home_size=15,
    guest=True,
    restricted=True,
    protected=True,
    remember_expires_at=EPOCH,
    subscription=Subscription(
        active=True,
        status="Active",
        plan="lifetime",
        features=["pass", "webhooks"],
        subscribed_at=EPOCH,
        payment_service="stripe",
    ),
    subscription_description="Lifetime Plex Pass",
    entitlements=["all"],
    roles=["plexpass"],
    services=[
        Service(
            identifier="epg", endpoint="https://epg.provider.plex.tv", status="online"
        )
    ],
    auth_token="secret-3",
)
PIN: dict[str, Json] = {
    "id": 564964751,
    "code": "AB3D",
    "qr": "https://plex.tv/api/v2/pins/qr/AB3D",
    "expiresIn": 899,
    "authToken": "secret",
}
PIN_READ = Pin(
    id=564964751,
    code="AB3D",
    qr="https://plex.tv/api/v2/pins/qr/AB3D",
    expires_in=899,
    auth_token="secret",
)
CONNECTION: dict[str, Json] = {
    "protocol": "https",
    "address": "192.168.1.150",
    "port": 32400,
    "uri": "https://192-168-1-150.0123.plex.direct:32400",
    "local": True,
    "relay": True,
    "IPv6": True,
}
CONNECTION_READ = Connection(
    uri="https://192-168-1-150.0123.plex.direct:32400",
    protocol="https",
    address="192.168.1.150",
    port=32400,
    local=True,
    relay=True,
    ipv6=True,
)
RESOURCE: dict[str, Json] = {
    "name": NAME,
    "clientIdentifier": "00112233",
    "accessToken": "secret",
    "owned": True,
    "home": True,
    "presence": True,
    "relay": True,
    "httpsRequired": True,
    "publicAddressMatches": True,
    "product": "Plex Media Server",
    "productVersion": "1.43.4",
    "platform": "Linux",
    "platformVersion": "6.12",
    "device": "Docker Container",
    "sourceTitle": NAME,
    "connections": [CONNECTION],
    "provides": "server",
}
RESOURCE_READ = Resource(
    name=NAME,
    client_identifier="00112233",
    access_token="secret",
    owned=True,
    home=True,
    presence=True,
    relay=True,
    https_required=True,
    public_address_matches=True,
    product="Plex Media Server",
    product_version="1.43.4",
    platform="Linux",
    source_title=NAME,
    connections=(CONNECTION_READ,),
)
SERVER: dict[str, Json] = {
    "size": 0,
    "claimed": True,
    "machineIdentifier": "00112233",
    "version": "1.43.4",
}
SERVER_READ = ServerIdentity(
    machine_identifier="00112233", version="1.43.4", claimed=True
)
DEVICE: dict[str, Json] = {
    "name": NAME,
    "clientIdentifier": "00112233",
    "accessToken": "secret",
    "Connection": [CONNECTION],
}
DEVICE_READ = SourceConnectionInformation(
    name=NAME,
    client_identifier="00112233",
    access_token="secret",
    connections=(CONNECTION_READ,),
)

# The fields of each model: Plex's name, ours, what is read of nothing, and what is
# nothing besides.
USER_FIELDS: Fields = [
    *(
        (name, name, None, WRONG_TEXTS)
        for name in ("username", "title", "email", "thumb", "country", "locale")
    ),
    ("friendlyName", "friendly_name", None, WRONG_TEXTS),
    ("subscriptionDescription", "subscription_description", None, WRONG_TEXTS),
    ("authToken", "auth_token", None, WRONG_PLEX_TV_TOKENS),
    ("joinedAt", "joined_at", None, WRONG_TIMES),
    ("rememberExpiresAt", "remember_expires_at", None, WRONG_TIMES),
    *(
        (name, name, None, WRONG_FLAGS)
        for name in ("confirmed", "home", "guest", "restricted", "protected")
    ),
    ("hasPassword", "has_password", None, WRONG_FLAGS),
    ("twoFactorEnabled", "two_factor_enabled", None, WRONG_FLAGS),
    ("homeAdmin", "home_admin", None, WRONG_FLAGS),
    ("homeSize", "home_size", None, WRONG_NUMBERS),
    ("maxHomeSize", "max_home_size", None, WRONG_NUMBERS),
    ("entitlements", "entitlements", [], [*NOTHING, 1, True, [1], {"x": "y"}]),
    ("roles", "roles", [], [*NOTHING, 1, True, [1], {"x": "y"}]),
    ("services", "services", [], [*NOTHING, "epg", 1, True, [1]]),
    (
        "subscription",
        "subscription",
        Subscription(
            active=None,
            status=None,
            plan=None,
            features=[],
            subscribed_at=None,
            payment_service=None,
        ),
        [*NOTHING, "Active", 1, True],
    ),
    ("somethingNew", None, None, WRONG_TEXTS),
    ("pin", None, None, WRONG_TEXTS),
]
SUBSCRIPTION_FIELDS: Fields = [
    ("active", "active", None, WRONG_FLAGS),
    ("status", "status", None, WRONG_TEXTS),
    ("plan", "plan", None, WRONG_TEXTS),
    ("features", "features", [], [*NOTHING, 1, True, [1], {"x": "y"}]),
    ("subscribedAt", "subscribed_at", None, WRONG_TIMES),
    ("paymentService", "payment_service", None, WRONG_TEXTS),
]
SERVICE_FIELDS: Fields = [
    (name, name, None, WRONG_TEXTS) for name in ("identifier", "endpoint", "status")
]
PIN_FIELDS: Fields = [
    ("qr", "qr", None, WRONG_TEXTS),
    ("expiresIn", "expires_in", 900, WRONG_NUMBERS),
    ("authToken", "auth_token", None, WRONG_SECRETS),
]
CONNECTION_FIELDS: Fields = [
    (
        "address",
        "address",
        "192-168-1-150.0123.plex.direct",
        [*NOTHING, 5, 1.5, True, ["x"]],
    ),
    # Both are what the URI says.
    ("protocol", None, None, [*WRONG_TEXTS, "http", "ftp"]),
    ("port", None, None, [*WRONG_NUMBERS, "32400", 1, 0, -1]),
    ("local", "local", False, WRONG_FLAGS),
    ("relay", "relay", False, WRONG_FLAGS),
    ("IPv6", "ipv6", False, WRONG_FLAGS),
]
RESOURCE_FIELDS: Fields = [
    ("name", "name", "00112233", WRONG_TEXTS),
    ("accessToken", "access_token", None, WRONG_PLEX_TV_TOKENS),
    *((name, name, False, WRONG_FLAGS) for name in ("home", "presence", "relay")),
    ("httpsRequired", "https_required", False, WRONG_FLAGS),
    ("publicAddressMatches", "public_address_matches", False, WRONG_FLAGS),
    *((name, name, None, WRONG_TEXTS) for name in ("product", "platform")),
    ("productVersion", "product_version", None, WRONG_TEXTS),
    ("sourceTitle", "source_title", None, WRONG_TEXTS),
    ("connections", "connections", (), [*WRONG_TEXTS, [1], [{"uri": "x"}]]),
]
SERVER_FIELDS: Fields = [
    ("version", "version", None, WRONG_TEXTS),
    ("claimed", "claimed", None, WRONG_FLAGS),
]
DEVICE_FIELDS: Fields = [
    ("name", "name", None, WRONG_TEXTS),
    ("clientIdentifier", "client_identifier", None, WRONG_TEXTS),
    ("accessToken", "access_token", None, WRONG_SECRETS),
    ("Connection", "connections", (), [*WRONG_TEXTS, [1], [{"uri": "x"}]]),
]


def read_subscription(data: Json) -> Subscription:
    """Read the Plex Pass of a user."""
    return User.from_json({**USER, "subscription": data}).subscription


def read_service(data: Json) -> Service:
    """Read the only service of a user."""
    (service,) = User.from_json(
        {**USER, "services": [{"x": 1, **as_dict(data)}]}
    ).services
    return service


def read_server(data: Json) -> ServerIdentity:
    """Read who a server says it is."""
    return ServerIdentity.from_json({"MediaContainer": data})


def read_token(data: Json) -> TransientToken:
    """Read a transient token."""
    return TransientToken.from_json({"MediaContainer": data}, EPOCH)


def read_device(data: Json) -> SourceConnectionInformation | None:
    """Read what a server knows of a source."""
    return SourceConnectionInformation.from_json({"MediaContainer": {"Device": data}})


def as_dict(data: Json) -> dict[str, Json]:
    """Return data that is known to be an object."""
    assert isinstance(data, dict)
    return data


MODELS: dict[str, tuple[Callable[[Any], Any], Json, Any, Fields]] = {
    "user": (User.from_json, USER, USER_READ, USER_FIELDS),
    "subscription": (
        read_subscription,
        USER["subscription"],
        USER_READ.subscription,
        SUBSCRIPTION_FIELDS,
    ),
    "service": (
        read_service,
        {
            "identifier": "epg",
            "endpoint": "https://epg.provider.plex.tv",
            "status": "online",
        },
        USER_READ.services[0],
        SERVICE_FIELDS,
    ),
    "pin": (Pin.from_json, PIN, PIN_READ, PIN_FIELDS),
    "connection": (
        Connection.from_json,
        CONNECTION,
        CONNECTION_READ,
        CONNECTION_FIELDS,
    ),
    "resource": (Resource.from_json, RESOURCE, RESOURCE_READ, RESOURCE_FIELDS),
    "server": (read_server, SERVER, SERVER_READ, SERVER_FIELDS),
    "device": (read_device, DEVICE, DEVICE_READ, DEVICE_FIELDS),
}
FIELDS = [
    pytest.param(read, data, model, *about, id=f"{kind}-{about[0]}")
    for kind, (read, data, model, fields) in MODELS.items()
    for about in fields
]


@pytest.mark.parametrize("kind", MODELS)
def test_whole(kind: str) -> None:
    """What Plex tells is read in full."""
    read, data, expected, _ = MODELS[kind]
    assert read(data) == expected


@pytest.mark.parametrize(
    ("read", "data", "model", "plex", "ours", "empty", "wrong"), FIELDS
)
def test_field(
    read: Callable[[Json], object],
    data: dict[str, Json],
    model: Any,
    plex: str,
    ours: str | None,
    empty: object,
    wrong: list[Json],
) -> None:
    """A field that is missing, null or of another kind leaves the others alone."""
    expected = replace(model, **{ours: empty}) if ours else model
    rest = {name: value for name, value in data.items() if name != plex}
    assert read(rest) == expected
    for value in wrong:
        assert (value, read({**rest, plex: value})) == (value, expected)


REQUIRED = [
    (User.from_json, USER, "id", "user id", WRONG_NUMBERS),
    (User.from_json, USER, "uuid", "user uuid", WRONG_TEXTS),
    (Pin.from_json, PIN, "id", "pin id", WRONG_NUMBERS),
    (Pin.from_json, PIN, "code", "pin code", WRONG_TEXTS),
    (
        Resource.from_json,
        RESOURCE,
        "clientIdentifier",
        "server identifier",
        WRONG_TEXTS,
    ),
    (Resource.from_json, RESOURCE, "owned", "owner of a server", WRONG_FLAGS),
    (read_server, SERVER, "machineIdentifier", "machine identifier", WRONG_TEXTS),
    (read_token, {"token": "secret"}, "token", "transient token", WRONG_SECRETS),
]


@pytest.mark.parametrize(("read", "data", "name", "what", "wrong"), REQUIRED)
def test_required_field(
    read: Callable[[Json], object],
    data: dict[str, Json],
    name: str,
    what: str,
    wrong: list[Json],
) -> None:
    """Without what tells things apart an answer is worth nothing."""
    assert read(data)
    rest = {key: value for key, value in data.items() if key != name}
    for broken in [rest, *({**rest, name: value} for value in wrong)]:
        with pytest.raises(PlexResponseError) as caught:
            read(broken)
        assert str(caught.value) == f"No {what} in the answer"


LONG = "x" * 10_000


def longest(value: Any) -> list[int]:
    """Return how long the texts of a model are."""
    return [
        len(text)
        for name in value.__dataclass_fields__
        if isinstance(text := getattr(value, name), str)
    ]


def test_long_texts() -> None:
    """A text is as long as it can be shown, whatever somebody else has written."""

    def filled(data: dict[str, Json], *names: str) -> dict[str, Json]:
        return {**data, **dict.fromkeys(names, LONG)}

    user = filled(USER, *("username", "title", "email", "friendlyName", "thumb"))
    assert sorted(longest(User.from_json(user)))[-5:] == [255, 255, 255, 255, 2048]
    service = User.from_json({**USER, "services": [{"endpoint": LONG}]}).services[0]
    assert longest(service) == [2048]
    assert longest(Pin.from_json(filled(PIN, "code", "qr"))) == [64, 2048, 6]
    server = read_server(filled(SERVER, "version"))
    assert longest(server)[-1:] == [64]
    resource = filled(RESOURCE, "name", "product", "productVersion", "platform")
    assert longest(Resource.from_json(resource))[0] == 255
    assert Resource.from_json(resource).product_version == "x" * 64


def test_lists_in_xml() -> None:
    """XML has an element for each of a list."""
    lists: dict[str, Json] = {
        "entitlements": {"entitlement": [{"id": "all"}, {"id": "more"}]},
        "roles": {"role": {"id": "plexpass"}},
        "subscription": {"features": {"feature": {"id": "pass"}}},
        "services": {"service": {"identifier": "epg"}},
    }
    user = User.from_json({**USER, **lists})
    assert user.entitlements == ["all", "more"]
    assert user.roles == ["plexpass"]
    assert user.subscription.features == ["pass"]
    assert [service.identifier for service in user.services] == ["epg"]


@pytest.mark.parametrize(
    ("read", "tag"),
    [
        (User.from_json, "user"),
        (Pin.from_json, "pin"),
        (ServerIdentity.from_json, "MediaContainer"),
        (lambda body: TransientToken.from_json(body, EPOCH), "MediaContainer"),
        (SourceConnectionInformation.from_json, "MediaContainer"),
    ],
)
def test_no_object(read: Callable[[Json], object], tag: str) -> None:
    """What is no object is refused, wrapped or not."""
    bodies: list[Json] = [None, "", "x", 0, 1.5, True, [], [{}], [USER]]
    page: Json = {"html": {"head": [{}]}}
    for body in [*bodies, *({tag: body} for body in bodies), page]:
        with pytest.raises(PlexResponseError):
            read(body)


@pytest.mark.parametrize(
    ("read", "tag", "data", "expected"),
    [(User.from_json, "user", USER, USER_READ), (Pin.from_json, "pin", PIN, PIN_READ)],
)
def test_wrapped(
    read: Callable[[Json], object], tag: str, data: Json, expected: object
) -> None:
    """In XML the answers of plex.tv have a name."""
    assert read({tag: data}) == expected


@pytest.mark.parametrize("kind", MODELS)
def test_nothing_secret_is_shown(kind: str) -> None:
    """A model may be logged, and can't be changed."""
    read, data, _, _ = MODELS[kind]
    model = read(data)
    assert "secret" not in f"{model} {model!r}"
    with pytest.raises(FrozenInstanceError):
        model.name = "x"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"claimed": False, "myPlex": True}, False),
        ({"claimed": True, "myPlex": False}, True),
        ({"myPlex": True}, True),
        ({"myPlex": "0"}, False),
        ({}, None),
    ],
)
def test_claimed(said: dict[str, Json], expected: bool | None) -> None:
    """Whether a server belongs to an account has another name at its root."""
    rest = {name: value for name, value in SERVER.items() if name != "claimed"}
    assert read_server({**rest, **said}).claimed is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (-1, -1),
        (2**63, 2**63),
        ("0", 0),
        ("007", 7),
        ("9" * 19, 9_999_999_999_999_999_999),
    ],
)
def test_number(value: Json, expected: int) -> None:
    """A number may be written as text."""
    assert User.from_json({**USER, "homeSize": value}).home_size == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (1, True),
        ("1", True),
        ("true", True),
        (False, False),
        (0, False),
        ("0", False),
        ("false", False),
    ],
)
def test_flag(value: Json, expected: bool) -> None:
    """A yes or no may be written in many ways."""
    assert User.from_json({**USER, "home": value}).home is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1552593531, datetime(2019, 3, 14, 19, 58, 51, tzinfo=UTC)),
        ("1552593531", datetime(2019, 3, 14, 19, 58, 51, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2019-03-16T15:20:12Z", datetime(2019, 3, 16, 15, 20, 12, tzinfo=UTC)),
        ("2019-03-16T15:20:12+02:00", datetime(2019, 3, 16, 13, 20, 12, tzinfo=UTC)),
        ("2019-03-16 15:20:12 UTC", datetime(2019, 3, 16, 15, 20, 12, tzinfo=UTC)),
        ("2019-03-16 15:20:12", datetime(2019, 3, 16, 15, 20, 12, tzinfo=UTC)),
        ("2019-03-16", datetime(2019, 3, 16, tzinfo=UTC)),
    ],
)
def test_time(value: Json, expected: datetime) -> None:
    """A time may be written in many ways."""
    read = User.from_json({**USER, "joinedAt": value}).joined_at
    assert read == expected
    assert read is not None
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", 1, None, {"id": "b"}], ["a"]),
        ([{"id": "a"}, {"id": ""}, {"name": "b"}, {"id": "c"}], ["a", "c"]),
        ([{"role": [{"id": "a"}, {"id": "b"}]}], ["a", "b"]),
        ({"role": {"id": "a"}}, ["a"]),
        ("a, b,", ["a", "b"]),
        ([{"role": [{}]}], []),
        ([{}], []),
    ],
)
def test_texts(value: Json, expected: list[str]) -> None:
    """A list may be written in many ways."""
    assert User.from_json({**USER, "roles": value}).roles == expected


def test_written_again() -> None:
    """What is stored is read again as it was, but for the user's own token."""
    user = User.from_json(USER)
    stored: Json = orjson.loads(orjson.dumps(user.to_json()))
    assert User.from_json(stored) == replace(user, auth_token=None)
    assert all(value is not None for value in user.to_json().values())
    nobody = User.from_json({"id": 1, "uuid": "0123"})
    assert User.from_json(nobody.to_json()) == nobody
    resource = Resource.from_json(RESOURCE)
    assert Resource.from_json(orjson.loads(orjson.dumps(resource.to_json()))) == (
        RESOURCE_READ
    )
