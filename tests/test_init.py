"""Tests of setting up, unloading and removing an account."""

from datetime import timedelta

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from custom_components.plex_account import coordinator
from custom_components.plex_account.api import http
from custom_components.plex_account.const import CONF_CLIENT_IDENTIFIER, DOMAIN
from custom_components.plex_account.devices import async_get_device
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    ConfigEntryDisabler,
    ConfigEntryState,
)
from homeassistant.const import CONF_TOKEN, STATE_OFF, STATE_ON, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component

from . import Tick, setup_integration, state_of
from .plex_emulator import (
    Account,
    Answer,
    Ending,
    Fault,
    MediaServer,
    PlexEmulator,
    Reply,
    Vanish,
    error,
)

SIGN_OUT = "/api/v2/users/signout"


async def test_load_unload(
    hass: HomeAssistant, plex: PlexEmulator, loaded: MockConfigEntry
) -> None:
    """An account is set up and unloaded, and then leaves Plex alone."""
    assert loaded.state is ConfigEntryState.LOADED

    await hass.config_entries.async_unload(loaded.entry_id)
    await hass.async_block_till_done()
    assert loaded.state is ConfigEntryState.NOT_LOADED
    assert {state.state for state in hass.states.async_all()} == {STATE_UNAVAILABLE}

    asked = len(plex.requests)
    async_fire_time_changed(hass, fire_all=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(plex.requests) == asked
    assert not plex.requests.matching(path=SIGN_OUT)


async def test_setup_requests(
    plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Nothing secret goes to a server before it has said who it is."""
    account_token = loaded.data[CONF_TOKEN]
    to_plex_tv = plex.requests.matching(host="plex.tv")
    assert {request.path for request in to_plex_tv} == {
        "/api/v2/user",
        "/api/v2/resources",
    }
    assert {request.token for request in to_plex_tv} == {account_token}
    listed = attic.access_token(attic.owner)
    (transient,) = attic.transient_tokens
    asked = [
        (request.path, request.token)
        for request in plex.requests.matching(host="Attic")
    ]
    assert asked[:2] == [("/identity", ""), ("/security/token", listed)]
    assert set(asked[2:]) == {
        ("/:/websockets/notifications", listed),
        ("/:/prefs", transient.text),
        ("/myplex/account", transient.text),
    }


@pytest.mark.parametrize(
    "fault",
    [
        error(401, code=1001),
        error(401, kind="html"),
        error(422, kind="xml", message="Invalid token"),
        error(498, code=498),
    ],
)
@pytest.mark.parametrize("path", ["/api/v2/user", "/api/v2/resources"])
async def test_auth_failed(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    fault: Fault,
    path: str,
) -> None:
    """A dead token asks the user to sign in again, once."""
    plex.faults.add(fault, path=path)
    await setup_integration(hass, config_entry)
    assert config_entry.state is ConfigEntryState.SETUP_ERROR
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["handler"] == DOMAIN
    assert flow["context"]["source"] == SOURCE_REAUTH
    assert flow["context"]["title_placeholders"] == {"name": "ada"}


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (error(429, code=1003), "plex.tv was asked too often. Try again later"),
        (error(500, kind="html"), "Could not connect to plex.tv"),
        (error(403, code=1041), "plex.tv does not allow the account to do this"),
        (error(404, kind="html"), "plex.tv gave an answer that is not understood"),
        (Vanish(Ending.SILENCE), "plex.tv did not answer in time"),
        (
            Reply(Answer(200, b"<html></html>", "text/html")),
            "plex.tv gave an answer that is not understood",
        ),
    ],
)
async def test_not_ready(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    reason: str,
) -> None:
    """What passes is waited out, and does not ask the user for anything."""
    rule = plex.faults.add(fault, host="plex.tv")
    with monkeypatch.context() as patch:
        patch.setattr(http, "TOTAL_TIMEOUT", 0.2)
        await setup_integration(hass, config_entry)
    assert config_entry.state is ConfigEntryState.SETUP_RETRY
    assert config_entry.reason == reason
    assert not hass.config_entries.flow.async_progress()

    plex.faults.remove(rule)
    async_fire_time_changed(hass, fire_all=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert config_entry.state is ConfigEntryState.LOADED


async def test_server_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """A server that is down does not keep the account or its other servers down."""
    await plex.add_server("Cellar", owner=ada)
    await attic.stop()
    await setup_integration(hass, config_entry)
    assert config_entry.state is ConfigEntryState.LOADED
    assert state_of(hass, "binary_sensor.ada_plex_pass") == STATE_ON
    assert state_of(hass, "binary_sensor.attic_connectivity") == STATE_OFF
    assert state_of(hass, "binary_sensor.cellar_connectivity") == STATE_ON


async def test_two_accounts(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    grace: Account,
    grace_entry: MockConfigEntry,
) -> None:
    """Accounts live side by side; one that is signed out leaves the other alone."""
    await plex.add_server("Library", owner=grace)
    plex.share(attic, grace)
    await setup_integration(hass, config_entry)
    await setup_integration(hass, grace_entry)
    assert state_of(hass, "binary_sensor.attic_connectivity") == STATE_ON
    assert state_of(hass, "binary_sensor.library_connectivity") == STATE_ON

    plex.sign_out_everywhere(grace)
    await grace_entry.runtime_data.async_refresh()
    await hass.async_block_till_done()
    assert state_of(hass, "binary_sensor.grace_plex_pass") == STATE_UNAVAILABLE
    assert state_of(hass, "binary_sensor.ada_plex_pass") == STATE_ON
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["entry_id"] == grace_entry.entry_id


async def test_remove(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, config_entry: MockConfigEntry
) -> None:
    """Removing the account signs it out, with the identifier it signed in with."""
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_remove(config_entry.entry_id)
    (request,) = plex.requests.matching(path=SIGN_OUT, method="DELETE")
    assert request.token == config_entry.data[CONF_TOKEN]
    assert request.client_identifier == config_entry.data[CONF_CLIENT_IDENTIFIER]
    assert not plex.tv.tokens_of(ada)


async def test_remove_while_plex_is_down(
    hass: HomeAssistant,
    plex: PlexEmulator,
    config_entry: MockConfigEntry,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An account can be removed without plex.tv, and the log says what is left."""
    await setup_integration(hass, config_entry)
    await plex.tv.stop()
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert not hass.config_entries.async_entries(DOMAIN)
    assert "Could not sign out of Plex" in caplog.text
    assert config_entry.data[CONF_TOKEN] not in caplog.text


async def test_retry_after(
    hass: HomeAssistant, plex: PlexEmulator, config_entry: MockConfigEntry, tick: Tick
) -> None:
    """A running account waits as long as plex.tv asks, then comes back by itself."""
    await setup_integration(hass, config_entry)
    rule = plex.faults.add(
        error(429, code=1003, headers={"Retry-After": "7200"}), path="/api/v2/user"
    )
    await tick(timedelta(minutes=31))
    assert rule.hits == 1
    assert state_of(hass, "binary_sensor.ada_plex_pass") == STATE_UNAVAILABLE
    plex.faults.remove(rule)
    await tick(timedelta(minutes=31))
    assert state_of(hass, "binary_sensor.ada_plex_pass") == STATE_UNAVAILABLE
    await tick(timedelta(minutes=90))
    assert state_of(hass, "binary_sensor.ada_plex_pass") == STATE_ON


@pytest.mark.parametrize(
    ("version", "minor_version", "state"),
    [
        (1, 1, ConfigEntryState.LOADED),
        (1, 2, ConfigEntryState.LOADED),
        (2, 1, ConfigEntryState.MIGRATION_ERROR),
    ],
)
async def test_entry_version(
    hass: HomeAssistant,
    config_entry: MockConfigEntry,
    version: int,
    minor_version: int,
    state: ConfigEntryState,
) -> None:
    """The data of the first version is good as it is; that of a later one is not."""
    config_entry.add_to_hass(hass)
    hass.config_entries.async_update_entry(
        config_entry, version=version, minor_version=minor_version
    )
    before = dict(config_entry.data)
    await hass.config_entries.async_setup(config_entry.entry_id)
    assert config_entry.state is state
    assert config_entry.data == before


async def test_silent_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Home Assistant's start does not wait for a server that says nothing."""
    monkeypatch.setattr(coordinator, "START_TIMEOUT", 0.05)
    plex.faults.add(Vanish(Ending.SILENCE), host="Attic")
    config_entry.add_to_hass(hass)
    start = hass.loop.time()
    await hass.config_entries.async_setup(config_entry.entry_id)
    assert config_entry.state is ConfigEntryState.LOADED
    assert hass.loop.time() - start < 1
    await hass.config_entries.async_unload(config_entry.entry_id)


async def test_remove_device(
    hass: HomeAssistant,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """To remove a server's device is to leave the server out; the account's stays."""
    assert await async_setup_component(hass, "config", {})
    await setup_integration(hass, config_entry)
    registry = dr.async_get(hass)
    gone = registry.async_get_or_create(
        config_entry_id=config_entry.entry_id, identifiers={(DOMAIN, "gone")}
    )
    client = await hass_ws_client(hass)
    devices = dr.async_entries_for_config_entry(registry, config_entry.entry_id)
    assert len(devices) == 3
    of = {next(iter(device.identifiers))[1]: device.id for device in devices}
    response = await client.remove_device(gone.id)
    assert response["success"]
    response = await client.remove_device(of[ada.user.uuid])
    assert "delete the account's entry" in response["error"]["message"]
    response = await client.remove_device(of[attic.machine_identifier])
    assert response["success"]
    await hass.async_block_till_done(wait_background_tasks=True)
    (device,) = dr.async_entries_for_config_entry(registry, config_entry.entry_id)
    assert device.name == "ada"
    assert config_entry.options["left_out_servers"] == [attic.machine_identifier]


async def test_remove_device_of_a_disabled_account(
    hass: HomeAssistant,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_ws_client: WebSocketGenerator,
) -> None:
    """That can be done while the account is not loaded, too."""
    assert await async_setup_component(hass, "config", {})
    await setup_integration(hass, config_entry)
    await hass.config_entries.async_set_disabled_by(
        config_entry.entry_id, ConfigEntryDisabler.USER
    )
    client = await hass_ws_client(hass)
    for identifier, may_go in (
        (ada.user.uuid, False),
        (attic.machine_identifier, True),
    ):
        device = async_get_device(hass, config_entry, identifier)
        assert device
        response = await client.remove_device(device.id)
        assert response["success"] is may_go
    await hass.config_entries.async_set_disabled_by(config_entry.entry_id, None)
    assert not config_entry.runtime_data.servers


async def test_server_moves(
    hass: HomeAssistant,
    ada: Account,
    attic: MediaServer,
    grace: Account,
    grace_entry: MockConfigEntry,
    loaded: MockConfigEntry,
) -> None:
    """A server that another account takes over goes there, with entities of its own."""
    await setup_integration(hass, grace_entry)
    attic.owner = grace
    # Whichever account notices first.
    await grace_entry.runtime_data.async_refresh()
    await loaded.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert owners_of_servers(hass) == [grace_entry.entry_id]

    attic.owner = ada
    await grace_entry.runtime_data.async_refresh()
    await loaded.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert owners_of_servers(hass) == [loaded.entry_id]
    assert [
        state.state
        for state in hass.states.async_all()
        if "connectivity" in state.entity_id
    ] == [STATE_ON]


def owners_of_servers(hass: HomeAssistant) -> list[str | None]:
    """Return which entries have the connectivity sensor of a server."""
    return [
        entity.config_entry_id
        for entity in er.async_get(hass).entities.values()
        if entity.unique_id.endswith("_connectivity")
    ]
