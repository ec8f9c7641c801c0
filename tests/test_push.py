"""Tests of push: what happens to a server is known at once, and nothing storms."""

import asyncio
from datetime import timedelta
import logging
import random

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.plex_account import push, server_coordinator
from custom_components.plex_account.api import connections, http
from homeassistant.const import (
    EVENT_HOMEASSISTANT_STOP,
    STATE_OFF,
    STATE_ON,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir

from . import Tick, follow, perform, setup_integration, state_of, until
from .const import ACCOUNT_POLL, SERVER_POLL
from .listeners import move
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Connection,
    Delay,
    Ending,
    Fault,
    MediaServer,
    PlexEmulator,
    Vanish,
    error,
    redirect,
)

CONNECTIVITY = "binary_sensor.attic_connectivity"
REMOTE_ACCESS = "sensor.attic_remote_access"
PUSH = "/:/websockets/notifications"
ACCOUNT = "/myplex/account"


@pytest.fixture
async def listening(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry
) -> None:
    """Set the account up, and wait until the server is listened to."""
    await setup_integration(hass, config_entry)
    await until(lambda: len(attic.push.sockets) == 1)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listen again soon; needed before, as the first pause is known from then on."""
    monkeypatch.setattr(push, "MIN_PAUSE", 1)


async def settle(hass: HomeAssistant) -> None:
    """Wait for what has been started."""
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.usefixtures("listening")
async def test_down_and_back(
    hass: HomeAssistant, attic: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that goes down is off at once, and on with a new token soon after."""
    monkeypatch.setattr(server_coordinator, "DOWN_INTERVAL", 0.1)
    (before,) = attic.transient_tokens
    await attic.stop()
    attic.forget_tokens()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    # Well before anybody would ask by the clock.
    await attic.start()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_ON)
    (after,) = attic.transient_tokens
    assert after != before
    await until(lambda: len(attic.push.sockets) == 1)


@pytest.mark.usefixtures("soon", "listening")
async def test_goodbye(hass: HomeAssistant, attic: MediaServer) -> None:
    """A server that closes the socket before it goes is missed all the same."""
    await attic.push.hang_up()
    await settle(hass)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)


async def test_not_before_it_has_answered(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """At a start nobody gets the token of plex.tv who has not said who it is."""
    await until(lambda: len(attic.push.sockets) == 1)
    await hass.config_entries.async_unload(loaded.entry_id)
    plex.requests.clear()
    attic.listing.product_version = "1.44.0.1-0123456"
    plex.faults.add(Delay(0.3), path="/identity")
    await hass.config_entries.async_setup(loaded.entry_id)
    await until(lambda: len(attic.push.sockets) == 1)
    await settle(hass)
    asked = [request.path for request in plex.requests.matching(host="Attic")]
    assert asked.index("/security/token") < asked.index(PUSH)


async def test_unknown_for_a_moment(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server that has listened to us once, and does not now, is asked again."""
    monkeypatch.setattr(push, "MIN_PAUSE", 0.1)
    await setup_integration(hass, config_entry)
    await until(lambda: len(attic.push.sockets) == 1)
    rule = plex.faults.add(error(401, kind="html"), path=PUSH, times=2)
    await attic.push.hang_up()
    await until(lambda: len(attic.push.sockets) == 1)
    assert rule.hits == 2
    # Nor is one that has been away.
    monkeypatch.setattr(server_coordinator, "DOWN_INTERVAL", 0.1)
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    await attic.start()
    await until(lambda: len(attic.push.sockets) == 1)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("fault", [error(503), error(401, kind="html"), Vanish()])
async def test_not_yet_ready(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """A server that answers before it gives tokens is asked again and again."""
    monkeypatch.setattr(server_coordinator, "DOWN_INTERVAL", 0.1)
    monkeypatch.setattr(server_coordinator, "MAX_DOWN_INTERVAL", 0.1)
    await attic.stop()
    attic.forget_tokens()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    rule = plex.faults.add(fault, path="/security/token")
    await attic.start()
    await until(lambda: rule.hits > 2)
    plex.faults.remove(rule)
    await until(lambda: bool(attic.transient_tokens))
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "available")


@pytest.mark.usefixtures("freezer", "listening")
async def test_listed_as_offline_while_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """That plex.tv misses it, too, is no reason not to look for a server."""
    attic.listing.presence = False
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    await settle(hass)
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    assert not server.data.resource.presence
    await attic.start()
    for _ in range(2):
        await tick(timedelta(seconds=15))
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    # After a while it is believed.
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    for _ in range(10):
        await tick(timedelta(minutes=1))
    plex.requests.clear()
    await tick(SERVER_POLL)
    assert not plex.requests


@pytest.mark.usefixtures("listening")
async def test_quick_restart(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry
) -> None:
    """A server that closes the socket is looked at, and its dead token replaced."""
    attic.forget_tokens()
    await attic.push.hang_up()
    await until(lambda: len(attic.transient_tokens) == 1)
    await settle(hass)
    data = config_entry.runtime_data.servers[attic.machine_identifier].data
    assert data.token.token == attic.transient_tokens[0].text
    assert state_of(hass, CONNECTIVITY) == STATE_ON


@pytest.mark.usefixtures("soon", "listening")
async def test_restart_while_nobody_listens(
    hass: HomeAssistant, attic: MediaServer
) -> None:
    """A server that is listened to again is looked at, as it may have started anew."""
    await attic.push.hang_up()
    await settle(hass)
    attic.forget_tokens()
    await until(lambda: len(attic.transient_tokens) == 1)


@pytest.mark.usefixtures("listening")
async def test_down_beside_silent_addresses(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that refuses is soon off, though other addresses are silent."""
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.3)
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 1.5)
    silent = Connection.at(f"http://127.0.0.1:{plex.silent_port}")
    attic.listing.connections.append(silent)
    await perform(hass, "get_user_details", refresh=True)
    start = hass.loop.time()
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    assert hass.loop.time() - start < 1.2
    await settle(hass)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF


@pytest.mark.usefixtures("freezer", "listening")
async def test_looks_while_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that is down is asked who it is less and less often, and no more."""
    plex.faults.add(Vanish(), host="Attic")
    await attic.push.hang_up()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    await settle(hass)
    looks = []
    for second in range(1, 900):
        plex.requests.clear()
        await tick(timedelta(seconds=1))
        requests = plex.requests.matching(host="Attic")
        if requests:
            looks.append(second)
        assert {request.path for request in requests} <= {"/identity"}
        assert not any(request.token for request in requests)
    gaps = [after - before for before, after in zip([0, *looks], looks, strict=False)]
    for gap, expected in zip(gaps, [5, 10, 20, 40, 60, 60], strict=False):
        # Home Assistant's timers are up to two seconds late.
        assert expected * 0.75 - 1 <= gap <= expected * 1.25 + 3
    assert gaps[-1] >= 299
    assert caplog.text.count("Error fetching Plex server Attic") == 1


@pytest.mark.usefixtures("listening")
async def test_silent_death(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that is gone without a word is missed, and is not given much time."""
    monkeypatch.setattr(http, "HEARTBEAT", 0.2)
    await config_entry.runtime_data.servers[attic.machine_identifier].async_hang_up()
    attic.push.answers_pings = False
    await hass.config_entries.async_reload(config_entry.entry_id)
    await until(lambda: len(attic.push.sockets) == 1)
    # CHECK_TIMEOUT is for those who are not in doubt.
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.1)
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 0.4)
    plex.faults.add(Vanish(Ending.SILENCE), host="Attic")
    start = hass.loop.time()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    assert hass.loop.time() - start < server_coordinator.CHECK_TIMEOUT


@pytest.mark.parametrize(
    "fault",
    [
        error(401, kind="html"),
        error(404, kind="html"),
        error(502, kind="html"),
        error(200, kind="html"),
        redirect("http://127.0.0.1:9/elsewhere"),
        Vanish(),
        Vanish(Ending.SILENCE),
    ],
)
async def test_no_push(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """A server or something on the way that does no WebSockets costs nothing else."""
    monkeypatch.setattr(http, "CONNECT_TIMEOUT", 0.2)
    plex.faults.add(fault, path=PUSH)
    await setup_integration(hass, config_entry)
    await until(lambda: bool(plex.requests.matching(path=PUSH)))
    for _ in range(12):
        await tick(SERVER_POLL)
        await asyncio.sleep(0.01)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert len(attic.transient_tokens) == 1
    assert len(plex.requests.matching(host="Attic", path="/")) == 12
    assert not [
        r
        for r in caplog.records
        if r.levelno >= logging.WARNING
        and (r.name.startswith("custom_components.plex_account"))
    ]
    assert caplog.text.count("does not push") == 1


async def test_refused_token(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    authority: CertificateAuthority,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """A token that may not listen is not tried again, but the next one is."""
    rule = plex.faults.add(error(401, kind="html"), path=PUSH)
    await setup_integration(hass, config_entry)
    await until(lambda: bool(plex.requests.matching(path=PUSH)))
    plex.faults.remove(rule)
    for _ in range(3):
        await tick(SERVER_POLL)
    # Nor where the server is next.
    await move(attic, authority)
    await tick(ACCOUNT_POLL)
    await tick(SERVER_POLL)
    assert len(plex.requests.matching(path=PUSH)) == 1
    attic.revoke(attic.owner)
    await tick(ACCOUNT_POLL)
    await until(lambda: len(attic.push.sockets) == 1)
    assert attic.push.sockets[0].received.token == attic.access_token(attic.owner)


async def test_back_off(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is tried less and less often, until the server listens to reason."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def fast_sleep(seconds: float) -> None:
        if seconds > 1:
            pauses.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", fast_sleep)
    monkeypatch.setattr(random, "uniform", max)
    rule = plex.faults.add(error(502, kind="html"), path=PUSH)
    await setup_integration(hass, config_entry)
    await until(lambda: len(pauses) >= 8)
    plex.faults.remove(rule)
    await until(lambda: len(attic.push.sockets) == 1)
    assert pauses[:8] == [5, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.usefixtures("listening")
async def test_flood(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer
) -> None:
    """What is not asked for does not come, and would do nothing if it did."""
    (socket,) = attic.push.sockets
    assert socket.received.query["filters"] == "reachability,preference"
    assert socket.received.headers["X-Plex-Token"]
    assert "X-Plex-Token" not in socket.received.query
    attic.push.honours_filters = False
    plex.requests.clear()
    for number in range(1600):
        await attic.push.send("activity", ActivityNotification=[{"uuid": str(number)}])
    await socket.response.send_str("{")
    await socket.response.send_str("[]")
    await socket.response.send_str('{"NotificationContainer": 1}')
    await socket.response.send_bytes(b"\0")
    await attic.push.send("preference", Setting=[{"id": "FriendlyName"}])
    # What comes last is still heard.
    await attic.map_port("waiting")
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "pending")
    assert sorted(request.path for request in plex.requests) == ["/:/prefs", ACCOUNT]
    assert len(attic.push.sockets) == 1


async def test_closed_in_the_end(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    authority: CertificateAuthority,
    listening: None,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """No socket is left behind, whatever is the end of it."""
    # The server is somewhere else.
    moved = await move(attic, authority)
    await until(lambda: [s.received.port for s in attic.push.sockets] == [moved.port])
    await hass.config_entries.async_reload(config_entry.entry_id)
    await until(lambda: len(attic.push.sockets) == 1)
    # It is somebody else's.
    await plex.remove_server(attic)
    cellar = await plex.add_server("Cellar", owner=ada)
    await tick(ACCOUNT_POLL)
    await until(lambda: len(cellar.push.sockets) == 1)
    assert not attic.push.sockets
    await hass.config_entries.async_unload(config_entry.entry_id)
    tasks = {task.get_name() for task in asyncio.all_tasks()}
    assert "Plex server Cellar push" not in tasks
    await until(lambda: not cellar.push.sockets)


@pytest.mark.usefixtures("listening")
async def test_home_assistant_stops(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer
) -> None:
    """The sockets are closed first, so nothing looks like a loss."""
    plex.requests.clear()
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await settle(hass)
    await until(lambda: not attic.push.sockets)
    assert not plex.requests


@pytest.mark.parametrize(
    ("publishes", "mapping", "expected"),
    [
        (True, ("mapped", ""), "available"),
        (True, ("waiting", ""), "pending"),
        (True, ("mapped", "unreachable"), "unreachable"),
        (True, ("failed", "publisherror"), "unreachable"),
        (True, ("unknown", ""), "unreachable"),
        (True, ("odd", ""), STATE_UNKNOWN),
        (False, ("mapped", ""), "disabled"),
        (None, ("mapped", ""), "available"),
    ],
)
@pytest.mark.parametrize("xml_only", [False, True])
async def test_remote_access(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    publishes: bool | None,
    mapping: tuple[str, str],
    expected: str,
    xml_only: bool,
) -> None:
    """The sensor tells what the server has found out."""
    attic.publishes, attic.mapping, attic.xml_only = publishes, mapping, xml_only
    await setup_integration(hass, config_entry)
    assert state_of(hass, REMOTE_ACCESS) == expected


@pytest.mark.usefixtures("listening")
async def test_remote_access_pushed(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, tick: Tick
) -> None:
    """It is known at once; nothing is lost by an error, and nothing asked too often."""
    assert state_of(hass, REMOTE_ACCESS) == "available"
    await attic.map_port("failed", "unreachable")
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "unreachable")
    attic.publishes = False
    setting = {"id": "PublishServerOnPlexOnlineKey", "value": False}
    await attic.push.send("preference", Setting=[setting])
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "disabled")

    attic.publishes = True
    rule = plex.faults.add(error(500), path=ACCOUNT)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, REMOTE_ACCESS) == "disabled"
    plex.faults.remove(rule)
    plex.requests.clear()
    await tick(ACCOUNT_POLL)
    assert len(plex.requests.matching(path=ACCOUNT)) == 1
    assert not plex.requests.matching(method="PUT")


@pytest.mark.usefixtures("soon", "listening")
async def test_told_to_nobody(
    hass: HomeAssistant, attic: MediaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server tells while nobody listens is asked for afterwards."""
    await attic.push.hang_up()
    await attic.map_port("failed", "unreachable")
    assert not attic.push.sockets
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "unreachable")
    # As it is if that happens while the server starts.
    monkeypatch.setattr(server_coordinator, "DOWN_INTERVAL", 0.1)
    await attic.stop()
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    attic.mapping = ("mapped", "")
    await attic.start()
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "available")


@pytest.mark.usefixtures("listening")
async def test_claimed_again(
    hass: HomeAssistant, attic: MediaServer, tick: Tick
) -> None:
    """Who has signed a server in again need not wait for the repair to go."""
    attic.claimed = False
    await tick(SERVER_POLL)
    await until(lambda: bool(ir.async_get(hass).issues))
    attic.claimed = True
    await tick(SERVER_POLL)
    await tick(timedelta(seconds=2))
    assert not ir.async_get(hass).issues


@pytest.mark.usefixtures("listening")
async def test_many_messages(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, tick: Tick
) -> None:
    """However much a server has to say, it is asked once, and once more at the end."""
    await settle(hass)
    await tick(timedelta(seconds=2))
    plex.requests.clear()
    for _ in range(100):
        await attic.map_port("failed", "unreachable")
    await until(lambda: state_of(hass, REMOTE_ACCESS) == "unreachable")
    await tick(timedelta(seconds=2))
    assert len(plex.requests.matching(path=ACCOUNT)) <= 2


async def test_not_encrypted(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, config_entry: MockConfigEntry
) -> None:
    """The token that lasts is not sent where everybody can read it."""
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    await setup_integration(hass, config_entry)
    await until(lambda: len(attic.push.sockets) == 1)
    (asked,) = plex.requests.matching(path=PUSH)
    assert asked.token == attic.transient_tokens[0].text


async def test_shared_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """A server of somebody else is not asked for what only its owner may know."""
    library = await plex.add_server("Library", owner=grace)
    plex.share(library, ada, public_address_matches=True)
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    assert state_of(hass, "binary_sensor.library_connectivity") == STATE_ON
    await until(lambda: len(library.push.sockets) == 1)
    await library.map_port("failed", "unreachable")
    # The listener is nothing that Home Assistant waits for.
    await asyncio.sleep(0.2)
    await settle(hass)
    assert not plex.requests.matching(host="Library", path=ACCOUNT)
    assert er.async_get(hass).async_get("sensor.library_remote_access") is None


@pytest.mark.usefixtures("listening")
async def test_signed_out(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer
) -> None:
    """A server that has lost its account is told of, before it says so to strangers."""
    attic.claimed = False
    for path in ("/identity", "/"):
        plex.faults.add(error(500), host="Attic", path=path)
    await attic.map_port("unknown")
    await until(lambda: bool(ir.async_get(hass).issues))
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_key == "server_unclaimed"
