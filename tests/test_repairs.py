"""Tests of what an administrator can decide about a repair issue."""

from typing import Any

from aiohttp.test_utils import TestClient
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.plex_account.const import DOMAIN
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component

from . import Tick, issue_keys, perform, setup_integration, state_of
from .const import ACCOUNT_POLL, PLEX_DIRECT, SERVER_POLL
from .plex_emulator import (
    CertificateAuthority,
    Connection,
    LoopbackResolver,
    MediaServer,
    PlexEmulator,
)
from .plex_emulator.emulator import LOOPBACK

CONNECTIVITY = "binary_sensor.attic_connectivity"


@pytest.mark.parametrize("resolved", [True, False])
@pytest.mark.parametrize("plain_listed", [True, False])
async def test_encryption_stripped(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    authority: CertificateAuthority,
    resolver: LoopbackResolver,
    hass_client: ClientSessionGenerator,
    tick: Tick,
    resolved: bool,
    plain_listed: bool,
) -> None:
    """Where HTTPS has worked, nothing goes unencrypted until somebody allows it.

    That outlives a restart, and ends when HTTPS works again.
    """
    assert await async_setup_component(hass, "repairs", {})
    if resolved:
        resolver.patterns.append("*.plex.direct")
    await attic.listeners.pop().close()
    context = authority.server_context(f"*.{PLEX_DIRECT}")
    secure = attic.add_listener(ssl_context=context)
    await attic.start()
    name = Connection.plex_direct(
        "192.168.1.5", secure.port, domain=PLEX_DIRECT, local=True
    )
    attic.listing.connections = [name]
    if plain_listed:
        plain = Connection.at(f"http://127.0.0.1:{secure.port}")
        attic.listing.connections.append(plain)
    await setup_integration(hass, config_entry)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    plex.requests.clear()

    await attic.encrypt(None)
    await tick(SERVER_POLL)
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    await hass.config_entries.async_reload(config_entry.entry_id)
    await tick(SERVER_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_OFF
    tokens = {request.token for request in plex.requests.matching(host="Attic")}
    assert tokens <= {""}
    told = plain_listed or not resolved
    assert issue_keys(hass) == ({"encryption_lost"} if told else set())
    if told:
        await fix_issue(hass_client, hass)
        assert state_of(hass, CONNECTIVITY) == STATE_ON
        assert "unencrypted" in issue_keys(hass)
        assert "encryption_lost" not in issue_keys(hass)
        store = config_entry.runtime_data.store
        assert store.https_worked(attic.machine_identifier) is False

    await attic.encrypt(context)
    await tick(SERVER_POLL)
    await tick(ACCOUNT_POLL)
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    assert not issue_keys(hass) & {"unencrypted", "encryption_lost"}
    assert config_entry.runtime_data.store.https_worked(attic.machine_identifier)


async def fix_issue(hass_client: ClientSessionGenerator, hass: HomeAssistant) -> None:
    """Confirm the repair that can be confirmed, as an administrator does."""
    client = await hass_client()
    flow = await begin_to_fix(client, hass)
    assert (await confirm(client, flow))["type"] == "create_entry"
    await hass.async_block_till_done(wait_background_tasks=True)


async def begin_to_fix(client: TestClient[Any, Any], hass: HomeAssistant) -> str:
    """Open the only repair that can be confirmed, and return its flow."""
    (issue,) = (issue for issue in ir.async_get(hass).issues.values() if issue.data)
    response = await client.post(
        "/api/repairs/issues/fix", json={"handler": DOMAIN, "issue_id": issue.issue_id}
    )
    flow = await response.json()
    assert flow["step_id"] == "confirm"
    assert flow["description_placeholders"]["markdown_name"] == "Attic"
    return str(flow["flow_id"])


async def confirm(client: TestClient[Any, Any], flow: str) -> dict[str, Any]:
    """Confirm a repair, and return what came of it."""
    response = await client.post(f"/api/repairs/issues/fix/{flow}", json={})
    return dict(await response.json())


@pytest.mark.parametrize("is_loaded", [False, True])
async def test_allowed_too_late(
    hass: HomeAssistant,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    tick: Tick,
    is_loaded: bool,
) -> None:
    """To confirm a repair of an account or a server that has gone does no harm."""
    assert await async_setup_component(hass, "repairs", {})
    plain = Connection.at(attic.url.replace("https", "http"))
    attic.listing.connections.append(plain)
    await setup_integration(hass, config_entry)
    await attic.encrypt(None)
    await tick(SERVER_POLL)
    flow = await begin_to_fix(client := await hass_client(), hass)
    await hass.config_entries.async_unload(config_entry.entry_id)
    if is_loaded:
        hass.config_entries.async_update_entry(
            config_entry, options={"left_out_servers": [attic.machine_identifier]}
        )
        await hass.config_entries.async_setup(config_entry.entry_id)
    assert (await confirm(client, flow))["reason"] == "nothing_allowed"
    assert issue_keys(hass) == set()


async def test_not_needed_any_more(
    hass: HomeAssistant,
    attic: MediaServer,
    loaded: MockConfigEntry,
    hass_client: ClientSessionGenerator,
    authority: CertificateAuthority,
    tick: Tick,
) -> None:
    """To confirm a repair that has just been made allows nothing, and ends it."""
    assert await async_setup_component(hass, "repairs", {})
    await attic.encrypt(None)
    await tick(SERVER_POLL)
    assert issue_keys(hass) == {"encryption_lost"}
    with pytest.raises(HomeAssistantError) as raised:
        await perform(hass, "get_transient_token")
    assert raised.value.translation_key == "server_unencrypted"
    flow = await begin_to_fix(client := await hass_client(), hass)
    await attic.encrypt(authority.server_context(*LOOPBACK))
    assert (await confirm(client, flow))["reason"] == "nothing_allowed"
    assert issue_keys(hass) == set()
    assert state_of(hass, CONNECTIVITY) == STATE_ON
    store = loaded.runtime_data.store
    assert store.https_worked(attic.machine_identifier)
