"""Tests of keeping the account and its servers fresh."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
import random

from freezegun.api import TickingDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)
from yarl import URL

from custom_components.plex_account import access, coordinator, server_coordinator
from custom_components.plex_account.api import PlexLibrary, connections
from custom_components.plex_account.const import DOMAIN
from custom_components.plex_account.devices import async_get_device
from custom_components.plex_account.server_coordinator import Trouble
from homeassistant.const import (
    CONF_TOKEN,
    EVENT_STATE_CHANGED,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)

from . import (
    PATIENCE,
    Tick,
    follow,
    names_of_devices,
    perform,
    setup_integration,
    source_of,
    state_of,
    until,
)
from .const import ACCOUNT_POLL, NEW_PLEX_DIRECT, PLEX_DIRECT, SERVER_POLL
from .listeners import answer_elsewhere, hide, listen
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Delay,
    Ending,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
)
from .plex_emulator.replies import json_answer

CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"


async def test_quiet_day(
    plex: PlexEmulator, tick: Tick, loaded: MockConfigEntry
) -> None:
    """A day on which nothing happens costs few requests."""
    for _ in range(287):
        await tick(SERVER_POLL)
    counts = Counter(request.path for request in plex.requests)
    assert counts == {
        "/api/v2/user": 48,
        "/api/v2/resources": 48,
        "/api/v2/ping": 1,
        "/identity": 1,
        "/security/token": 1,
        "/": 287,
        "/:/websockets/notifications": 1,
        "/:/prefs": 48,
        "/myplex/account": 48,
    }


async def test_first_poll(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Homes that have started together do not stay in step."""
    monkeypatch.setattr(random, "random", lambda: 0.5)
    await setup_integration(hass, config_entry)
    plex.requests.clear()
    await tick(SERVER_POLL / 2)
    assert len(plex.requests.matching(host="Attic", path="/")) == 1
    for _ in range(2):
        # After a half the account's is due, and after another half it is not.
        await tick(ACCOUNT_POLL / 2)
        assert len(plex.requests.matching(path="/api/v2/user")) == 1


async def test_no_entities(
    hass: HomeAssistant,
    attic: MediaServer,
    loaded: MockConfigEntry,
    tick: Tick,
) -> None:
    """A server is asked though nobody wants a state, as for its repairs."""
    registry = er.async_get(hass)
    for entity in er.async_entries_for_config_entry(registry, loaded.entry_id):
        registry.async_update_entity(
            entity.entity_id, disabled_by=er.RegistryEntryDisabler.USER
        )
    await hass.config_entries.async_reload(loaded.entry_id)
    assert not hass.states.async_entity_ids("binary_sensor")
    attic.claimed = False
    await tick(SERVER_POLL)
    assert ir.async_get(hass).issues


async def test_ping(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry, tick: Tick
) -> None:
    """The token's life is extended once a day; a failure is tried again, no more."""
    rule = plex.faults.add(error(500), path="/api/v2/ping")
    await setup_integration(hass, config_entry)
    # Not at the start, where many homes may do so at the same time.
    assert not plex.requests.matching(path="/api/v2/ping")
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_ON
    plex.faults.remove(rule)
    plex.requests.clear()

    await tick(ACCOUNT_POLL)
    (ping,) = plex.requests.matching(path="/api/v2/ping")
    assert ping.client_identifier == config_entry.data["client_identifier"]
    await tick(ACCOUNT_POLL)
    assert len(plex.requests.matching(path="/api/v2/ping")) == 1
    await tick(timedelta(days=1))
    assert len(plex.requests.matching(path="/api/v2/ping")) == 2


async def test_rotated_token(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry, tick: Tick
) -> None:
    """A token that plex.tv changes is stored, without a reload."""
    await setup_integration(hass, config_entry)
    coordinator = config_entry.runtime_data
    (token,) = plex.tv.tokens
    rotated = dict(config_entry.data) | {CONF_TOKEN: plex.tv.rotate(token)}
    await tick(ACCOUNT_POLL)
    assert config_entry.data == rotated
    assert config_entry.runtime_data is coordinator
    plex.requests.clear()
    await tick(ACCOUNT_POLL)
    assert {request.token for request in plex.requests} == {rotated[CONF_TOKEN]}


async def test_unloaded_while_a_token_is_stored(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, config_entry: MockConfigEntry
) -> None:
    """An account that is unloaded meanwhile does not begin to follow a server."""
    await setup_integration(hass, config_entry)
    account = config_entry.runtime_data
    plex.tv.rotate(plex.tv.tokens[0])
    await plex.add_server("Cellar", owner=ada)
    async with account.store._store._write_lock:
        account.config_entry.async_create_task(hass, account.async_refresh())
        await until(lambda: bool(account.store._rotation))
        unload = asyncio.create_task(
            hass.config_entries.async_unload(config_entry.entry_id)
        )
        await until(lambda: account._shutdown_requested)
    await unload
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not account.servers
    assert not plex.requests.matching(host="Cellar")


async def test_plex_tv_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
    loaded: MockConfigEntry,
) -> None:
    """Without plex.tv the servers stay; it is logged once, and once when it is back."""
    await plex.tv.stop()
    for _ in range(2):
        await tick(ACCOUNT_POLL)
        assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
        assert state_of(hass, CONNECTIVITY) == STATE_ON
    await plex.tv.start()
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_ON
    assert caplog.text.count("Error fetching Plex account ada data") == 1
    assert caplog.text.count("Fetching Plex account ada data recovered") == 1


async def test_server_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that is down takes only its own entities along."""
    await plex.add_server("Cellar", owner=ada)
    await setup_integration(hass, config_entry)
    await attic.stop()
    for _ in range(2):
        await tick(SERVER_POLL)
        assert state_of(hass, CONNECTIVITY) == STATE_OFF
        expires = "sensor.attic_transient_token_expires"
        assert state_of(hass, expires) == STATE_UNAVAILABLE
        assert state_of(hass, "binary_sensor.cellar_connectivity") == STATE_ON
        assert state_of(hass, PLEX_PASS) == STATE_ON
    await attic.start()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert caplog.text.count("Error fetching Plex server Attic data") == 1
    assert caplog.text.count("Fetching Plex server Attic data recovered") == 1


async def test_server_restarts(
    hass: HomeAssistant, attic: MediaServer, tick: Tick, loaded: MockConfigEntry
) -> None:
    """A restart kills the token, which is replaced at the next look."""
    await attic.restart()
    attic.listing.product_version = "1.44.0.1-0123456"
    assert not attic.transient_tokens
    await tick(SERVER_POLL)
    assert len(attic.transient_tokens) == 1
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_asked_once(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    loaded: MockConfigEntry,
) -> None:
    """A server that fails is looked for, not asked again where it has failed."""
    plex.faults.add(Vanish(), path="/", times=1)
    plex.requests.clear()
    await tick(SERVER_POLL)
    attic.forget_tokens()
    plex.faults.add(Vanish(), path="/security/token", times=1)
    await tick(SERVER_POLL)
    asked = plex.requests.matching(host="Attic")
    assert [request.path for request in asked if request.path[:2] != "/:"] == [
        *("/", "/identity", "/security/token"),
        *("/", "/security/token", "/identity", "/security/token"),
    ]
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_not_yet_ready(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """A server that has just answered is asked for a token until it has one."""
    plex.faults.add(error(503, kind="html"), path="/security/token", times=2)
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert len(plex.requests.matching(path="/security/token")) == 3


async def test_gone_with_plex_tv(
    plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Where plex.tv says nothing, nobody waits for it to know where a server is."""
    server = loaded.runtime_data.servers[attic.machine_identifier]
    await attic.stop()
    plex.faults.add(Vanish(Ending.SILENCE), host="plex.tv")
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(HomeAssistantError) as raised:
            await server.async_refresh_or_raise()
    assert raised.value.translation_key == "server_unreachable"


@pytest.mark.parametrize("stopped", [False, True])
async def test_device_survives_a_restart(
    hass: HomeAssistant, attic: MediaServer, stopped: bool, loaded: MockConfigEntry
) -> None:
    """What is known of a server stays as it is, even if the server is gone by then."""
    changes = async_capture_events(hass, dr.EVENT_DEVICE_REGISTRY_UPDATED)
    if stopped:
        await attic.stop()
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, CONNECTIVITY) == (STATE_OFF if stopped else STATE_ON)
    device = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, attic.machine_identifier), loaded.entry_id
    )
    assert device
    assert device.configuration_url == f"{attic.url}/web"
    assert changes == []


async def test_token_gets_old(
    plex: PlexEmulator, tick: Tick, loaded: MockConfigEntry
) -> None:
    """The token is replaced hours before it dies, and not much earlier."""
    for _ in range(100):
        await tick(timedelta(hours=1))
    ages = [
        later.time - earlier.time
        for earlier, later in pairwise(plex.requests.matching(path="/security/token"))
    ]
    assert len(ages) == 2
    assert {round(age / 3600) for age in ages} <= {44, 45}


async def test_clock_set_back(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    freezer: TickingDateTimeFactory,
    loaded: MockConfigEntry,
) -> None:
    """Nobody knows the age of a token from the future, so it is replaced."""
    freezer.tick(timedelta(hours=-6))
    response = await perform(hass, "get_transient_token")
    assert response["token"] == attic.transient_tokens[-1].text
    assert len(plex.requests.matching(path="/security/token")) == 2


async def test_another_server_moved_in(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """An address that now is another server's is not used any more."""
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    await setup_integration(hass, config_entry)
    grace = plex.add_account("grace", password=None)
    library = await plex.add_server("Library", owner=grace)
    await attic.close()
    await library.add_listener(port=attic.listeners[0].port).start()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    asked = plex.requests.matching(host="Library")
    assert {(request.path, request.token) for request in asked} == {("/identity", "")}


async def test_server_set_up_anew(
    attic: MediaServer, tick: Tick, loaded: MockConfigEntry
) -> None:
    """A server that was installed anew is another one, even if it knows our token."""
    old = attic.machine_identifier
    attic.listing.client_identifier = new = "f" * 40
    await tick(SERVER_POLL)
    assert set(loaded.runtime_data.servers) == {new} != {old}
    assert loaded.runtime_data.servers[new].data.reachable


@pytest.mark.parametrize("status", [401, 403])
async def test_new_access_token(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
    status: int,
    loaded: MockConfigEntry,
) -> None:
    """A server that rejects the token from plex.tv makes us ask plex.tv for another."""
    old = attic.access_token(attic.owner)
    attic.revoke(attic.owner)
    plex.faults.add(error(status, kind="html"), path="/security/token", times=1)
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert attic.access_token(attic.owner) != old
    assert len(plex.requests.matching(path="/api/v2/resources")) == 2
    assert not hass.config_entries.flow.async_progress()
    server = loaded.runtime_data.servers[attic.machine_identifier]
    assert server.data.token.token == attic.transient_tokens[-1].text
    assert "ERROR" not in caplog.text


async def test_new_access_tokens_while_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """Those that come back and know us no more are not left for half an hour."""
    servers = [attic, await plex.add_server("Cellar", owner=attic.owner)]
    await setup_integration(hass, config_entry)
    for server in servers:
        await server.stop()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    for server in servers:
        server.revoke(attic.owner)
        await server.start()
    # Long enough for both to wait for the same answer.
    plex.faults.add(Delay(0.2), host="plex.tv")
    plex.requests.clear()
    await tick(timedelta(seconds=20))
    assert len(plex.requests.matching(path="/api/v2/resources")) == 1
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert all(server.transient_tokens for server in servers)


async def test_claimed_again(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of who accepts no token plex.tv is asked now and then, as it may be claimed."""
    monkeypatch.setattr(server_coordinator, "MAX_DOWN_INTERVAL", 5)
    await setup_integration(hass, config_entry)
    plex.requests.clear()
    attic.claimed = False
    rules = [
        plex.faults.add(error(401, kind="html"), host="Attic", path=path)
        for path in ("/", "/security/token")
    ]
    await tick(SERVER_POLL)
    for _ in range(8):
        await tick(timedelta(seconds=25))
    assert len(plex.requests.matching(path="/security/token")) >= 9
    assert len(plex.requests.matching(path="/api/v2/resources")) == 4
    for rule in rules:
        plex.faults.remove(rule)
    attic.claimed = True
    attic.revoke(attic.owner)
    for _ in range(2):
        await tick(timedelta(seconds=25))
    assert state_of(hass, "sensor.attic_connection_type") == "local"
    assert attic.transient_tokens


async def test_not_signed_out_after_all(
    hass: HomeAssistant, plex: PlexEmulator, tick: Tick, loaded: MockConfigEntry
) -> None:
    """Nobody has to sign in again as somebody else has answered in plex.tv's place."""
    rule = plex.faults.add(error(401, kind="html"), host="plex.tv")
    await tick(ACCOUNT_POLL)
    assert hass.config_entries.flow.async_progress()
    assert ir.async_get(hass).issues
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    await tick(ACCOUNT_POLL)
    plex.faults.remove(rule)
    await tick(ACCOUNT_POLL)
    assert not hass.config_entries.flow.async_progress()
    assert not ir.async_get(hass).issues
    assert state_of(hass, PLEX_PASS) == STATE_ON


async def test_signing_in_already(
    hass: HomeAssistant, plex: PlexEmulator, tick: Tick, loaded: MockConfigEntry
) -> None:
    """Who has begun to sign in again is not interrupted."""
    rule = plex.faults.add(error(401, kind="html"), path="/api/v2/user")
    await tick(ACCOUNT_POLL)
    plex.faults.remove(rule)
    (flow,) = hass.config_entries.flow.async_progress()
    await hass.config_entries.flow.async_configure(
        flow["flow_id"], {"next_step_id": "password"}
    )
    await tick(ACCOUNT_POLL)
    assert state_of(hass, PLEX_PASS) == STATE_ON
    (left,) = hass.config_entries.flow.async_progress()
    assert left["flow_id"] == flow["flow_id"]


async def test_no_token_for_who_is_signed_out(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    loaded: MockConfigEntry,
) -> None:
    """Servers that accept no token are no reason to ask again for a sign-in."""
    plex.sign_out_everywhere(attic.owner)
    attic.revoke(attic.owner)
    await tick(SERVER_POLL)
    (flow,) = hass.config_entries.flow.async_progress()
    hass.config_entries.flow.async_abort(flow["flow_id"])
    plex.requests.clear()
    for _ in range(5):
        await tick(timedelta(seconds=61))
    assert plex.requests.matching(path="/security/token")
    assert not plex.requests.matching(host="plex.tv")
    assert not hass.config_entries.flow.async_progress()


async def test_access_token_told_meanwhile(
    plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """What plex.tv tells while a server rejects what it told before is used."""
    server = loaded.runtime_data.servers[attic.machine_identifier]
    rule = plex.faults.add(Delay(0.3), path="/security/token", times=1)
    renewing = asyncio.create_task(server.async_renew_token())
    await until(lambda: rule.hits > 0)
    attic.revoke(attic.owner)
    await loaded.runtime_data.async_refresh()
    access = await renewing
    assert access.token.token == attic.transient_tokens[-1].text
    (stored,) = loaded.runtime_data.store.servers
    assert stored.access_token == attic.access_token(attic.owner)


async def test_old_trouble(
    plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Trouble with an old token is none, and does not undo the wish for a new one."""
    server = loaded.runtime_data.servers[attic.machine_identifier]
    old = server.data.token
    kept = (await server.async_renew_token()).token
    assert kept != old
    rule = plex.faults.add(Delay(0.2), host="Attic", path="/", times=1)
    polling = asyncio.create_task(server.async_refresh())
    await until(lambda: rule.hits > 0)
    renewing = asyncio.create_task(server.async_renew_token())
    await asyncio.sleep(0)
    access = await server.async_replace_access(old, Trouble.LOST)
    assert access == await renewing
    assert access.token != kept
    await polling


async def test_moved_while_off(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What plex.tv tells while a server is looked for where it was is used at once."""
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 0.5)
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_unload(config_entry.entry_id)
    attic.listeners[0].latency = 60
    await answer_elsewhere(attic, authority)
    await hass.config_entries.async_setup(config_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert "ERROR" not in caplog.text


async def test_moves_while_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    authority: CertificateAuthority,
    tick: Tick,
) -> None:
    """A server that comes back elsewhere is found before the account is due."""
    # Another has just had plex.tv asked for its token.
    await loaded.runtime_data.async_refresh_again("token")
    plex.requests.clear()
    await attic.stop()
    await tick(SERVER_POLL)
    await tick(timedelta(seconds=20))
    await tick(timedelta(seconds=20))
    # Only as it was lost.
    assert len(plex.requests.matching(path="/api/v2/resources")) == 1
    await answer_elsewhere(attic, authority)
    await tick(timedelta(seconds=80))
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_servers_come_and_go(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    tick: Tick,
    loaded: MockConfigEntry,
) -> None:
    """A new server appears and a vanished one goes, each with all it has."""
    cellar = await plex.add_server("Cellar", owner=ada)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, "binary_sensor.cellar_connectivity") == STATE_ON

    await plex.remove_server(attic)
    await tick(ACCOUNT_POLL)
    assert hass.states.get(CONNECTIVITY) is None
    assert er.async_get(hass).async_get(CONNECTIVITY) is None
    assert names_of_devices(hass, loaded) == {"ada", "Cellar"}
    plex.requests.clear()
    await tick(SERVER_POLL)
    assert {request.host for request in plex.requests} == {"Cellar"}

    # What has vanished while Home Assistant was off goes at the next start.
    await hass.config_entries.async_unload(loaded.entry_id)
    await plex.remove_server(cellar)
    await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert names_of_devices(hass, loaded) == {"ada"}


async def test_unreadable_servers(plex: PlexEmulator, loaded: MockConfigEntry) -> None:
    """What can't be read may be a server that is known; how many it is is told."""
    barn = {"name": "Barn", "clientIdentifier": "ba42", "provides": "server"}
    barn |= {"owned": "1", "accessToken": "of-barn"}
    listed = [{"provides": "server"}, barn, barn, barn]
    plex.faults.add(Reply(json_answer(listed)), path="/api/v2/resources")
    await loaded.runtime_data.async_refresh()
    data = loaded.runtime_data.data
    assert {server.name for server in data.servers.values()} == {"Attic", "Barn"}
    assert data.unusable == 3


async def test_renamed_server(
    hass: HomeAssistant, attic: MediaServer, tick: Tick, loaded: MockConfigEntry
) -> None:
    """A server that gets another name, or version, stays the same device."""
    registry = dr.async_get(hass)
    identifier = (DOMAIN, attic.machine_identifier)
    before = registry.async_get_device_by_identifier(identifier, loaded.entry_id)
    assert before
    attic.name = "Loft"
    attic.listing.product_version = "1.44.0.1-0123456"
    await tick(ACCOUNT_POLL)
    after = registry.async_get_device_by_identifier(identifier, loaded.entry_id)
    assert after
    assert after.id == before.id
    assert after.name == "Loft"
    assert after.sw_version == "1.44.0.1-0123456"


async def test_offline_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """What plex.tv lists as offline stays, and is only tried along with the account."""
    attic = await plex.add_server("Attic", owner=ada, stale=True)
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF

    # plex.tv can be wrong.
    await attic.start()
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    await tick(ACCOUNT_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON

    attic.listing.presence = True
    await tick(ACCOUNT_POLL)
    plex.requests.clear()
    await tick(SERVER_POLL)
    assert [request.path for request in plex.requests] == ["/"]


def uri_of(entry: MockConfigEntry, server: MediaServer) -> str:
    """Return where we reach a server."""
    data = entry.runtime_data.servers[server.machine_identifier].data
    return str(data.connection.uri)


async def test_renamed_certificate(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    names: None,
) -> None:
    """When a new certificate has another name, plex.tv is asked for it at once."""
    old = await listen(attic, authority, PLEX_DIRECT)
    listed = [Connection.plex_direct("192.168.1.5", old.port, domain=PLEX_DIRECT)]
    attic.listing.connections = listed
    await setup_integration(hass, config_entry)
    assert PLEX_DIRECT in uri_of(config_entry, attic)
    states = async_capture_events(hass, "state_changed")

    await old.close()
    new = attic.add_listener(
        port=old.port, ssl_context=authority.server_context(f"*.{NEW_PLEX_DIRECT}")
    )
    await new.start()
    listed[0] = Connection.plex_direct("192.168.1.5", new.port, domain=NEW_PLEX_DIRECT)
    await tick(SERVER_POLL)
    assert NEW_PLEX_DIRECT in uri_of(config_entry, attic)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert len(plex.requests.matching(path="/api/v2/resources")) == 2
    assert CONNECTIVITY not in {event.data["entity_id"] for event in states}


async def test_hidden_address(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
) -> None:
    """Where name servers hide a local address, it is used itself; that is told.

    Others can use it without encryption only, so that way is listed as well.
    """
    hidden = await hide(attic, authority)
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert uri_of(config_entry, attic) == hidden.uri
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_key == "dns_rebinding"

    response = await perform(
        hass, "get_source_connection_information", source=source_of(attic)
    )
    assert response["preferred_uri"] == hidden.uri
    plain = f"http://127.0.0.1:{URL(hidden.uri).port}"
    assert [
        (connection["uri"], connection["reachable"])
        for connection in response["connections"]
    ] == [(hidden.uri, True), (plain, None)]

    # Without internet no name resolves, which says nothing.
    plex.faults.add(Vanish(), host="plex.tv")
    await tick(ACCOUNT_POLL)
    assert list(ir.async_get(hass).issues.values()) == [issue]


async def test_hidden_address_over_https(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    names: None,
) -> None:
    """With HTTPS required the certificate is still that of the name; it is curable."""
    resolver.patterns.clear()
    hidden = await hide(attic, authority)
    attic.listing.https_required = True
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert ir.async_get(hass).issues
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert {request.port for request in plex.requests.matching(host="Attic")} == {
        URL(hidden.uri).port
    }

    resolver.patterns.append("*.plex.direct")
    await tick(ACCOUNT_POLL)
    await tick(SERVER_POLL)
    assert not ir.async_get(hass).issues
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_hidden_address_after_a_start(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
) -> None:
    """That the name does not lead to the address is known even while it is down."""
    await hide(attic, authority)
    await setup_integration(hass, config_entry)
    await attic.stop()
    await hass.config_entries.async_reload(config_entry.entry_id)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    assert server.data.connection.pinned
    # Where the user's browser would look for it in vain.
    device = async_get_device(hass, config_entry, attic.machine_identifier)
    assert device
    assert device.configuration_url == "https://app.plex.tv/desktop"


async def test_hidden_address_seen_later(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
) -> None:
    """That a name is not told may show only once the address is in use."""
    await hide(attic, authority)
    await setup_integration(hass, config_entry)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    # As if the name had been looked up for long.
    server.data = replace(server.data, name_blocked=False)
    server.async_update_listeners()
    await tick(SERVER_POLL)
    assert not ir.async_get(hass).issues
    await tick(ACCOUNT_POLL)
    assert ir.async_get(hass).issues


async def test_no_names_without_internet(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    names: None,
) -> None:
    """Nobody hides a name that does not resolve as there is no internet."""
    await hide(attic, authority)
    await setup_integration(hass, config_entry)
    complaints = async_capture_events(hass, ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED)
    for _ in range(2):
        complaints.clear()
        resolver.patterns.clear()
        await plex.tv.stop()
        await attic.stop()
        await attic.start()
        await tick(SERVER_POLL)
        assert state_of(hass, CONNECTIVITY) == STATE_ON
        server = config_entry.runtime_data.servers[attic.machine_identifier]
        assert server.data.name_blocked
        assert not complaints

        await plex.tv.start()
        await tick(ACCOUNT_POLL)
        assert ir.async_get(hass).issues

        resolver.patterns.append("*.plex.direct")
        await tick(ACCOUNT_POLL)
        await tick(SERVER_POLL)
        assert not ir.async_get(hass).issues


async def test_hidden_address_of_a_shared_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
) -> None:
    """Nobody is led to somebody else's server without encryption."""
    library = await plex.add_server("Library", owner=grace)
    hidden = await hide(library, authority)
    plex.share(library, ada, public_address_matches=True)
    await setup_integration(hass, config_entry)
    response = await perform(
        hass, "get_source_connection_information", source="Library"
    )
    (connection,) = response["connections"]
    assert (connection["uri"], connection["reachable"]) == (hidden.uri, True)


async def test_wrong_certificate_at_hidden_address(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    names: None,
) -> None:
    """Whoever is at the address without the certificate is not asked for a token."""
    resolver.patterns.clear()
    listener = await listen(attic, authority, NEW_PLEX_DIRECT)
    attic.listing.https_required = True
    attic.listing.connections = [
        Connection.plex_direct(
            "192.168.1.5", listener.port, domain=PLEX_DIRECT, local=True
        )
    ]
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    assert not plex.requests.matching(host="Attic")
    assert not ir.async_get(hass).issues


async def test_certificate_that_stays_wrong(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    names: None,
) -> None:
    """What plex.tv could not mend it is not asked for each time."""
    wrong = await listen(attic, authority, NEW_PLEX_DIRECT)
    other = Connection.plex_direct(
        "192.168.1.5", wrong.port, domain=PLEX_DIRECT, local=True
    )
    attic.listing.connections = [other, Connection.at(attic.url, local=False)]
    await setup_integration(hass, config_entry)
    plex.requests.clear()
    plex.faults.add(Vanish(), path="/", times=1)
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert plex.requests.matching(path="/identity")
    assert not plex.requests.matching(host="plex.tv")


async def test_plain_http_of_a_shared_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    config_entry: MockConfigEntry,
) -> None:
    """Nobody is asked for somebody else's server where all could read along."""
    library = await plex.add_server("Library", owner=grace)
    await library.encrypt(None)
    library.listing.connections = [Connection.at(library.url)]
    plex.share(library, ada, public_address_matches=True)
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    assert state_of(hass, "binary_sensor.library_connectivity") == STATE_OFF
    assert not plex.requests.matching(host="Library")


async def test_better_connection(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    names: None,
) -> None:
    """A relay is left for a better way, which is looked for each half hour."""
    relay = await listen(attic, authority, PLEX_DIRECT)
    attic.listing.connections = [
        Connection.at(attic.url),
        Connection.plex_direct(
            "198.51.100.5", relay.port, domain=PLEX_DIRECT, relay=True
        ),
    ]
    local = attic.listeners[0]
    await local.stop()
    await setup_integration(hass, config_entry)
    assert state_of(hass, "sensor.attic_connection_type") == "relay"
    (token,) = attic.transient_tokens

    await local.start()
    await tick(SERVER_POLL)
    assert state_of(hass, "sensor.attic_connection_type") == "relay"
    assert not [request for request in plex.requests if request.port == local.port]
    await tick(ACCOUNT_POLL)
    assert state_of(hass, "sensor.attic_connection_type") == "local"
    assert attic.transient_tokens == [token]

    # It is kept as long as it works, whatever else there is.
    plex.requests.clear()
    await tick(ACCOUNT_POLL)
    await tick(ACCOUNT_POLL)
    asked = {request.path for request in plex.requests.matching(host="Attic")}
    assert asked == {"/", "/:/prefs", "/myplex/account"}


async def test_no_better_connection(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    names: None,
) -> None:
    """If there is none the relay is kept; a new address is tried without delay."""
    relay = await listen(attic, authority, PLEX_DIRECT)
    refusing = Connection.plex_direct(
        "192.168.1.5", plex.refusing_port, domain=PLEX_DIRECT, local=True
    )
    through_relay = Connection.plex_direct(
        "198.51.100.5", relay.port, domain=PLEX_DIRECT, relay=True
    )
    attic.listing.connections = [refusing, through_relay]
    await setup_integration(hass, config_entry)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, "sensor.attic_connection_type") == "relay"
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    assert list(server.data.outcome.tried) == [refusing.uri]

    attic.listing.connections = [Connection.at(attic.url), through_relay]
    await config_entry.runtime_data.async_refresh()
    await tick(SERVER_POLL)
    assert state_of(hass, "sensor.attic_connection_type") == "local"


async def test_waiting_action_survives_unload(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An action that waits for a server while the account is unloaded gets an error."""
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 0.2)
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.2)
    await setup_integration(hass, config_entry)
    rule = plex.faults.add(Vanish(Ending.SILENCE), host="Attic", path="/*")
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    waiting = asyncio.create_task(server.async_renew_token())
    await until(lambda: rule.hits > 0)
    await hass.config_entries.async_unload(config_entry.entry_id)
    for action in (waiting, server.async_renew_token()):
        with pytest.raises(HomeAssistantError) as raised:
            await action
        assert raised.value.translation_key == "server_unreachable"
        assert raised.value.translation_placeholders == {"name": "Attic"}


async def test_unloaded_while_it_is_asked(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Who waits for a poll that an unload ends is told what is the matter."""
    plex.faults.add(Vanish(Ending.SILENCE), host="Attic")
    server = loaded.runtime_data.servers[attic.machine_identifier]
    loaded.async_create_background_task(hass, server.async_refresh(), "poll")
    waiting = asyncio.create_task(server.async_refresh_or_raise())
    await asyncio.sleep(0)
    await hass.config_entries.async_unload(loaded.entry_id)
    with pytest.raises(HomeAssistantError) as raised:
        await waiting
    assert raised.value.translation_key == "cannot_connect"
    assert raised.value.translation_placeholders == {"name": server.name}


async def test_slow_start(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a server that takes long at first nobody says that it is not there."""
    monkeypatch.setattr(coordinator, "START_TIMEOUT", 0.01)
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.05)
    plex.faults.add(Delay(0.4), host="Attic", path="/identity")
    config_entry.add_to_hass(hass)
    changes = async_capture_events(hass, EVENT_STATE_CHANGED)
    assert await hass.config_entries.async_setup(config_entry.entry_id)
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_ON)
    states = [
        new.state
        for change in changes
        if (new := change.data["new_state"]) and new.entity_id == CONNECTIVITY
    ]
    assert states == [STATE_UNKNOWN, STATE_ON]


async def test_slow(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow server keeps its token, but one that has begun anew does not."""
    monkeypatch.setattr(access, "PATIENCE", 0.03)
    await setup_integration(hass, config_entry)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    plex.faults.add(Delay(0.1), path="/library/sections")
    for _ in range(2):
        await access.async_ask_library(server, PlexLibrary.get_sections)
    assert len(plex.requests.matching(path="/library/sections")) == 2
    # Nor does it seem to be gone if all that it is asked takes long.
    monkeypatch.setattr(server_coordinator, "TOKEN_TIMEOUT", 0.5)
    monkeypatch.setattr(server_coordinator, "CHECK_TIMEOUT", 0.45)
    delays = [plex.faults.add(Delay(0.3), path=path) for path in ("/", "/security/*")]
    await access.async_ask_library(server, PlexLibrary.get_sections)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert server.last_update_success
    assert len(attic.transient_tokens) == 1
    for delay in delays:
        plex.faults.remove(delay)
    attic.forget_tokens()
    await access.async_ask_library(server, PlexLibrary.get_sections)
    assert len(attic.transient_tokens) == 1


async def test_answers_while_it_is_looked_for(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An answer that comes late is as good as one that comes at once."""
    monkeypatch.setattr(access, "PATIENCE", 0.03)
    await setup_integration(hass, config_entry)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    plex.faults.add(Delay(0.1), path="/library/sections")
    plex.faults.add(Delay(0.3), path="/identity")
    assert await access.async_ask_library(server, PlexLibrary.get_sections)
    assert len(plex.requests.matching(path="/library/sections")) == 1


async def test_back_at_once(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry
) -> None:
    """Once a server has been found again, nobody is told that it was not there."""
    await attic.stop()
    await setup_integration(hass, config_entry)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    with pytest.raises(HomeAssistantError) as raised:
        await server.async_refresh_or_raise()
    assert raised.value.translation_domain == DOMAIN
    assert raised.value.translation_key == "server_unreachable"
    assert raised.value.translation_placeholders == {"name": "Attic"}
    await attic.start()
    await server.async_refresh()
    assert (await server.async_get_access()).connection.uri == attic.url
