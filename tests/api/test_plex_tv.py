"""What plex.tv is asked for, and what is made of its answers."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from aiohttp import ClientSession, TCPConnector
import orjson
import pytest

from custom_components.plex_account.api import (
    PLEX_TV_URL,
    ClientIdentity,
    Connection,
    Picture,
    Pin,
    PlexAuthenticationError,
    PlexConnectionError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexNotFoundError,
    PlexRateLimitError,
    PlexResponseError,
    PlexServerError,
    PlexThrottledError,
    PlexTvClient,
    PlexTwoFactorRequiredError,
    Resource,
    ServerList,
    Subscription,
    User,
)
from tests.const import CLIENT_IDENTIFIER, PASSWORD, VERIFICATION_CODE
from tests.plex_emulator import (
    Account,
    Answer,
    CertificateAuthority,
    Connection as ListedConnection,
    Ending,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    clock,
    error,
    redirect,
)
from tests.plex_emulator.accounts import AccountToken, user_data
from tests.plex_emulator.faults import Fault
from tests.plex_emulator.replies import json_answer

from . import both_formats

NOW = 1_790_000_000
NAME = '<b>Ada & "Co"</b> \' 🎬 \\n'

NO_SERVERS = ServerList(servers=(), duplicates=0, unreadable=0)


@pytest.fixture(autouse=True)
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass at Plex."""
    monkeypatch.setattr(clock, "now", lambda: float(NOW))


def known(token: AccountToken) -> User:
    """Return what plex.tv tells of who has a token, read of JSON."""
    return User.from_json(orjson.loads(json_answer(user_data(token)).body))


@pytest.fixture
def ada(ada: Account) -> Account:
    """Give Ada a name that has to be escaped."""
    ada.user.title = ada.user.friendly_name = NAME
    return ada


# Signing in


@both_formats
@pytest.mark.parametrize("login", ["ada", "ada@plex-user.example"])
async def test_sign_in(
    visitor: PlexTvClient, plex: PlexEmulator, ada: Account, login: str
) -> None:
    """A sign-in returns the user, and the client goes on with the token."""
    user = await visitor.sign_in(login, PASSWORD)
    (token,) = plex.tv.tokens_of(ada)
    assert user == known(token)
    assert visitor.token == token.text
    (received,) = plex.requests
    assert (received.method, received.path) == ("POST", "/api/v2/users/signin")
    assert dict(received.query) == {}
    assert dict(received.form) == {
        "login": login,
        "password": PASSWORD,
        "rememberMe": "true",
    }
    assert received.token == ""
    assert received.client_identifier == CLIENT_IDENTIFIER
    await visitor.get_user()
    assert plex.requests[1].token == token.text


@both_formats
async def test_sign_in_with_code(
    visitor: PlexTvClient, plex: PlexEmulator, ada: Account
) -> None:
    """A missing code is told from a wrong one."""
    ada.verification_code = VERIFICATION_CODE
    with pytest.raises(PlexAuthenticationError) as caught:
        await visitor.sign_in("ada", PASSWORD)
    assert caught.type is PlexTwoFactorRequiredError
    assert (caught.value.status, caught.value.code) == (401, 1029)
    assert "verificationCode" not in plex.requests[-1].form

    with pytest.raises(PlexAuthenticationError) as caught:
        await visitor.sign_in("ada", PASSWORD, verification_code="000000")
    assert caught.type is PlexInvalidTwoFactorCodeError
    assert (caught.value.status, caught.value.code) == (401, 1028)
    assert visitor.token is None

    user = await visitor.sign_in("ada", PASSWORD, verification_code=VERIFICATION_CODE)
    assert plex.requests[-1].form["verificationCode"] == VERIFICATION_CODE
    assert user.two_factor_enabled is True
    assert visitor.token == user.auth_token


@both_formats
async def test_wrong_password(
    visitor: PlexTvClient, plex: PlexEmulator, ada: Account
) -> None:
    """A wrong password is told from a throttled address."""
    plex.tv.failures_allowed = 2
    for login in ("ada", "nobody"):
        with pytest.raises(PlexAuthenticationError) as caught:
            await visitor.sign_in(login, "wrong")
        assert caught.type is PlexAuthenticationError
        assert (caught.value.status, caught.value.code) == (401, 1001)
    with pytest.raises(PlexAuthenticationError) as caught:
        await visitor.sign_in("ada", PASSWORD)
    assert caught.type is PlexThrottledError
    assert (caught.value.status, caught.value.code) == (401, 1031)
    assert visitor.token is None
    assert len(plex.requests) == 3


async def test_odd_password(
    visitor: PlexTvClient, plex: PlexEmulator, ada: Account
) -> None:
    """A password arrives as it was entered."""
    password = ' ä&b=c+d%20"\n🎬 '
    plex.change_password(ada, password)
    await visitor.sign_in("ada", password)
    assert visitor.token


@both_formats
async def test_sign_in_without_token(visitor: PlexTvClient, ada: Account) -> None:
    """A sign-in that leads to no token has failed."""
    ada.left_out.add("authToken")
    with pytest.raises(PlexResponseError):
        await visitor.sign_in("ada", PASSWORD)
    assert visitor.token is None


CHANGES: dict[str, Callable[[PlexTvClient], Awaitable[object]]] = {
    "sign_in": lambda client: client.sign_in("ada", PASSWORD),
    "create_pin": lambda client: client.create_pin(),
    "sign_out": lambda client: client.sign_out(),
}
QUESTIONS: dict[str, Callable[[PlexTvClient], Awaitable[object]]] = {
    "get_pin": lambda client: client.get_pin(1),
    "get_user": lambda client: client.get_user(),
    "get_servers": lambda client: client.get_servers(),
    "ping": lambda client: client.ping(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Vanish(), PlexConnectionError),
        (Vanish(Ending.CLOSE), PlexConnectionError),
        (Vanish(handled=True), PlexConnectionError),
        (error(429, code=1003), PlexRateLimitError),
        (error(502, kind="html"), PlexServerError),
        (error(503, kind="html", headers={"Retry-After": "1"}), PlexServerError),
        (error(504, kind="html"), PlexServerError),
    ],
    ids=repr,
)
async def test_changes_are_asked_for_once(
    tv: PlexTvClient,
    plex: PlexEmulator,
    change: Callable[[PlexTvClient], Awaitable[object]],
    fault: Fault,
    expected: type[PlexError],
) -> None:
    """Repeated sign-ins make Plex throttle us, so the user decides."""
    token = tv.token
    plex.faults.add(fault)
    with pytest.raises(PlexError) as caught:
        await change(tv)
    assert caught.type is expected
    assert len(plex.requests) == 1
    assert tv.token == token


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_questions_are_asked_again(
    tv: PlexTvClient,
    plex: PlexEmulator,
    question: Callable[[PlexTvClient], Awaitable[object]],
) -> None:
    """What changes nothing is tried three times."""
    plex.faults.add(error(503))
    with pytest.raises(PlexServerError):
        await question(tv)
    assert len(plex.requests) == 3


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"1", b"{}", b"<html/>", b'{"error":"?"}']
)
async def test_wrong_shape(tv: PlexTvClient, plex: PlexEmulator, body: bytes) -> None:
    """What is JSON or XML but not what was asked for is refused."""
    token = tv.token
    plex.faults.add(Reply(Answer(200, body)))
    for name, ask in (CHANGES | QUESTIONS).items():
        if name == "sign_out" or (name, body) == ("get_servers", b"[]"):
            continue
        with pytest.raises(PlexResponseError):
            await ask(tv)
        assert (name, tv.token) == (name, token)


async def test_dead_token(tv: PlexTvClient, plex: PlexEmulator, ada: Account) -> None:
    """A token that was revoked is an authentication error everywhere."""
    plex.sign_out_everywhere(ada)
    for name in ("get_user", "get_servers", "ping"):
        with pytest.raises(PlexAuthenticationError) as caught:
            await QUESTIONS[name](tv)
        assert caught.type is PlexAuthenticationError
        assert (caught.value.status, caught.value.code) == (401, 1001)
    with pytest.raises(PlexAuthenticationError):
        await tv.sign_out()
    assert len(plex.requests) == 4


# The user


@both_formats
async def test_get_user(tv: PlexTvClient, plex: PlexEmulator) -> None:
    """The account is known in full."""
    (token,) = plex.tv.tokens
    assert await tv.get_user() == known(token)
    (received,) = plex.requests
    assert (received.method, received.path) == ("GET", "/api/v2/user")
    assert dict(received.query) == {}
    assert received.headers["X-Plex-Token"] == tv.token


@both_formats
async def test_get_user_without_plex_pass(tv: PlexTvClient, ada: Account) -> None:
    """Nothing is something else than unknown."""
    ada.unsubscribe()
    ada.user.services.clear()
    user = await tv.get_user()
    assert user.subscription == Subscription(
        active=False,
        status="Inactive",
        plan=None,
        features=["adaptive_bitrate", "home", "two-factor-authentication"],
        subscribed_at=None,
        payment_service=None,
    )
    assert user.subscription_description is None
    assert user.entitlements == []
    assert user.roles == []
    assert user.services == []


@both_formats
async def test_nothing_secret_is_shown(
    tv: PlexTvClient, plex: PlexEmulator, attic: MediaServer
) -> None:
    """Whatever is returned may be logged."""
    pin = await tv.create_pin()
    plex.claim_pin(pin.code, plex.account("ada"))
    claimed = await tv.get_pin(pin.id)
    tv.token = claimed.auth_token
    shown = [
        await tv.sign_in("ada", PASSWORD),
        await tv.get_user(),
        await tv.get_servers(),
        claimed,
        tv,
    ]
    for secret in plex.secrets:
        assert secret not in repr(shown)
        assert all(secret not in str(item) for item in shown)
        assert all(secret not in str(received.query) for received in plex.requests)
        assert all(secret not in received.path for received in plex.requests)


# Link codes


@both_formats
async def test_pin(visitor: PlexTvClient, plex: PlexEmulator, ada: Account) -> None:
    """A code has a token once it was used."""
    pin = await visitor.create_pin()
    code = plex.tv.pins[0].code
    assert pin == Pin(
        id=plex.tv.pins[0].id,
        code=code,
        qr=f"{plex.url}/api/v2/pins/qr/{code}",
        expires_in=900,
        auth_token=None,
    )
    assert len(code) == 4
    assert await visitor.get_pin(pin.id) == pin
    plex.claim_pin(code, ada)
    (token,) = plex.tv.tokens_of(ada)
    assert await visitor.get_pin(pin.id) == replace(pin, auth_token=token.text)
    assert token.client_identifier == CLIENT_IDENTIFIER
    assert visitor.token is None
    path = f"/api/v2/pins/{pin.id}"
    assert [
        (received.method, received.path, dict(received.query), received.body)
        for received in plex.requests
    ] == [
        ("POST", "/api/v2/pins", {}, b""),
        ("GET", path, {}, b""),
        ("GET", path, {}, b""),
    ]


@both_formats
async def test_expired_pin(visitor: PlexTvClient, plex: PlexEmulator) -> None:
    """A code that has expired is not found."""
    pin = await visitor.create_pin()
    plex.tv.expire_pins()
    with pytest.raises(PlexNotFoundError) as caught:
        await visitor.get_pin(pin.id)
    assert (caught.value.status, caught.value.code) == (404, 1020)
    plex.tv.expired_pins_found = True
    assert await visitor.get_pin(pin.id) == replace(pin, expires_in=0)


async def test_pin_of_another_client(
    session: ClientSession,
    identity: ClientIdentity,
    visitor: PlexTvClient,
    plex: PlexEmulator,
    ada: Account,
) -> None:
    """Only who made a code gets its token."""
    pin = await visitor.create_pin()
    plex.claim_pin(pin.code, ada)
    other = replace(identity, client_identifier="other")
    client = PlexTvClient(session, other, server_url=plex.url)
    assert (await client.get_pin(pin.id)).auth_token is None


async def test_pin_asked_for_too_often(
    visitor: PlexTvClient, plex: PlexEmulator
) -> None:
    """Plex's limit is told as such, not tried again."""
    plex.tv.poll_interval = 1
    pin = await visitor.create_pin()
    await visitor.get_pin(pin.id)
    with pytest.raises(PlexRateLimitError) as caught:
        await visitor.get_pin(pin.id)
    assert (caught.value.status, caught.value.code) == (429, 1003)
    assert caught.value.retry_after is None
    assert len(plex.requests) == 3


# Servers


@both_formats
async def test_get_servers(
    tv: PlexTvClient, plex: PlexEmulator, attic: MediaServer, ada: Account
) -> None:
    """A server is known with all its addresses."""
    attic.name = NAME
    label = "2001-db8--1.0123456789abcdef0123456789abcdef.plex.direct"
    listed = [
        (attic.url, "127.0.0.1", True, False),
        ("https://plex.example.invalid:443", "plex.example.invalid", False, False),
        (f"https://{label}:32400", "2001:db8::1", False, False),
        ("https://relay.plex.direct:8443", "198.51.100.5", False, True),
    ]
    attic.listing.connections = [
        ListedConnection(uri, address, local, relay, ":" in address)
        for uri, address, local, relay in listed
    ]
    ports = (attic.listeners[0].port, 443, 32400, 8443)
    (server,) = (await tv.get_servers()).servers
    assert server == Resource(
        name=NAME,
        client_identifier=attic.machine_identifier,
        access_token=attic.access_token(ada),
        owned=True,
        home=False,
        presence=True,
        relay=True,
        https_required=False,
        public_address_matches=True,
        product="Plex Media Server",
        product_version="1.43.4.10903-e5521bd8c",
        platform="Linux",
        source_title=None,
        connections=tuple(
            Connection(
                uri=uri,
                protocol="https",
                address=address,
                port=port,
                local=local,
                relay=relay,
                ipv6=":" in address,
            )
            for (uri, address, local, relay), port in zip(listed, ports, strict=True)
        ),
    )
    (received,) = plex.requests
    assert (received.method, received.path) == ("GET", "/api/v2/resources")
    assert dict(received.query) == {
        "includeHttps": "1",
        "includeRelay": "1",
        "includeIPv6": "1",
    }


@both_formats
async def test_shared_and_stale_servers(
    tv: PlexTvClient, plex: PlexEmulator, ada: Account
) -> None:
    """A server of someone else says so, and a lost one has gaps."""
    grace = plex.add_account("grace", password=None)
    library = await plex.add_server("Library", owner=grace)
    plex.share(library, ada, home=True, public_address_matches=True)
    await plex.add_server("Old laptop", owner=ada, stale=True)
    library.listing.https_required = True
    library.listing.connections = []
    listed = await tv.get_servers()
    old, shared = sorted(listed.servers, key=lambda server: server.name, reverse=True)
    assert (shared.owned, shared.home, shared.source_title) == (False, True, "grace")
    assert (shared.https_required, shared.public_address_matches) == (True, True)
    assert shared.access_token == library.access_token(ada)
    assert shared.connections == ()
    assert (old.owned, old.presence) == (True, False)
    assert old.platform is None


@both_formats
async def test_players(tv: PlexTvClient, plex: PlexEmulator, ada: Account) -> None:
    """Only what is a server among other things is listed."""
    assert await tv.get_servers() == NO_SERVERS
    plex.add_player("TV", owner=ada)
    assert await tv.get_servers() == NO_SERVERS
    for provides in ("serverless,player", "player,client", "", "Server"):
        plex.add_player(provides, owner=ada).listing.provides = provides
    plex.add_player("None", owner=ada).listing.left_out.add("provides")
    plex.add_player("Both", owner=ada).listing.provides = "player,server"
    listed = await tv.get_servers()
    assert [server.name for server in listed.servers] == ["Both"]


@both_formats
async def test_left_out(
    tv: PlexTvClient, plex: PlexEmulator, ada: Account, attic: MediaServer
) -> None:
    """Without what tells a server from others, and whose it is, it can't be listed."""
    cellar = await plex.add_server("Cellar", owner=ada)
    for name in ("clientIdentifier", "owned"):
        cellar.listing.left_out = {name}
        listed = await tv.get_servers()
        assert [server.name for server in listed.servers] == ["Attic"]
        assert listed.unreadable == 1
    cellar.listing.left_out = {"name", "accessToken", "connections"}
    _, server = (await tv.get_servers()).servers
    assert server.name == cellar.machine_identifier
    assert server.access_token is None
    assert server.connections == ()


@both_formats
async def test_same_identifier(
    tv: PlexTvClient, plex: PlexEmulator, ada: Account, attic: MediaServer
) -> None:
    """Of two servers of one identifier an own one counts, then one that is online."""
    grace = plex.add_account("grace", password=None)
    attic.listing.presence = False
    for owner, believed in ((grace, "Attic"), (ada, "Cellar")):
        cellar = await plex.add_server("Cellar", owner=owner)
        if owner is grace:
            plex.share(cellar, ada)
        cellar.listing.client_identifier = attic.machine_identifier
        listed = await tv.get_servers()
        assert [server.name for server in listed.servers] == [believed]
    assert listed.duplicates == 2


@pytest.mark.parametrize(
    "body",
    [
        b'{"resources": null}',
        b'{"resources": "none"}',
        b'{"resources": []}',
        b'{"Resources": []}',
    ],
)
async def test_no_list_of_servers(
    tv: PlexTvClient, plex: PlexEmulator, body: bytes
) -> None:
    """What is no list is not taken for an empty one, which would remove servers."""
    plex.faults.add(Reply(Answer(200, body)))
    with pytest.raises(PlexResponseError):
        await tv.get_servers()


@pytest.mark.parametrize(
    "item",
    [
        b"1",
        b"null",
        b'"x"',
        b"[]",
        b'{"provides": ["server"], "clientIdentifier": "a", "owned": true}',
        b'{"provides": null, "clientIdentifier": "a", "owned": true}',
        b'{"provides": "server", "clientIdentifier": "", "owned": true}',
        b'{"provides": "server", "clientIdentifier": 1, "owned": true}',
        b'{"provides": "server", "clientIdentifier": "a", "owned": null}',
    ],
)
async def test_unreadable_resource(
    tv: PlexTvClient, plex: PlexEmulator, attic: MediaServer, item: bytes
) -> None:
    """What may be a server is told, and takes no other along."""
    plex.faults.add(Reply(Answer(200, b"[%b]" % item)))
    with pytest.raises(PlexResponseError):
        await tv.get_servers()
    other = b'{"provides": "server", "clientIdentifier": "b", "owned": true}'
    plex.faults.add(Reply(Answer(200, b"[%b, %b]" % (item, other))))
    listed = await tv.get_servers()
    assert [server.client_identifier for server in listed.servers] == ["b"]
    assert listed.unreadable == 1


# The life of a token


@both_formats
async def test_ping(tv: PlexTvClient, plex: PlexEmulator, ada: Account) -> None:
    """A ping extends the token's life."""
    (token,) = plex.tv.tokens_of(ada)
    token.remember_expires_at = 0
    await tv.ping()
    assert token.remember_expires_at == NOW + 14 * 86_400
    (received,) = plex.requests
    assert (received.method, received.path) == ("GET", "/api/v2/ping")
    assert received.token == token.text


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_sign_out(
    tv: PlexTvClient, plex: PlexEmulator, ada: Account, status: int
) -> None:
    """A sign-out gives the token back, at Plex and here."""
    plex.tv.sign_out_status = status
    token = tv.token
    await tv.sign_out()
    assert plex.tv.tokens_of(ada) == []
    assert tv.token is None
    (received,) = plex.requests
    assert (received.method, received.path) == ("DELETE", "/api/v2/users/signout")
    assert received.token == token


# Pictures


async def test_avatar(tv: PlexTvClient, plex: PlexEmulator, ada: Account) -> None:
    """A picture is what plex.tv shows to everyone."""
    picture = await tv.get_picture(ada.user.thumb)
    assert picture == Picture(content=ada.avatar, content_type="image/png")
    assert repr(picture) == "Picture(content_type='image/png')"
    (received,) = plex.requests
    assert received.method == "GET"
    assert received.path == f"/users/{ada.user.uuid}/avatar"
    assert dict(received.query) == {"c": "1724402119"}
    assert received.token == ""


async def test_avatar_at_gravatar(
    tv: PlexTvClient,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
) -> None:
    """Who has chosen no picture has one elsewhere, where nobody learns who asks."""
    host = "secure.gravatar.com"
    resolver.patterns.append(host)
    listener = attic.add_listener(ssl_context=authority.server_context(host))
    await listener.start()
    plex.faults.add(redirect(f"https://{host}:{listener.port}/avatar/1?d=mp"))
    plex.faults.add(Reply(Answer(200, b"picture", "image/png")), host="Attic")
    picture = await tv.get_picture(ada.user.thumb)
    assert picture == Picture(content=b"picture", content_type="image/png")
    _, asked = plex.requests
    assert (asked.path, dict(asked.query)) == ("/avatar/1", {"d": "mp"})
    assert not [name for name in asked.headers if name.startswith("X-Plex-")]


async def test_avatar_nowhere(
    tv: PlexTvClient, plex: PlexEmulator, ada: Account
) -> None:
    """Redirects that never end are left."""
    plex.faults.add(redirect(ada.user.thumb))
    with pytest.raises(PlexResponseError, match="is none"):
        await tv.get_picture(ada.user.thumb)
    assert len(plex.requests) == 4


@pytest.mark.parametrize(
    "url",
    [
        "",
        "avatar",
        "/users/a1b2/avatar",
        "https://",
        "https://[::1",
        "https://xn--/avatar",
        "data:image/png;base64,AAAA",
        "file:///etc/hosts",
        "http://plex.tv/avatar",
        "https://plex.tv.example/avatar",
        "https://notplex.tv/avatar",
        "https://plex.tv@example.com/avatar",
        "//plex.tv/avatar",
        "ftp://plex.tv/avatar",
        "{attic}/avatar",
        "{plex}@{attic}/avatar",
    ],
)
async def test_avatar_elsewhere(
    tv: PlexTvClient, plex: PlexEmulator, attic: MediaServer, url: str
) -> None:
    """No other host is asked, whatever an answer says."""
    with pytest.raises(PlexResponseError):
        await tv.get_picture(url.format(attic=attic.url, plex=plex.url))
    assert plex.requests == []


@pytest.mark.parametrize("host", ["plex.tv", "images.plex.tv", "Plex.TV:8443"])
async def test_avatar_at_plex_tv(tv: PlexTvClient, host: str) -> None:
    """Plex has more hosts than one."""
    with pytest.raises(PlexConnectionError):
        await tv.get_picture(f"https://{host}/avatar")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Reply(Answer(200, b"<html/>", "text/html")), PlexResponseError),
        (Reply(Answer(200, b"{}", "application/json")), PlexResponseError),
        (Reply(Answer(200, b"GIF89a")), PlexResponseError),
        (Reply(Answer(200, b"", "image/png")), PlexResponseError),
        (redirect("https://example.com/avatar.png"), PlexResponseError),
        (redirect("http://secure.gravatar.com/avatar.png"), PlexResponseError),
        (Reply(Answer(302)), PlexResponseError),
        (
            Reply(Answer(400, headers={"Location": "https://plex.tv/avatar"})),
            PlexResponseError,
        ),
        (error(404, kind="html"), PlexNotFoundError),
        (error(503, kind="html"), PlexServerError),
        (Vanish(), PlexConnectionError),
    ],
    ids=repr,
)
async def test_no_avatar(
    tv: PlexTvClient,
    plex: PlexEmulator,
    ada: Account,
    fault: Fault,
    expected: type[PlexError],
) -> None:
    """What is no picture is not shown as one."""
    plex.faults.add(fault)
    with pytest.raises(PlexError) as caught:
        await tv.get_picture(ada.user.thumb)
    assert caught.type is expected
    assert len(plex.requests) == 1


# Where plex.tv is


async def test_default_address(identity: ClientIdentity) -> None:
    """Unless told otherwise, the client asks plex.tv itself."""
    assert PLEX_TV_URL == "https://plex.tv"
    resolver = LoopbackResolver()
    connector = TCPConnector(resolver=resolver)
    async with ClientSession(connector=connector) as session:
        with pytest.raises(PlexConnectionError):
            await PlexTvClient(session, identity).create_pin()
    assert resolver.asked == [("plex.tv", 443)]


@pytest.mark.parametrize("end", ["", "/"])
async def test_address(
    session: ClientSession, identity: ClientIdentity, plex: PlexEmulator, end: str
) -> None:
    """An address may end in a slash."""
    await PlexTvClient(session, identity, server_url=plex.url + end).create_pin()
    assert plex.requests[0].path == "/api/v2/pins"


async def test_auth_url(visitor: PlexTvClient, plex: PlexEmulator) -> None:
    """A user signs in on the page of Plex, or of what stands in for it."""
    pin = await visitor.create_pin(strong=True)
    assert len(pin.code) == 25
    assert plex.requests[0].query == {"strong": "true"}
    assert visitor.auth_url(pin, "https://home.example/back?a=b").startswith(
        f"{plex.url}/auth#?clientID="
    )
    usual = PlexTvClient(
        visitor._session._session, visitor._identity, server_url="https://plex.tv"
    )
    url = usual.auth_url(pin, "https://home.example/back?a=b")
    assert url.startswith("https://app.plex.tv/auth#?clientID=")
    assert url.endswith("forwardUrl=https://home.example/back?a%3Db")
