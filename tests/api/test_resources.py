"""How servers and their connections are read."""

import pytest

from custom_components.plex_account.api import Connection, Resource, ServerList
from custom_components.plex_account.api.reading import MAX_SECRET, Json

from .test_models import CONNECTION, CONNECTION_READ, RESOURCE


@pytest.mark.parametrize(
    "uri",
    [
        None,
        "",
        5,
        [],
        "plex.example.com:32400",
        "//plex.example.com:32400",
        "/identity",
        "https://",
        "https://:32400",
        "https:///identity",
        "ftp://plex.example.com:32400",
        "file:///etc/passwd",
        "ws://plex.example.com:32400",
        "https://plex.example.com:0",
        "https://plex.example.com:99999",
        "https://plex.example.com:-1",
        "https://plex.example.com:port",
        "https://[::1:32400",
        "https://[::1]]:32400",
        "https://\u00ad:32400",
        "https://xn--:32400",
        "https://ada:secret@plex.example.com:32400",
        "https://plex.example.com:32400/?to=elsewhere",
        "https://plex.example.com:32400/#elsewhere",
        "https://plex.example.com:32400/cgi-bin/reboot.cgi",
        "https://][@",
        "https://[::1%25eth0]:32400",
        "https://plex%2Eexample.com:32400",
        "https://plex.example.com:32400\n",
        "https://plex.example.com\\@elsewhere:32400",
        "https://" + "a" * 2048,
    ],
)
def test_bad_uri(uri: Json) -> None:
    """A connection that nobody can use is dropped, the others stay."""
    bad = {**CONNECTION, "uri": uri}
    assert Connection.from_json(bad) is None
    assert Connection.from_json({k: v for k, v in bad.items() if k != "uri"}) is None
    resource = Resource.from_json({**RESOURCE, "connections": [bad, CONNECTION, bad]})
    assert resource.connections == (CONNECTION_READ,)


@pytest.mark.parametrize(
    ("uri", "protocol", "host", "port", "ipv6"),
    [
        ("http://192.168.1.2:32400", "http", "192.168.1.2", 32400, False),
        ("https://NX", "https", "nx", 443, False),
        (f"https://{'n' * 300}", "https", "n" * 300, 443, False),
        ("HTTPS://Plex.Example.COM:8443/", "https", "plex.example.com", 8443, False),
        ("https://plex.example.com", "https", "plex.example.com", 443, False),
        ("http://plex.example.com", "http", "plex.example.com", 80, False),
        ("http://[2001:DB8::1]:32400", "http", "2001:db8::1", 32400, True),
        ("https://plex.exämple.com:1", "https", "plex.exämple.com", 1, False),
    ],
)
def test_uri(uri: str, protocol: str, host: str, port: int, ipv6: bool) -> None:
    """A URI is kept as it is, and says what else is not told."""
    assert Connection.from_json({"uri": uri}) == Connection(
        uri=uri.rstrip("/"),
        protocol=protocol,
        address=host,
        port=port,
        local=False,
        relay=False,
        ipv6=ipv6,
    )


@pytest.mark.parametrize(
    ("address", "flag", "expected"),
    [
        ("10.0.0.1", None, False),
        ("10.0.0.1", True, True),
        ("2001:db8::1", None, True),
        ("2001:db8::1", False, True),
        ("plex.example.com", False, False),
    ],
)
def test_ipv6(address: str, flag: bool | None, expected: bool) -> None:
    """An IPv6 address is known by what it looks like, too."""
    read = Connection.from_json({**CONNECTION, "address": address, "IPv6": flag})
    assert read is not None
    assert read.ipv6 is expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("plex.example.com", "plex.example.com"),
        ("2001:db8::1", "2001:db8::1"),
        ("fe80::1%eth0", "192-168-1-150.0123.plex.direct"),
        ("no address", "192-168-1-150.0123.plex.direct"),
        (None, "192-168-1-150.0123.plex.direct"),
    ],
)
def test_address(address: Json, expected: str) -> None:
    """What is neither an address nor a name is not where anybody is asked."""
    read = Connection.from_json({**CONNECTION, "address": address})
    assert read is not None
    assert read.address == expected


def test_most_connections() -> None:
    """Nobody has more than 32 addresses that are to be tried."""
    resource = Resource.from_json({**RESOURCE, "connections": [CONNECTION] * 40})
    assert resource.connections == (CONNECTION_READ,) * 32


@pytest.mark.parametrize("token", ["eyJhbGciOiJFZERTQSJ9.e30.c2ln", "secret"])
def test_token_that_servers_take(token: str) -> None:
    """A JWT is none of them."""
    resource = Resource.from_json({**RESOURCE, "accessToken": token})
    assert resource.access_token == (token if token == "secret" else None)


@pytest.mark.parametrize(
    ("size", "is_read"), [(1, True), (MAX_SECRET, True), (MAX_SECRET + 1, False)]
)
def test_size_of_a_token(size: int, is_read: bool) -> None:
    """What is longer than any token is none."""
    token = "s" * size
    resource = Resource.from_json({**RESOURCE, "accessToken": token})
    assert resource.access_token == (token if is_read else None)


def test_list() -> None:
    """What can't be read, and what stands there twice, is counted."""
    first = {**RESOURCE, "name": "First"}
    away = {**RESOURCE, "presence": False}
    body: list[Json] = [first, RESOURCE, away, None, {**RESOURCE, "owned": None}, {}]
    listed = ServerList.from_json(body)
    assert [server.name for server in listed.servers] == ["First"]
    assert (listed.duplicates, listed.unreadable) == (2, 2)
    (server,) = ServerList.from_json([away, first]).servers
    assert server.presence
