"""Tests of what happens in the middle of something else."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

from freezegun.api import TickingDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.plex_account import coordinator, pins
from custom_components.plex_account.const import DOMAIN
from homeassistant.components.image import async_get_image
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from tests import PATIENCE, names_of_devices, state_of, unexpected, until
from tests.const import PASSWORD
from tests.plex_emulator import Fault, error

from .cases import ODD_NAME, reshaped
from .midway import Beside, Hold, Nth, Restart
from .places import AVATAR, CONNECTIVITY, PLEX_PASS, key
from .world import World

RENEW = "button.attic_renew_transient_token"


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait before another attempt, or another look at a link code."""
    monkeypatch.setattr(pins, "POLL_INTERVAL", 0.01)


async def live(world: World) -> list[str]:
    """Do all that sends requests, and return the errors that are seen."""
    errors: list[str | None] = []
    await world.set_up()
    entries = world.hass.config_entries
    if not entries.async_loaded_entries(DOMAIN):
        (entry,) = entries.async_entries(DOMAIN)
        assert entry.error_reason_translation_key
        return [entry.error_reason_translation_key]
    await world.server.async_refresh()
    for doing in (
        world.call("get_transient_token"),
        world.call("get_transient_token", refresh=True),
        world.look_up(),
        press(world),
        world.call("get_user_details", refresh=True),
        world.look_up(refresh=True),
    ):
        errors.append(await key(doing))
        await world.settle()
    return [error for error in errors if error]


async def lives(
    world: World, host: str, happening: Callable[[], Fault]
) -> AsyncGenerator[list[str]]:
    """Live once for each request of a life, at which something happens."""
    for number in count():
        fault = Nth(number, happening())
        rule = world.plex.faults.add(fault, host=host)
        errors = await live(world)
        world.plex.faults.remove(rule)
        if fault.count < number:
            assert number > 3
            return
        yield errors
        for entry in world.hass.config_entries.async_entries(DOMAIN):
            await world.hass.config_entries.async_remove(entry.entry_id)


async def press(world: World) -> None:
    """Press the button that renews the token."""
    await world.hass.services.async_call(
        "button", "press", {ATTR_ENTITY_ID: RENEW}, blocking=True
    )


async def check_well(world: World) -> None:
    """Check that everything works."""
    assert world.account.last_update_success
    assert state_of(world.hass, PLEX_PASS) == STATE_ON
    assert state_of(world.hass, CONNECTIVITY) == STATE_ON
    answer = await world.look_up()
    assert answer["preferred_uri"]
    token = await world.call("get_transient_token", device_id=world.device_id)
    assert token["token"] in [good.text for good in world.attic.transient_tokens]


async def test_server_restarts(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever request a server restarts at, at the next look all is well again."""
    restart = Restart(world.attic)
    async for _ in lives(world, "Attic", lambda: restart):
        assert restart.restart
        await restart.restart
        await world.server.async_refresh()
        await check_well(world)
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("first", [True, False])
async def test_server_restarts_unnoticed(
    world: World, caplog: pytest.LogCaptureFixture, first: bool
) -> None:
    """A token that dies between two requests is replaced, and nobody sees that."""
    forget = Beside(world.attic._transient.clear, first)
    async for errors in lives(world, "Attic", lambda: forget):
        assert errors == []
        await world.server.async_refresh()
        await check_well(world)
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("first", [True, False])
async def test_server_token_revoked(
    world: World, caplog: pytest.LogCaptureFixture, first: bool
) -> None:
    """A server's new token comes from plex.tv, without anybody being asked."""
    revoke = Beside(lambda: world.attic.revoke(world.ada), first)
    async for _ in lives(world, "Attic", lambda: revoke):
        for _ in range(2):
            await world.server.async_refresh()
            await world.settle()
        await check_well(world)
        assert not world.hass.config_entries.flow.async_progress()
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("first", [True, False])
async def test_account_token_revoked(
    world: World, caplog: pytest.LogCaptureFixture, first: bool
) -> None:
    """Whenever the account is signed out, the user is asked once, and all is back."""
    revoke = Beside(lambda: world.plex.sign_out_everywhere(world.ada), first)
    async for _ in lives(world, "plex.tv", lambda: revoke):
        await sign_in_again(world)
    assert not unexpected(caplog.records)


async def sign_in_again(world: World) -> None:
    """Sign out everywhere, do what Home Assistant asks for, and check that it helps."""
    hass = world.hass
    world.plex.sign_out_everywhere(world.ada)
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    if entry.state is ConfigEntryState.LOADED:
        await world.account.async_refresh()
        await world.account.async_refresh()
    await world.settle()
    registered = world.registered()

    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    configure = hass.config_entries.flow.async_configure
    await configure(flow["flow_id"], {"next_step_id": "password"})
    result = await configure(flow["flow_id"], {"username": "ada", "password": PASSWORD})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "reauth_successful"
    await world.settle()
    await check_well(world)
    assert not hass.config_entries.flow.async_progress()
    if entry.state is ConfigEntryState.LOADED:
        assert registered.ids <= world.registered().ids


# What the user does meanwhile


type Doing = Callable[[World], Awaitable[object]]

DOINGS: dict[str, Doing] = {
    "/api/v2/user": lambda world: world.account.async_refresh(),
    "/api/v2/resources": lambda world: world.account.async_refresh(),
    "/api/v2/ping": lambda world: world.account.async_refresh(),
    "/identity": lambda world: world.lose_server(),
    "/security/token": lambda world: world.call("get_transient_token", refresh=True),
    "/": lambda world: world.server.async_refresh(),
    "/security/resources": lambda world: world.look_up(),
    "/users/*/avatar": lambda world: async_get_image(world.hass, AVATAR),
}


async def start(
    world: World, path: str, *, answered: bool = False
) -> tuple[Hold, asyncio.Task[str | None]]:
    """Start what sends a request, and wait for that."""
    hold = Hold(answered)
    world.plex.faults.add(hold, path=path, times=1)
    doing = asyncio.create_task(key(DOINGS[path](world)))
    async with asyncio.timeout(PATIENCE):
        await hold.arrived.wait()
    return hold, doing


async def end(hold: Hold, *tasks: asyncio.Task[Any]) -> None:
    """Let what was started come to its end."""
    await asyncio.sleep(0.01)
    hold.released.set()
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*tasks)


async def interrupt(
    world: World,
    path: str,
    do: Callable[[str], Coroutine[Any, Any, object]],
    *,
    answered: bool = False,
) -> ConfigEntry:
    """Do something with the entry of the account while something else is going on."""
    (entry,) = world.hass.config_entries.async_entries(DOMAIN)
    hold, doing = await start(world, path, answered=answered)
    await end(hold, doing, asyncio.create_task(do(entry.entry_id)))
    await world.settle()
    return entry


@pytest.fixture
def ping_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each refresh extend the life of the token."""
    monkeypatch.setattr(coordinator, "PING_INTERVAL", timedelta())


@pytest.mark.parametrize("path", DOINGS)
@pytest.mark.usefixtures("ping_each_time")
async def test_unload(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """An account that is unloaded leaves Plex alone, and can be loaded again."""
    hass = world.hass
    await world.set_up()
    registered = world.registered()
    entry = await interrupt(world, path, hass.config_entries.async_unload)
    assert entry.state is ConfigEntryState.NOT_LOADED
    before = len(world.plex.requests)
    async_fire_time_changed(hass, fire_all=True)
    await world.settle()
    assert len(world.plex.requests) == before
    assert world.registered() == registered

    assert await hass.config_entries.async_setup(entry.entry_id)
    await world.settle()
    await check_well(world)
    assert world.registered() == registered
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("path", DOINGS)
@pytest.mark.usefixtures("ping_each_time")
async def test_reload(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """An account that is loaded again works as before."""
    await world.set_up()
    registered = world.registered()
    entry = await interrupt(world, path, world.hass.config_entries.async_reload)
    assert entry.state is ConfigEntryState.LOADED
    await check_well(world)
    assert world.registered() == registered
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("path", DOINGS)
@pytest.mark.usefixtures("ping_each_time")
async def test_remove(
    world: World, caplog: pytest.LogCaptureFixture, path: str, answered: bool
) -> None:
    """An account that is removed leaves nothing, here and at plex.tv."""
    hass = world.hass
    await world.set_up()
    entry = await interrupt(
        world, path, hass.config_entries.async_remove, answered=answered
    )
    assert not hass.config_entries.async_entries(DOMAIN)
    assert not dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert not er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    assert not world.plex.tv.tokens
    before = len(world.plex.requests)
    async_fire_time_changed(hass, fire_all=True)
    await world.settle()
    assert len(world.plex.requests) == before
    assert not unexpected(caplog.records)


@pytest.mark.parametrize("path", ["/api/v2/user", "/identity", "/security/token"])
async def test_remove_while_set_up(
    world: World, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    """The same goes while it is set up."""
    hass = world.hass
    hold = Hold()
    world.plex.faults.add(hold, path=path, times=1)
    entry = world.new_entry()
    entry.add_to_hass(hass)
    set_up = hass.async_create_task(hass.config_entries.async_setup(entry.entry_id))
    async with asyncio.timeout(PATIENCE):
        await hold.arrived.wait()
    remove = hass.async_create_task(hass.config_entries.async_remove(entry.entry_id))
    await end(hold, set_up, remove)
    await world.settle()
    assert not hass.config_entries.async_entries(DOMAIN)
    assert not dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    assert not world.plex.tv.tokens
    assert not unexpected(caplog.records)


# What Plex says


async def test_wait_is_longer_than_the_code_lives(world: World) -> None:
    """However long plex.tv asks us to wait, a code that expires is replaced."""
    hass = world.hass
    flow = hass.config_entries.flow
    result = await flow.async_init(DOMAIN, context={"source": "user"})
    await flow.async_configure(result["flow_id"], {"next_step_id": "password"})
    fault = error(429, code=1003, headers={"Retry-After": "86400"})
    world.plex.faults.add(fault, path="/api/v2/pins/*", method="GET")
    pin_fault = reshaped(lambda pin: pin | {"expiresIn": 1})
    world.plex.faults.add(pin_fault, path="/api/v2/pins", method="POST")
    result = await flow.async_configure(
        result["flow_id"], {"use_link": True, "advanced": {"server_url": world.tv_url}}
    )
    assert result["step_id"] == "link_wait"
    await until(lambda: flow.async_get(result["flow_id"])["step_id"] == "pin_done")
    result = await flow.async_configure(result["flow_id"])
    assert result["step_id"] == "pin_expired"


@pytest.mark.parametrize("owned", [True, False])
async def test_500_servers(
    world: World, caplog: pytest.LogCaptureFixture, owned: bool
) -> None:
    """Five hundred servers that are down do not keep the one that is up."""
    address = f"http://127.0.0.1:{world.plex.refusing_port}"

    def multiply(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        connection = data[0]["connections"][0] | {"uri": address}
        return data + [
            data[0]
            | {
                "name": f"Server {number}",
                "clientIdentifier": f"{number:040x}",
                "owned": owned,
                "publicAddressMatches": True,
                "connections": [connection] * 6,
            }
            for number in range(499)
        ]

    rule = world.plex.faults.add(reshaped(multiply), path="/api/v2/resources")
    hass = world.hass
    await world.set_up()
    (entry,) = hass.config_entries.async_entries(DOMAIN)
    assert len(world.account.servers) == (500 if owned else 1)
    sources = await world.call("get_sources")
    assert len(sources["sources"]) == 500
    await check_well(world)

    world.plex.faults.remove(rule)
    await world.account.async_refresh()
    await world.settle()
    await check_well(world)
    assert names_of_devices(hass, entry) == {"ada", "Attic"}
    assert not unexpected(caplog.records)


RESOURCE_FIELDS = [
    *("name", "product", "productVersion", "platform", "platformVersion", "device"),
    *("clientIdentifier", "createdAt", "lastSeenAt", "provides", "publicAddress"),
    *("synced", "relay", "presence", "httpsRequired", "publicAddressMatches"),
    *("dnsRebindingProtection", "natLoopbackSupported", "connections", "accessToken"),
    *("owned", "home", "ownerId", "sourceTitle"),
]


def with_field(name: str, value: object, data: list[dict[str, Any]]) -> object:
    """Put a value into a field of the first server."""
    return [data[0] | {name: value}]


@pytest.mark.parametrize("value", [None, [], {}, "", 7])
async def test_any_field_of_a_server(world: World, value: object) -> None:
    """Whatever a field holds, the server is not forgotten, and comes back."""
    await world.set_up()
    registered = world.registered()
    for name in RESOURCE_FIELDS:
        if name == "provides" and value == "":
            # A device that offers nothing is no server.
            continue
        fault = reshaped(partial(with_field, name, value))
        rule = world.plex.faults.add(fault, path="/api/v2/resources")
        await world.account.async_refresh()
        await world.settle()
        assert (name, world.registered()) == (name, registered)
        assert state_of(world.hass, CONNECTIVITY) == STATE_ON
        world.plex.faults.remove(rule)
    await world.account.async_refresh()
    await world.settle()
    await check_well(world)
    assert world.registered() == registered


async def test_odd_names(world: World, hass: HomeAssistant) -> None:
    """Names are shown as they are, in one line, whatever they are made of."""
    hass.config.location_name = f"{ODD_NAME}\x1b[31m\r\nX-Plex-Token: x\0"
    world.ada.user.title = world.ada.user.username = ODD_NAME
    world.attic.name = ODD_NAME
    flow = hass.config_entries.flow
    result = await flow.async_init(DOMAIN, context={"source": "user"})
    await flow.async_configure(result["flow_id"], {"next_step_id": "password"})
    result = await flow.async_configure(
        result["flow_id"],
        {
            "username": ODD_NAME,
            "password": PASSWORD,
            "advanced": {"server_url": world.tv_url},
        },
    )
    await world.settle()
    assert result["type"] is FlowResultType.CREATE_ENTRY
    name = ODD_NAME.removeprefix("\u202e").removesuffix("\u202c")
    assert result["title"] == name
    registry = dr.async_get(hass)
    entry_id = result["result"].entry_id
    devices = dr.async_entries_for_config_entry(registry, entry_id)
    assert [device.name for device in devices] == [name] * 2
    told = {request.value("X-Plex-Device-Name") for request in world.plex.requests}
    assert told - {""}
    assert not set("\x1b\r\n\0") & set("".join(told))
    response = await world.look_up()
    assert response["answered_by"]["name"] == name
    response = await world.call("get_user_details")
    assert response["title"] == name
    await world.attic.stop()
    seen = await key(world.call("get_transient_token", refresh=True))
    assert seen == "server_unreachable"


# What the clock says


@pytest.mark.parametrize("hours", [-24 * 3650, -49, -6, -1, 1, 6, 45, 49, 24 * 3650])
async def test_clock_steps(
    freezer: TickingDateTimeFactory,
    world: World,
    caplog: pytest.LogCaptureFixture,
    hours: int,
) -> None:
    """A clock that is set costs a few requests, no more."""
    await world.set_up()
    # The token's life is extended with the second refresh, for the first time.
    await world.account.async_refresh()
    await world.settle()
    registered = world.registered()
    freezer.tick(timedelta(hours=hours))
    world.plex.requests.clear()
    await check_well(world)
    for _ in range(2):
        await world.account.async_refresh()
        await world.server.async_refresh()
        await world.settle()
        await check_well(world)
    assert world.registered() == registered
    # A token from the future, or one that is old, is replaced, but only once.
    renewals = len(world.plex.requests.matching(path="/security/token"))
    assert renewals == (0 if 0 < hours < 44 else 1)
    pings = len(world.plex.requests.matching(path="/api/v2/ping"))
    assert pings == (0 if 0 < hours < 24 else 1)
    assert not unexpected(caplog.records)
