"""Tests of who is asked for a source, and what the answer is then."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import server_coordinator, sources
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from . import Tick, device_id_of, follow, perform, setup_integration, source_of
from .const import SERVER_POLL
from .listeners import hide
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Delay,
    Ending,
    MediaServer,
    PlexEmulator,
    Vanish,
    error,
)
from .plex_emulator.emulator import LOOPBACK

LOOK_UP = "/security/resources"
PLEX_TV = {"type": "plex.tv", "name": "plex.tv", "client_identifier": None}

type LookUp = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def cellar(plex: PlexEmulator, ada: Account) -> MediaServer:
    """Return another server that Ada owns."""
    return await plex.add_server("Cellar", owner=ada)


@pytest.fixture
def look_up(hass: HomeAssistant, config_entry: MockConfigEntry) -> LookUp:
    """Return what looks a server up by the action."""

    async def look_up(server: MediaServer, **data: Any) -> dict[str, Any]:
        if config_entry.state is ConfigEntryState.NOT_LOADED:
            await setup_integration(hass, config_entry)
        fields = {"config_entry_id": config_entry.entry_id, "source": source_of(server)}
        return await perform(
            hass, "get_source_connection_information", **(fields | data)
        )

    return look_up


async def failure(look_up: LookUp, server: MediaServer, **data: Any) -> str | None:
    """Return the translation key of a look-up that fails."""
    with pytest.raises(HomeAssistantError) as raised:
        await look_up(server, **data)
    placeholders = raised.value.translation_placeholders or {}
    assert None not in placeholders.values()
    return raised.value.translation_key


async def test_until_one_knows(
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    look_up: LookUp,
) -> None:
    """The account's servers are asked one after the other, until one knows."""
    attic.sources = []
    response = await look_up(library)
    assert response["answered_by"] == {
        "type": "server",
        "name": "Cellar",
        "client_identifier": cellar.machine_identifier,
    }
    assert response["access_token"] == library.transient_tokens[-1].text
    assert response["preferred_uri"] == library.url
    asked = [request.host for request in plex.requests.matching(path=LOOK_UP)]
    assert asked == ["Attic", "Cellar"]


async def test_named_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    cellar: MediaServer,
    library: MediaServer,
    look_up: LookUp,
    loaded: MockConfigEntry,
) -> None:
    """Who names a server gets the answer of that one, or none."""
    device_id = device_id_of(hass, loaded, cellar.machine_identifier)
    response = await look_up(library, device_id=device_id)
    assert response["answered_by"]["name"] == "Cellar"

    cellar.sources = []
    assert await failure(look_up, library, device_id=device_id) == "source_not_found"
    assert not plex.requests.matching(path=LOOK_UP, host="Attic")


@pytest.mark.parametrize("status", [200, 400, 404])
async def test_unknown_source(
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    grace: Account,
    look_up: LookUp,
    status: int,
) -> None:
    """A source that nobody knows is the caller's mistake, however servers say so."""
    attic.unknown_source_status = status
    cellar.unknown_source_status = 403
    workshop = await plex.add_server("Workshop", owner=grace)
    with pytest.raises(ServiceValidationError) as raised:
        await look_up(workshop)
    assert raised.value.translation_key == "source_not_found"
    assert raised.value.translation_placeholders == {
        "source": f"server://{workshop.machine_identifier}"
    }


@pytest.mark.parametrize(
    ("status", "key"),
    [(403, "not_permitted"), (500, "cannot_connect"), (429, "rate_limited")],
)
async def test_refusing_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    grace: Account,
    look_up: LookUp,
    status: int,
    key: str,
) -> None:
    """What the only server says is passed on; PMS 403 asks nobody to sign in again."""
    workshop = await plex.add_server("Workshop", owner=grace)
    plex.faults.add(error(status, kind="html"), path=LOOK_UP)
    assert await failure(look_up, workshop) == key
    assert not hass.config_entries.flow.async_progress()


async def test_rejected_token(
    plex: PlexEmulator, attic: MediaServer, look_up: LookUp, loaded: MockConfigEntry
) -> None:
    """A restart kills the token; who asks then gets an answer all the same."""
    (old,) = attic.transient_tokens
    await attic.restart()
    response = await look_up(attic, probe=False)
    assert response["answered_by"]["name"] == "Attic"
    rejected, accepted = plex.requests.matching(path=LOOK_UP)
    assert rejected.token == old.text
    assert accepted.token == attic.transient_tokens[0].text


@pytest.mark.parametrize("encrypted", [True, False])
async def test_lost_connection(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
    look_up: LookUp,
    encrypted: bool,
) -> None:
    """If an address fails, others of its kind are tried at once, without plex.tv."""
    context = authority.server_context(*LOOPBACK) if encrypted else None
    await attic.encrypt(context)
    await setup_integration(hass, config_entry)
    second = attic.add_listener(ssl_context=context)
    await second.start()
    attic.listing.connections.append(Connection.at(second.url))
    await config_entry.runtime_data.async_refresh()
    await attic.listeners[0].stop()
    plex.requests.clear()
    response = await look_up(attic)
    assert response["answered_by"]["name"] == "Attic"
    assert response["preferred_uri"] == second.url
    assert not plex.requests.matching(host="plex.tv")


async def test_token_rejected_twice(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    look_up: LookUp,
    loaded: MockConfigEntry,
) -> None:
    """A server that rejects its own new token is asked no third time."""
    plex.faults.add(error(401, kind="html"), host="Attic", path=LOOK_UP)
    device_id = device_id_of(hass, loaded, attic.machine_identifier)
    assert await failure(look_up, attic, device_id=device_id) == "not_accepted"
    assert len(plex.requests.matching(path=LOOK_UP)) == 2


async def test_servers_down(
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    look_up: LookUp,
    loaded: MockConfigEntry,
) -> None:
    """With all own servers down, plex.tv knows where the shared one is.

    The token is made by that very server, and only after it has said who it is.
    """
    await attic.stop()
    await cellar.stop()
    response = await look_up(library)
    assert response == {
        "source": f"server://{library.machine_identifier}",
        "name": "Library",
        "client_identifier": library.machine_identifier,
        "access_token": library.transient_tokens[-1].text,
        "answered_by": PLEX_TV,
        "connections": [
            {
                "uri": library.url,
                "protocol": "https",
                "address": "127.0.0.1",
                "port": library.listeners[0].port,
                "local": True,
                "relay": False,
                "reachable": True,
                "latency_ms": response["connections"][0]["latency_ms"],
            }
        ],
        "preferred_uri": library.url,
        "external_uri": None,
    }
    identity, token = plex.requests.matching(host="Library")
    assert (identity.host, identity.path, identity.token) == (
        "Library",
        "/identity",
        "",
    )
    assert (token.path, token.token) == (
        "/security/token",
        library.access_token(attic.owner),
    )


async def test_server_back(
    hass: HomeAssistant,
    attic: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An own server that was down is tried again before plex.tv is."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 0)
    await attic.stop()
    await setup_integration(hass, config_entry)
    await attic.start()
    response = await look_up(library)
    assert response["answered_by"]["name"] == "Attic"


async def test_server_just_tried(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who asks again for a server that is down is told at once, for a while."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 60)
    await attic.stop()
    await setup_integration(hass, config_entry)
    device_id = device_id_of(hass, config_entry, attic.machine_identifier)
    with pytest.raises(HomeAssistantError) as raised:
        await look_up(attic, device_id=device_id)
    assert raised.value.translation_key == "server_just_tried"
    placeholders = raised.value.translation_placeholders
    assert placeholders
    assert placeholders.pop("name") == "Attic"
    # It is tried for four seconds at most.
    assert placeholders.pop("seconds") in {"0", "1", "2", "3", "4"}
    assert placeholders == {}

    await attic.start()
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 0)
    response = await look_up(attic, device_id=device_id)
    assert response["answered_by"]["name"] == "Attic"


async def test_own_server_that_nobody_knows(
    attic: MediaServer, look_up: LookUp
) -> None:
    """For an own server the token that is kept will do."""
    attic.sources = []
    response = await look_up(attic)
    assert response["answered_by"] == PLEX_TV
    assert response["access_token"] == attic.transient_tokens[0].text
    assert len(attic.transient_tokens) == 1
    assert response["preferred_uri"] == attic.url


async def test_own_server_that_is_down(
    plex: PlexEmulator, attic: MediaServer, look_up: LookUp, loaded: MockConfigEntry
) -> None:
    """An own server that can't be reached is looked for once, whoever is asked."""
    plex.faults.add(Vanish(), host="Attic")
    plex.requests.clear()
    assert await failure(look_up, attic) == "server_unreachable"
    assert len(plex.requests.matching(path="/identity")) == 1


async def test_shared_only(library: MediaServer, look_up: LookUp) -> None:
    """Who owns no server can look up what is shared all the same."""
    response = await look_up(library, probe=False)
    assert response["answered_by"] == PLEX_TV
    assert response["name"] == "Library"
    assert response["access_token"] == library.transient_tokens[0].text
    assert response["preferred_uri"] is None
    assert response["connections"][0]["reachable"] is None
    unknown = {"source": "provider://tv.plex.provider.podcasts"}
    assert await failure(look_up, library, **unknown) == "source_not_found"


async def test_shared_server_down(library: MediaServer, look_up: LookUp) -> None:
    """A shared server that is down has no token to give."""
    await library.stop()
    assert await failure(look_up, library) == "server_unreachable"


async def test_followed_shared_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is followed is tried again, and its token before it is handed out."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 0)
    attic.sources = []
    await library.stop()
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    assert await failure(look_up, library) == "server_unreachable"
    await library.start()
    response = await look_up(library)
    assert response["access_token"] == library.transient_tokens[-1].text
    library.forget_tokens()
    response = await look_up(library)
    assert response["access_token"] == library.transient_tokens[-1].text
    plex.faults.add(error(403), host="Library", path="/library/sections")
    assert await failure(look_up, library) == "not_permitted"


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_to_others(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    tick: Tick,
    status: int,
) -> None:
    """What only the owner may ask is no sign of a token that has died."""
    attic.sources = []
    plex.faults.add(error(status, kind="html"), host="Library", path="/")
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    await tick(SERVER_POLL)
    response = await look_up(library)
    device_id = device_id_of(hass, config_entry, library.machine_identifier)
    access = await perform(hass, "get_transient_token", device_id=device_id)
    (token,) = library.transient_tokens
    assert response["access_token"] == access["token"] == token.text


@pytest.mark.parametrize("shown", ["127.0.0.1", "192-168-1-5.0123.plex.direct"])
async def test_shared_server_without_encryption(
    plex: PlexEmulator, library: MediaServer, look_up: LookUp, shown: str
) -> None:
    """Nobody else's server is asked where no certificate says who answers."""
    await library.encrypt(None)
    port = library.listeners[0].port
    uri = library.url if shown == "127.0.0.1" else f"https://{shown}:{port}"
    library.listing.connections = [Connection(uri, "127.0.0.1", local=True)]
    assert await failure(look_up, library) == "server_unreachable"
    assert not plex.requests.matching(host="Library")


async def test_plain_http_of_a_shared_server(
    plex: PlexEmulator, attic: MediaServer, library: MediaServer, look_up: LookUp
) -> None:
    """Nor is it if an own server tells where it is."""
    await library.encrypt(None)
    library.listing.connections = [Connection(library.url, "127.0.0.1", local=True)]
    response = await look_up(library)
    assert response["answered_by"]["name"] == "Attic"
    assert response["preferred_uri"] is None
    assert not plex.requests.matching(host="Library")


@pytest.mark.parametrize("owner", ["ada", "grace"])
async def test_hidden_address(
    hass: HomeAssistant,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    authority: CertificateAuthority,
    owner: str,
) -> None:
    """Of an own server whose name leads nowhere, the address is told, too."""
    hidden_server = cellar if owner == "ada" else library
    hidden = await hide(hidden_server, authority)
    config_entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(
        config_entry, options={"left_out_servers": [cellar.machine_identifier]}
    )
    await hass.config_entries.async_setup(config_entry.entry_id)
    response = await look_up(hidden_server)
    assert response["answered_by"]["name"] == "Attic"
    port = hidden_server.listeners[-1].port
    plain = [f"http://127.0.0.1:{port}"] if owner == "ada" else []
    assert [each["uri"] for each in response["connections"]] == [hidden.uri, *plain]


async def test_shared_server_refuses(
    hass: HomeAssistant,
    plex: PlexEmulator,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
) -> None:
    """Nor has one that has stopped sharing."""
    await setup_integration(hass, config_entry)
    library.revoke(plex.account("ada"))
    assert await failure(look_up, library) == "not_accepted"


async def test_impostor(
    plex: PlexEmulator, attic: MediaServer, library: MediaServer, look_up: LookUp
) -> None:
    """Another server at the address of a shared one gets no token, nor is preferred."""
    impostor = await plex.add_server("Impostor", owner=library.owner)
    library.listing.connections = [Connection.at(impostor.url)]
    response = await look_up(library)
    assert response["answered_by"]["name"] == "Attic"
    assert response["preferred_uri"] is None
    assert [each["reachable"] for each in response["connections"]] == [False]
    await attic.stop()
    assert await failure(look_up, library) == "server_unreachable"
    to_impostor = plex.requests.matching(host="Impostor")
    assert to_impostor
    assert {request.token for request in to_impostor} == {""}


async def test_remembers_encryption(
    hass: HomeAssistant,
    attic: MediaServer,
    cellar: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
) -> None:
    """What a look-up has reached by HTTPS once is given to nobody without."""
    plain = Connection.at(cellar.url.replace("https", "http"))
    cellar.listing.connections.append(plain)
    await setup_integration(hass, config_entry)
    hass.config_entries.async_update_entry(
        config_entry, options={"left_out_servers": [cellar.machine_identifier]}
    )
    await hass.config_entries.async_reload(config_entry.entry_id)
    store = config_entry.runtime_data.store
    store.async_set_https_worked(cellar.machine_identifier, worked=False)
    assert (await look_up(cellar))["preferred_uri"] == cellar.url
    assert store.https_worked(cellar.machine_identifier) is True
    assert not store.https_worked("unknown")
    await cellar.encrypt(None)
    assert (await look_up(cellar))["preferred_uri"] is None


async def test_learns_of_encryption(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    authority: CertificateAuthority,
) -> None:
    """Where a look-up has shown that HTTPS works, plain HTTP is over at once."""
    await attic.encrypt(None)
    await setup_integration(hass, config_entry)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    assert (await look_up(attic))["preferred_uri"] == attic.url
    assert not server.data.https_worked
    secure = attic.add_listener(ssl_context=authority.server_context(*LOOPBACK))
    await secure.start()
    attic.listing.connections.append(Connection.at(secure.url))
    assert (await look_up(attic))["preferred_uri"] == secure.url
    assert server.data.https_worked


@pytest.mark.parametrize("silent", [["Attic"], ["Attic", "Cellar"]])
async def test_silent_servers(
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
    silent: list[str],
) -> None:
    """Nobody waits for a server that says nothing while another one knows."""
    monkeypatch.setattr(sources, "HEAD_START", 0.05)
    monkeypatch.setattr(sources, "SERVERS_TIMEOUT", 0.5)
    for name in silent:
        plex.faults.add(Vanish(Ending.SILENCE), path=LOOK_UP, host=name)
    source = {"source": "provider://tv.plex.provider.podcasts"}
    if "Cellar" not in silent:
        response = await look_up(library, **source)
        assert response["answered_by"]["name"] == "Cellar"
        assert "_async_ask_server" not in str(asyncio.all_tasks())
        return
    with pytest.raises(HomeAssistantError) as raised:
        await look_up(library, **source)
    assert raised.value.translation_key == "timeout_connect"
    assert raised.value.translation_placeholders == {"name": "Attic"}


async def test_slow_server_that_knows(
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that had its head start is still listened to."""
    monkeypatch.setattr(sources, "HEAD_START", 0.05)
    cellar.sources = []
    plex.faults.add(Delay(0.3), path=LOOK_UP, host="Attic")
    assert (await look_up(library))["answered_by"]["name"] == "Attic"


async def test_unreachable_server_first_in_the_list(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that was not there is not looked for while another one knows."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 0)
    plex.faults.add(Vanish(), host="Attic")
    await setup_integration(hass, config_entry)
    plex.requests.clear()
    assert (await look_up(library))["answered_by"]["name"] == "Cellar"
    assert not plex.requests.matching(host="Attic")


async def test_offline_server_first_in_the_list(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    cellar: MediaServer,
    library: MediaServer,
    config_entry: MockConfigEntry,
    look_up: LookUp,
) -> None:
    """Servers that can be reached are asked first, and those of others never."""
    await attic.stop()
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    cellar.sources = library.sources = []
    plex.requests.clear()
    assert (await look_up(library))["answered_by"] == PLEX_TV
    asked = [request.host for request in plex.requests.matching(path=LOOK_UP)]
    assert asked == ["Cellar"]


async def test_what_failed_is_named(
    plex: PlexEmulator,
    attic: MediaServer,
    library: MediaServer,
    look_up: LookUp,
    loaded: MockConfigEntry,
) -> None:
    """An error says which server, or which source, it is about."""
    source = "provider://tv.plex.nothing"
    for fault, expected in (
        (error(403), {"name": "Attic"}),
        (error(404), {"source": source}),
    ):
        plex.faults.add(fault, path=LOOK_UP, times=1)
        with pytest.raises(HomeAssistantError) as raised:
            await look_up(attic, source=source)
        assert raised.value.translation_placeholders == expected
    await attic.stop()
    await library.stop()
    with pytest.raises(HomeAssistantError) as raised:
        await look_up(library)
    assert raised.value.translation_placeholders == {"name": "Library"}


async def test_servers_do_not_know_each_other(
    plex: PlexEmulator, ada: Account, library: MediaServer, look_up: LookUp
) -> None:
    """Each server of others knows Home Assistant by another name."""
    other = await plex.add_server("Other", owner=library.owner)
    other.listing.connections = [Connection.at(other.url)]
    plex.share(other, ada, public_address_matches=True)
    for server in (library, other):
        await look_up(server)
    known = {
        (request.host, request.client_identifier)
        for request in plex.requests.matching(path="/security/token")
    }
    assert len(known) == len({identifier for _, identifier in known}) == 2
