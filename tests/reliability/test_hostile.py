"""Tests of answers that are meant to harm, from servers, neighbours and networks."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import ClientSession
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from yarl import URL

from custom_components.plex_account import sources
from custom_components.plex_account.api import (
    ClientIdentity,
    PlexError,
    PlexServerClient,
    PlexTvClient,
    Resource,
    ServerList,
    SourceConnectionInformation,
    User,
    parse_url,
)
from custom_components.plex_account.api.reading import Json
from custom_components.plex_account.devices import async_get_device
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import (
    area_registry as ar,
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from tests import (
    Tick,
    issue_keys,
    names_of_devices,
    setup_integration,
    source_of,
    state_of,
)
from tests.const import ACCOUNT_POLL, SERVER_POLL
from tests.plex_emulator import (
    Account,
    Answer,
    CertificateAuthority,
    Connection,
    Ending,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
)
from tests.plex_emulator.emulator import LOOPBACK

from .cases import Tamper, reshaped, with_cookie
from .hostile_answers import HOSTILE, thread_server
from .places import key
from .soak import Leftovers
from .test_properties import USUAL
from .world import Call

CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
RESOURCES = "/api/v2/resources"


def add_to_list(plex: PlexEmulator, *items: dict[str, Any]) -> None:
    """Let plex.tv list more resources, each like the first but for some fields."""

    def change(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return data + [data[0] | item for item in items]

    plex.faults.add(reshaped(change), path=RESOURCES)


# Texts


texts = st.text() | st.sampled_from(
    (
        "https://][@",
        "https://[::1%25\n]:1",
        "fe80::1%\n",
        "%?q",
        "9" * 4400,
        "x" * 100_000,
        "a\r\nX-Plex-Token: b",
        "\u2028\u202e",
        "https://ada@127.0.0.1:32400/cgi-bin/reboot.cgi?x#y",
    )
)
FIELDS = (
    *("name", "clientIdentifier", "accessToken", "product", "productVersion"),
    *("platform", "platformVersion", "device", "sourceTitle", "provides"),
)
GOOD: dict[str, Json] = {
    "provides": "server",
    "clientIdentifier": "good",
    "owned": True,
    "connections": [{"uri": "https://127.0.0.1:32400", "address": "127.0.0.1"}],
}


def check_texts(value: object) -> None:
    """Check that whatever was read is short, and one line."""
    for text in texts_in(value):
        assert len(text) <= 2048
        assert len(text.splitlines()) <= 1
        assert not set(text) & set("\0\x1b\u202e")


def texts_in(value: Any) -> list[str]:
    """Return all texts of a model."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, tuple | list):
        return [text for item in value for text in texts_in(item)]
    names = getattr(value, "__dataclass_fields__", {})
    return [text for name in names for text in texts_in(getattr(value, name))]


@settings(USUAL, max_examples=10 * USUAL.max_examples)
@given(st.sampled_from((*FIELDS, "uri", "address")), texts, st.booleans())
def test_any_text_of_a_server(name: str, text: str, owned: bool) -> None:
    """Whatever others call themselves, it can be shown, and harms no other server."""
    address: dict[str, Json] = {"uri": "https://127.0.0.1:1", "local": True}
    if name in FIELDS:
        other = {**GOOD, "clientIdentifier": "other", "owned": owned, name: text}
    else:
        connections: list[Json] = [{**address, name: text}, address]
        other = {**GOOD, "clientIdentifier": "other", "connections": connections}
    orders: tuple[list[Json], ...] = ([other, GOOD], [GOOD, other])
    for items in orders:
        read = ServerList.from_json(items)
        servers = {server.client_identifier: server for server in read.servers}
        assert servers["good"] == Resource.from_json(GOOD)
        if name not in FIELDS:
            assert servers["other"].connections[-1].uri == "https://127.0.0.1:1"
        check_texts(read.servers)
        for server in read.servers:
            for connection in server.connections:
                assert parse_url(connection.uri)
                assert URL(connection.uri).with_host(connection.address)
    device: Json = {"accessToken": "token", "Connection": [{**address, name: text}]}
    check_texts(
        SourceConnectionInformation.from_json({"MediaContainer": {"Device": device}})
    )
    user = User.from_json({"id": 1, "uuid": "a", "title": text, "thumb": text})
    check_texts(user)
    parse_url(text)


async def test_odd_servers_of_others(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    call: Call,
    tick: Tick,
) -> None:
    """What others call their servers and addresses does not touch the account's own."""
    odd = {"uri": "https://][@", "address": "fe80::1%\n", "local": True}
    add_to_list(
        plex,
        {"clientIdentifier": "b" * 40, "owned": False, "connections": [odd]},
        {"clientIdentifier": "c" * 40, "owned": False, "productVersion": "9" * 4400},
        {"clientIdentifier": "../../etc", "owned": False},
        {"clientIdentifier": attic.machine_identifier, "owned": False, "name": "Evil"},
    )
    await setup_integration(hass, config_entry)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_ON
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    sources_listed = (await call("get_sources"))["sources"]
    assert [source["name"] for source in sources_listed] == ["Attic"] * 3
    assert config_entry.runtime_data.data.unusable == 2
    error_key = await key(
        call("get_source_connection_information", source=f"server://{'b' * 40}")
    )
    assert error_key == "server_unreachable"


async def test_server_that_calls_itself_like_the_account(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """Such a server is left out; it would be the account's own device."""
    add_to_list(plex, {"clientIdentifier": ada.user.uuid, "name": "Evil"})
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert state_of(hass, PLEX_PASS) == STATE_ON
    assert names_of_devices(hass, config_entry) == {"ada", "Attic"}


async def test_names_are_plain_text(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
    tick: Tick,
) -> None:
    """A name forges no line of a log, and in a repair it is no link and no picture."""
    attic.name = "Attic\n2026-01-01 ERROR forged ![x](https://evil.example/x.png)"
    attic.listing.product_version = "1.0.0"
    await setup_integration(hass, config_entry)
    await attic.stop()
    await tick(SERVER_POLL)
    assert "\n2026-01-01 ERROR forged" not in caplog.text
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders
    shown = issue.translation_placeholders["markdown_name"]
    assert shown.endswith(r"\!\[x\]\(https\:\/\/evil\.example\/x\.png\)")


# Sizes


# What is told of each as a list of servers; nothing of a list of what is none.
REFUSED = {
    "packed XML": "more than 8388608 bytes",
    "some packed XML": "Not a list",
    "XML": "neither JSON nor XML",
    "elements": "Not a list",
    "attributes": "neither JSON nor XML",
    "tags": "Not a list",
    "JSON": "neither JSON nor XML",
    "objects": "",
    "fields": "Not a list",
    "text": "Not a list",
    "interim": "ClientPayloadError",
    "chunks": "ClientPayloadError",
    "headers": "ClientResponseError",
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_answer_of_any_size(identity: ClientIdentity, kind: str) -> None:
    """Of an answer of any size no more is read and decoded than Plex may send."""
    broken = {"interim", "headers"}
    answer = HOSTILE[kind]
    if kind == "chunks":
        # What is too large or breaks off is so with a part of it.
        answer = replace(answer, data=answer.data[: 2**20])
    with thread_server(answer) as url:
        async with ClientSession() as session:
            server = PlexServerClient(session, identity, base_url=url, token=None)
            told = "Error" if kind in broken else "more than 8192 bytes"
            with pytest.raises(PlexError, match=told):
                await server.get_identity()
            tv = PlexTvClient(session, identity, server_url=url)
            if told := REFUSED[kind]:
                with pytest.raises(PlexError, match=told):
                    await tv.get_servers()
            else:
                assert not (await tv.get_servers()).servers


# Encryption


async def test_impostor_at_a_better_address(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    grace: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
    resolver: LoopbackResolver,
) -> None:
    """A neighbour who answers without encryption is no better, and gets no token."""
    impostor = await plex.add_server("Impostor", owner=grace, secure=False)
    impostor.listing.client_identifier = attic.machine_identifier
    plex.servers.remove(impostor)
    attic.listing.public_address_matches = False
    resolver.patterns.append("localhost")
    remote = attic.url.replace("127.0.0.1", "localhost")
    attic.listing.connections = [
        Connection.at(impostor.url),
        Connection.at(remote, local=False),
    ]
    # Long enough for others to be asked, too.
    attic.listeners[0].latency = 0.1
    await setup_integration(hass, config_entry)
    for matches in (False, True):
        attic.listing.public_address_matches = matches
        for _ in range(2):
            # Long enough to look for a better connection.
            await tick(ACCOUNT_POLL)
        assert state_of(hass, CONNECTIVITY) == STATE_ON
        assert state_of(hass, "sensor.attic_connection_type") == "remote"
    await impostor.close()
    assert {r.token for r in plex.requests.matching(host="Impostor")} == {""}


@pytest.mark.parametrize("restarts", [True, False])
async def test_secure_way_that_comes_later(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    tick: Tick,
    restarts: bool,
) -> None:
    """The permanent token does not go unencrypted once there is another way."""
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    resolver.patterns.append("localhost")
    context = authority.server_context(*LOOPBACK)
    remote = attic.add_listener(ssl_context=context)
    attic.listing.connections.append(
        Connection.at(f"https://localhost:{remote.port}", local=False)
    )
    await setup_integration(hass, config_entry)
    assert issue_keys(hass) == {"unencrypted"}
    await remote.start()
    plex.requests.clear()
    if restarts:
        await attic.restart()
    else:
        attic.forget_tokens()
    await hass.async_block_till_done(wait_background_tasks=True)
    await tick(SERVER_POLL)
    assert state_of(hass, "sensor.attic_connection_type") == "remote"
    (token,) = plex.requests.matching(path="/security/token")
    assert token.port == remote.port
    permanent = attic.access_token(ada)
    ports = {
        r.port for r in plex.requests.matching(host="Attic") if r.token == permanent
    }
    assert ports == {remote.port}
    assert issue_keys(hass) == set()


# What others get to know


async def test_no_cookies(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    resolver: LoopbackResolver,
    tick: Tick,
) -> None:
    """What a server wants us to remember is neither kept nor told to anybody."""
    plex.faults.add(Tamper(with_cookie))
    # No jar keeps the cookies of an address.
    resolver.patterns.append("localhost")
    by_name = plex.url.replace("127.0.0.1", "localhost")
    config_entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(
        config_entry, data={**config_entry.data, "server_url": by_name}
    )
    attic.listing.connections = [
        Connection.at(attic.url.replace("127.0.0.1", "localhost"))
    ]
    jar = async_get_clientsession(hass).cookie_jar
    jar.update_cookies({"ours": "1"}, URL(by_name))
    await hass.config_entries.async_setup(config_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await tick(ACCOUNT_POLL)
    assert len(plex.requests) > 6
    assert not any("Cookie" in request.headers for request in plex.requests)
    assert [cookie.key for cookie in jar] == ["ours"]


async def test_another_account(
    hass: HomeAssistant, plex: PlexEmulator, tick: Tick, loaded: MockConfigEntry
) -> None:
    """An answer about another account changes nothing but the error."""
    before = dict(loaded.data)
    stranger = {"uuid": "0123456789abcdef", "authToken": "tv-token-stolen"}
    rule = plex.faults.add(reshaped(lambda user: user | stranger), path="/api/v2/user")
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert loaded.data == before
    assert not hass.config_entries.flow.async_progress()
    plex.faults.remove(rule)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_ON


# How long others may keep us waiting


@pytest.mark.parametrize("number", [1, 5])
async def test_silent_servers(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    grace: Account,
    config_entry: MockConfigEntry,
    call: Call,
    resolver: LoopbackResolver,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    """However many servers are silent, they are asked side by side, and each once."""
    resolver.patterns.append("localhost")
    monkeypatch.setattr(sources, "SERVERS_TIMEOUT", 0.4)
    monkeypatch.setattr(sources, "HEAD_START", 0.05)
    for name in range(number - 1):
        await plex.add_server(f"Server {name}", owner=ada)
    library = await plex.add_server("Library", owner=grace)
    library.listing.connections = [
        Connection.at(library.url.replace("127.0.0.1", "localhost"), local=False)
    ]
    plex.share(library, ada)
    await setup_integration(hass, config_entry)
    plex.faults.add(Vanish(Ending.SILENCE), path="/security/resources")
    plex.requests.clear()
    watch = hass.loop.time()
    response = await call(
        "get_source_connection_information", source=source_of(library)
    )
    assert hass.loop.time() - watch < 2
    assert response["answered_by"]["type"] == "plex.tv"
    asked = Counter(r.host for r in plex.requests.matching(path="/security/resources"))
    assert len(asked) == number
    assert set(asked.values()) == {1}


@pytest.mark.parametrize("retry_after", ["86400", None])
async def test_told_to_stay_away(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    call: Call,
    tick: Tick,
    retry_after: str | None,
    loaded: MockConfigEntry,
) -> None:
    """One answer does not stop polling for a day, and a limit holds for all who ask."""
    headers = {"Retry-After": retry_after} if retry_after else {}
    rule = plex.faults.add(error(429, code=1003, headers=headers), host="plex.tv")
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    plex.requests.clear()
    for _ in range(5):
        assert await key(call("get_user_details", refresh=True)) == "rate_limited"
        await attic.stop()
        await key(call("get_transient_token", refresh=True))
        await attic.start()
        await key(call("get_transient_token", refresh=True))
    assert not plex.requests.matching(host="plex.tv")
    plex.faults.remove(rule)
    await tick(timedelta(minutes=1, seconds=1))
    assert await key(call("get_user_details", refresh=True)) is None
    assert state_of(hass, PLEX_PASS) == STATE_ON


async def test_action_may_always_try(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    call: Call,
    tick: Tick,
) -> None:
    """Where plex.tv is down for long, it is asked each hour, and when a user asks."""
    await setup_integration(hass, config_entry)
    fault = error(503, headers={"Retry-After": "86400"})
    rule = plex.faults.add(fault, host="plex.tv")
    await tick(ACCOUNT_POLL)
    assert await key(call("get_user_details", refresh=True)) == "cannot_connect"
    plex.faults.remove(rule)
    # The hour is up to a fifth shorter, so that not all homes ask at once.
    await tick(timedelta(minutes=47))
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    await tick(timedelta(minutes=14))
    assert state_of(hass, PLEX_PASS) == STATE_ON


# What has always been held


async def test_nothing_listed_for_once(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    loaded: MockConfigEntry,
) -> None:
    """A server that is gone for one answer comes back as what the user made of it."""
    devices, entities = dr.async_get(hass), er.async_get(hass)
    area = ar.async_get(hass).async_get_or_create("Roof")
    before = async_get_device(hass, loaded, attic.machine_identifier)
    assert before
    devices.async_update_device(before.id, area_id=area.id, name_by_user="My Plex")
    entities.async_update_entity(CONNECTIVITY, name="Up")
    empty = Reply(Answer(200, b"[]", "application/json"))
    plex.faults.add(empty, path=RESOURCES, times=1)
    await tick(ACCOUNT_POLL)
    assert not loaded.runtime_data.servers
    await tick(ACCOUNT_POLL)
    after = async_get_device(hass, loaded, attic.machine_identifier)
    assert after
    assert (after.id, after.area_id, after.name_by_user) == (
        before.id,
        area.id,
        "My Plex",
    )
    entity = entities.async_get(CONNECTIVITY)
    assert entity
    assert entity.name == "Up"
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_hanging_names(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    resolver: LoopbackResolver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names that nobody answers for, or oddly, do not keep the address that works."""
    resolve = resolver.resolve

    async def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "odd.example.com":
            raise LookupError
        if host.endswith("hanging.example.com"):
            await asyncio.get_running_loop().create_future()
        return await resolve(host, *args, **kwargs)

    monkeypatch.setattr(resolver, "resolve", hang)
    attic.listing.connections = [
        *(
            Connection.at(f"https://{number}.hanging.example.com:1")
            for number in range(20)
        ),
        Connection.at("https://odd.example.com:1"),
        Connection.at(attic.url),
    ]
    watch = hass.loop.time()
    await setup_integration(hass, config_entry)
    assert hass.loop.time() - watch < 2
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_60_reloads(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """An account that is loaded again and again leaves nothing behind."""
    before = await Leftovers.now()
    for _ in range(60):
        assert await hass.config_entries.async_reload(loaded.entry_id)
        assert loaded.state is ConfigEntryState.LOADED
    await hass.async_block_till_done(wait_background_tasks=True)
    after = await Leftovers.now()
    assert after.tasks <= before.tasks
    assert after.sockets <= before.sockets + 2
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_flapping(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
    loaded: MockConfigEntry,
) -> None:
    """A server that comes and goes is told of once each time, and costs little."""
    plex.requests.clear()
    for _ in range(10):
        await attic.stop()
        await tick(SERVER_POLL)
        await attic.start()
        await tick(SERVER_POLL)
    assert caplog.text.count("Error fetching Plex server Attic data") == 10
    assert caplog.text.count("Fetching Plex server Attic data recovered") == 10
    assert len(plex.requests.matching(path=RESOURCES)) <= 10 + 4
    assert state_of(hass, CONNECTIVITY) == STATE_ON
