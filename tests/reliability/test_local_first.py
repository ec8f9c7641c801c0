"""What is in the house works without the internet, and nobody waits for the dead."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
import random
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import access, coordinator, server_coordinator
from custom_components.plex_account.api import connections
from homeassistant.const import (
    EVENT_STATE_CHANGED,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from tests import Tick, names_of_devices, setup_integration, state_of, until
from tests.const import ACCOUNT_POLL
from tests.listeners import hide
from tests.plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Delay,
    Ending,
    Fault,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
    Vanish,
    error,
)

from .world import Call

CONNECTIVITY = "binary_sensor.attic_connectivity"
PLEX_PASS = "binary_sensor.ada_plex_pass"
SILENCE = Vanish(Ending.SILENCE)

type Restart = Callable[[], Awaitable[float]]


@pytest.fixture
async def restart(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry
) -> Restart:
    """Set the account up, and return what restarts it and tells how long that takes."""
    await setup_integration(hass, config_entry)

    async def restart() -> float:
        await hass.config_entries.async_unload(config_entry.entry_id)
        start = hass.loop.time()
        await hass.config_entries.async_setup(config_entry.entry_id)
        return hass.loop.time() - start

    return restart


@pytest.fixture
def hurry(restart: Restart, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a server that is known be given up ten times sooner."""
    for module, name in (
        (access, "PATIENCE"),
        (connections, "PROBE_TIMEOUT"),
        (server_coordinator, "CHECK_TIMEOUT"),
        (server_coordinator, "LONG_PATIENCE"),
        (server_coordinator, "PATIENCE"),
        (server_coordinator, "PLEX_TV_PATIENCE"),
        (server_coordinator, "TOKEN_TIMEOUT"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name) / 10)


@pytest.fixture
async def by_name(
    attic: MediaServer,
    authority: CertificateAuthority,
    names: None,
    restart: Restart,
    config_entry: MockConfigEntry,
) -> None:
    """Let the server be reached by the name of its local address."""
    await hide(attic, authority)
    await config_entry.runtime_data.async_refresh()


async def test_two_round_trips(plex: PlexEmulator, restart: Restart) -> None:
    """The set-up of a known account waits for its servers only, twice."""
    plex.requests.clear()
    plex.faults.add(Delay(0.5), host="plex.tv")
    assert await restart() < 0.5
    asked = [request.path for request in plex.requests.matching(host="Attic")]
    assert asked[:2] == ["/identity", "/security/token"]


@pytest.mark.parametrize(
    "fault",
    [Vanish(), SILENCE, error(503), error(429, code=1003), error(500, kind="html")],
)
async def test_start_without_plex_tv(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    restart: Restart,
    call: Call,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
    fault: Fault,
) -> None:
    """Servers and actions work, and the account's entities as soon as plex.tv does."""
    rule = plex.faults.add(fault, host="plex.tv")
    assert await restart() < 2
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE
    token = (await call("get_transient_token"))["token"]
    assert token == attic.transient_tokens[-1].text
    source = f"server://{attic.machine_identifier}"
    found = await call("get_source_connection_information", source=source)
    assert found["preferred_uri"] == attic.url
    assert (await call("get_user_details"))["username"] == "ada"
    assert (await call("get_sources"))["sources"][0]["source"] == source
    assert not hass.config_entries.flow.async_progress()

    # Until nobody waits for the answer any more.
    await tick(timedelta(seconds=16))
    assert caplog.text.count("Error fetching Plex account") == 1
    plex.faults.remove(rule)
    # It is asked again soon, though not at once.
    await tick(timedelta(minutes=2))
    assert state_of(hass, PLEX_PASS) == STATE_ON


@pytest.mark.parametrize("luck", [0, 0.5, 1])
async def test_asked_less_and_less(
    hass: HomeAssistant,
    plex: PlexEmulator,
    restart: Restart,
    tick: Tick,
    monkeypatch: pytest.MonkeyPatch,
    luck: float,
) -> None:
    """A plex.tv that stays silent after a start is asked less and less often."""
    monkeypatch.setattr(random, "uniform", lambda low, high: low + (high - low) * luck)
    plex.faults.add(Vanish(), host="plex.tv")
    await restart()
    await hass.async_block_till_done(wait_background_tasks=True)
    asked = []
    for _ in range(120):
        plex.requests.clear()
        await tick(timedelta(minutes=1))
        asked.append(bool(plex.requests.matching(path="/api/v2/user")))
    assert 4 <= sum(asked[:30]) <= 10
    assert 2 <= sum(asked[60:]) <= 4


async def test_nobody_waits_for_silence(
    hass: HomeAssistant,
    plex: PlexEmulator,
    restart: Restart,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If neither plex.tv nor the server answers, the start goes on all the same."""
    monkeypatch.setattr(coordinator, "START_TIMEOUT", 0.2)
    plex.faults.add(SILENCE)
    assert await restart() < 1
    assert state_of(hass, CONNECTIVITY) == STATE_UNKNOWN
    assert state_of(hass, PLEX_PASS) == STATE_UNAVAILABLE


async def test_an_hour_later(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    attic: MediaServer,
    restart: Restart,
    tick: Tick,
    config_entry: MockConfigEntry,
) -> None:
    """What plex.tv tells after an outage is taken over; before that nothing is lost."""
    cellar = await plex.add_server("Cellar", owner=ada)
    await config_entry.runtime_data.async_refresh()
    rule = plex.faults.add(Vanish(), host="plex.tv")
    await restart()
    assert names_of_devices(hass, config_entry) == {"ada", "Attic", "Cellar"}
    # Meanwhile one is renamed, one is somebody else's, one is new, and all tokens are.
    attic.name = "Roof"
    await plex.remove_server(cellar)
    barn = await plex.add_server("Barn", owner=ada)
    await tick(timedelta(hours=1))
    plex.faults.remove(rule)
    await tick(ACCOUNT_POLL)
    assert names_of_devices(hass, config_entry) == {"ada", "Roof", "Barn"}
    assert state_of(hass, "binary_sensor.barn_connectivity") == STATE_ON
    assert barn.transient_tokens


async def test_signed_out_meanwhile(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, restart: Restart, tick: Tick
) -> None:
    """Only plex.tv's own word asks for another sign-in, and the servers stay."""
    rule = plex.faults.add(Vanish(), host="plex.tv")
    plex.sign_out_everywhere(ada)
    await restart()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not hass.config_entries.flow.async_progress()
    plex.faults.remove(rule)
    await tick(timedelta(minutes=2))
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == "reauth"
    assert hass.states.get(CONNECTIVITY)


async def test_names_after_a_power_cut(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    resolver: LoopbackResolver,
    restart: Restart,
    by_name: None,
    tick: Tick,
    config_entry: MockConfigEntry,
) -> None:
    """Names that resolve again are no reason for a repair."""
    connector = config_entry.runtime_data.session.connector
    patterns = resolver.patterns[:]
    resolver.patterns.clear()
    connector.clear_dns_cache()
    rule = plex.faults.add(Vanish(), host="plex.tv")
    await restart()
    await hass.async_block_till_done(wait_background_tasks=True)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    assert server.data.connection.pinned

    resolver.patterns.extend(patterns)
    connector.clear_dns_cache()
    plex.faults.remove(rule)
    for _ in range(30):
        await tick(timedelta(minutes=2))
        assert not ir.async_get(hass).issues
    assert state_of(hass, PLEX_PASS) == STATE_ON
    assert not server.data.connection.pinned


@pytest.mark.usefixtures("attic", "hurry")
async def test_half_dead_server(
    hass: HomeAssistant, plex: PlexEmulator, call: Call
) -> None:
    """A server that says who it is, but nothing else, is not waited for long either."""
    await hass.async_block_till_done(wait_background_tasks=True)
    for path in ("/", "/security/*"):
        plex.faults.add(SILENCE, host="Attic", path=path)
    start = hass.loop.time()
    with pytest.raises(HomeAssistantError) as raised:
        await call("get_transient_token")
    assert raised.value.translation_key == "timeout_connect"
    assert raised.value.translation_placeholders == {"name": "Attic"}
    assert hass.loop.time() - start < 3


def test_six_seconds() -> None:
    """In truth who is not hurried gives a dead server six seconds."""
    patience = server_coordinator.PATIENCE
    probing = connections.PROBE_TIMEOUT + server_coordinator.PLEX_TV_PATIENCE
    assert patience + probing < 6
    assert patience + server_coordinator.TOKEN_TIMEOUT < 6


@pytest.mark.parametrize(
    ("action", "fields", "fault", "plex_tv"),
    [
        ("get_transient_token", {}, SILENCE, SILENCE),
        ("get_transient_token", {"refresh": True}, SILENCE, None),
        ("get_source_connection_information", {"source": "Attic"}, SILENCE, None),
        ("get_source_connection_information", {"source": "Attic"}, Vanish(), SILENCE),
    ],
)
@pytest.mark.usefixtures("attic", "hurry")
async def test_dead_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    action: str,
    fields: dict[str, Any],
    fault: Fault,
    plex_tv: Fault | None,
) -> None:
    """An action on a dead server soon fails, and for a while after that at once."""
    monkeypatch.setattr(server_coordinator, "KNOWN_DEAD_TIME", 10)
    await hass.async_block_till_done(wait_background_tasks=True)
    plex.faults.add(fault, host="Attic")
    if plex_tv:
        plex.faults.add(plex_tv, host="plex.tv")
    start = hass.loop.time()
    with pytest.raises(HomeAssistantError) as raised:
        await call(action, **fields)
    assert raised.value.translation_key in {"server_unreachable", "server_just_tried"}
    assert hass.loop.time() - start < 2
    plex.requests.clear()
    start = hass.loop.time()
    with pytest.raises(HomeAssistantError):
        await call(action, **fields)
    assert hass.loop.time() - start < 0.1
    assert not plex.requests.matching(host="Attic")
    assert state_of(hass, CONNECTIVITY) == STATE_OFF


async def test_one_probe(
    plex: PlexEmulator,
    attic: MediaServer,
    restart: Restart,
    config_entry: MockConfigEntry,
) -> None:
    """A dead server is looked for a second time only where plex.tv has news of it."""
    old = attic.listing.connections
    await attic.stop()
    attic.listing.connections = [*old, Connection.at("http://127.0.0.1:9")]
    plex.requests.clear()
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    await server.async_refresh()
    assert len(plex.requests.matching(path="/api/v2/resources")) == 1
    assert "http://127.0.0.1:9" in server.data.outcome.tried
    plex.requests.clear()
    await server.async_refresh()
    assert not plex.requests


@pytest.mark.usefixtures("restart")
async def test_slow_is_not_off(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that takes its time is not said to be off, as one that is silent is."""
    await until(lambda: len(attic.push.sockets) == 1)
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.1)
    states = []

    @callback
    def remember(event: Event[EventStateChangedData]) -> None:
        if event.data["entity_id"] == CONNECTIVITY and event.data["new_state"]:
            states.append(event.data["new_state"].state)

    hass.bus.async_listen(EVENT_STATE_CHANGED, remember)
    plex.faults.add(Delay(0.3), host="Attic")
    await attic.push.hang_up()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert states == []
