"""Tests of the actions."""

import asyncio
from datetime import timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, MockUser
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from custom_components.plex_account import services
from custom_components.plex_account.api import connections, http
from homeassistant.const import STATE_ON
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
)
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util

from . import Tick, device_id_of, perform, setup_integration, source_of, state_of
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
)
from .plex_emulator.demo_library import stock
from .plex_emulator.emulator import LOOPBACK

GET_SOURCE = "get_source_connection_information"
ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("get_user_details", {}),
    ("get_transient_token", {}),
    ("get_sources", {}),
    (GET_SOURCE, {"source": "server://0123456789abcdef"}),
]


async def call(
    hass: HomeAssistant, entry: MockConfigEntry, action: str, **data: Any
) -> dict[str, Any]:
    """Perform an action of an account that is named."""
    return await perform(hass, action, config_entry_id=entry.entry_id, **data)


async def test_get_user_details(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, loaded: MockConfigEntry
) -> None:
    """The details come from the last refresh, and hold no token of any kind."""
    asked = len(plex.requests)
    response = await call(hass, loaded, "get_user_details")
    assert len(plex.requests) == asked
    assert response.pop("remember_expires_at").endswith("+00:00")
    assert response == {
        "id": ada.user.id,
        "uuid": ada.user.uuid,
        "username": "ada",
        "title": "ada",
        "email": "ada@plex-user.example",
        "friendly_name": None,
        "thumb": ada.user.thumb,
        "country": "ES",
        "locale": None,
        "joined_at": "2019-03-14T19:58:51+00:00",
        "confirmed": True,
        "has_password": True,
        "two_factor_enabled": False,
        "home": False,
        "home_admin": False,
        "home_size": 1,
        "max_home_size": 15,
        "guest": False,
        "restricted": False,
        "protected": False,
        "subscription": {
            "active": True,
            "status": "Active",
            "plan": "lifetime",
            "features": [
                "adaptive_bitrate",
                "home",
                "two-factor-authentication",
                "pass",
                "webhooks",
            ],
            "subscribed_at": "2019-03-16T15:20:12+00:00",
            "payment_service": None,
        },
        "subscription_description": "Lifetime Plex Pass",
        "entitlements": ["all"],
        "roles": ["plexpass"],
        "services": [
            {
                "identifier": "epg",
                "endpoint": "https://epg.provider.plex.invalid",
                "status": "online",
            }
        ],
    }
    assert not [secret for secret in plex.secrets if secret in str(response)]


async def test_get_user_details_refresh(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, loaded: MockConfigEntry
) -> None:
    """A refresh asks plex.tv, and tells if it fails; what we had stays."""
    ada.user.friendly_name = "Ada L."
    ada.unsubscribe()
    response = await call(hass, loaded, "get_user_details")
    assert response["friendly_name"] is None
    response = await call(hass, loaded, "get_user_details", refresh=True)
    assert response["friendly_name"] == "Ada L."
    assert response["subscription"]["subscribed_at"] is None

    plex.faults.add(error(429, code=1003), path="/api/v2/user")
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, loaded, "get_user_details", refresh=True)
    assert raised.value.translation_key == "rate_limited"
    assert raised.value.translation_placeholders == {"name": "plex.tv"}
    response = await call(hass, loaded, "get_user_details")
    assert response["friendly_name"] == "Ada L."


async def test_get_user_details_signed_out(
    hass: HomeAssistant, plex: PlexEmulator, ada: Account, loaded: MockConfigEntry
) -> None:
    """An action that finds the token dead asks to sign in again."""
    plex.sign_out_everywhere(ada)
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, loaded, "get_user_details", refresh=True)
    assert raised.value.translation_key == "auth_failed"
    await hass.async_block_till_done()
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["entry_id"] == loaded.entry_id


async def test_get_transient_token(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """The token is the one that is kept, until a new one is asked for."""
    (token,) = attic.transient_tokens
    plex.requests.clear()
    response = await call(hass, loaded, "get_transient_token")
    (check,) = plex.requests
    assert (check.host, check.path, check.token) == ("Attic", "/", token.text)
    issued_at = dt_util.parse_datetime(response.pop("issued_at"), raise_on_error=True)
    expires_at = dt_util.parse_datetime(response.pop("expires_at"), raise_on_error=True)
    assert expires_at - issued_at == timedelta(hours=48)
    assert abs(issued_at.timestamp() - token.issued_at) < 5
    assert response == {
        "server": {
            "name": "Attic",
            "client_identifier": attic.machine_identifier,
            "version": attic.version,
            "uri": attic.url,
        },
        "token": token.text,
    }

    response = await call(hass, loaded, "get_transient_token", refresh=True)
    assert response["token"] == attic.transient_tokens[-1].text != token.text


async def test_get_transient_token_of_one_of_many(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """With several servers one has to be named."""
    cellar = await plex.add_server("Cellar", owner=ada)
    await setup_integration(hass, config_entry)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, config_entry, "get_transient_token")
    assert raised.value.translation_key == "server_required"
    assert raised.value.translation_placeholders == {"account": "ada", "count": "2"}

    device_id = device_id_of(hass, config_entry, cellar.machine_identifier)
    response = await call(
        hass, config_entry, "get_transient_token", device_id=device_id
    )
    assert response["token"] == cellar.transient_tokens[0].text


@pytest.mark.parametrize(
    ("action", "data"),
    [
        ("get_transient_token", {}),
        ("find_media", {"query": "fog"}),
        ("find_media", {"rating_key": "1"}),
    ],
)
async def test_without_server(
    hass: HomeAssistant,
    config_entry: MockConfigEntry,
    action: str,
    data: dict[str, Any],
) -> None:
    """An account of which no server is followed has neither tokens nor media."""
    await setup_integration(hass, config_entry)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, config_entry, action, **data)
    assert raised.value.translation_key == "no_server"
    assert raised.value.translation_placeholders == {"account": "ada"}


async def test_get_transient_token_after_a_restart(
    hass: HomeAssistant, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """A token that has died since it was last used is not handed out."""
    await attic.restart()
    response = await call(hass, loaded, "get_transient_token")
    (token,) = attic.transient_tokens
    assert response["token"] == token.text


async def test_get_transient_token_unreachable(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    tick: Tick,
) -> None:
    """A server that is down is tried again, and named if it stays down."""
    await attic.stop()
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, loaded, "get_transient_token", refresh=True)
    assert raised.value.translation_key == "server_unreachable"
    assert raised.value.translation_placeholders == {"name": "Attic"}
    await attic.start()
    # Who asks again at once is told at once, and nobody else is asked.
    plex.requests.clear()
    with pytest.raises(HomeAssistantError, match=r"last tried, 0 seconds ago"):
        await call(hass, loaded, "get_transient_token")
    assert not plex.requests
    await tick(timedelta(seconds=11))
    response = await call(hass, loaded, "get_transient_token")
    assert response["token"] == attic.transient_tokens[-1].text


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (error(401, kind="html"), "not_accepted"),
        (error(403, kind="html"), "not_permitted"),
        (error(404, kind="html"), "unexpected_response"),
        (error(500, kind="html"), "cannot_connect"),
        (Vanish(Ending.SILENCE), "timeout_connect"),
    ],
)
async def test_get_transient_token_errors(
    hass: HomeAssistant,
    plex: PlexEmulator,
    loaded: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    key: str,
) -> None:
    """What a server refuses is told, and no reason to sign in to plex.tv again."""
    monkeypatch.setattr(http, "TOTAL_TIMEOUT", 0.2)
    plex.faults.add(fault, host="Attic", path="/security/token")
    with pytest.raises(HomeAssistantError) as raised:
        await call(hass, loaded, "get_transient_token", refresh=True)
    assert raised.value.translation_key == key
    assert raised.value.translation_placeholders == {"name": "Attic"}
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not hass.config_entries.flow.async_progress()


async def test_in_time(
    hass: HomeAssistant,
    attic: MediaServer,
    loaded: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever an action waits for, it ends; what it has started goes on."""
    assert services.ACTION_TIMEOUT < 15
    monkeypatch.setattr(services, "ACTION_TIMEOUT", 0.1)
    attic.latency = 0.2
    with pytest.raises(HomeAssistantError, match="Plex did not answer in time"):
        await call(hass, loaded, "get_transient_token", refresh=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(attic.transient_tokens) == 2


async def test_renewed_once(
    hass: HomeAssistant, plex: PlexEmulator, loaded: MockConfigEntry
) -> None:
    """A hundred actions that want a new token at once get one and the same."""
    asked = len(plex.requests.matching(path="/security/token"))
    responses = await asyncio.gather(
        *(call(hass, loaded, "get_transient_token", refresh=True) for _ in range(100))
    )
    assert len({response["token"] for response in responses}) == 1
    assert len(plex.requests.matching(path="/security/token")) == asked + 1


async def test_get_sources(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """All servers are listed, players are not; the sources can be used as they are."""
    grace = plex.add_account("grace", password=None)
    library = await plex.add_server("Library", owner=grace)
    plex.share(library, ada)
    old = await plex.add_server("Old laptop", owner=ada, stale=True)
    plex.add_player("Living room TV", owner=ada)
    await setup_integration(hass, config_entry)
    asked = len(plex.requests)
    response = await call(hass, config_entry, "get_sources")
    assert len(plex.requests) == asked
    usual = {
        "owned": True,
        "home": False,
        "online": True,
        "relay": True,
        "https_required": False,
        "public_address_matches": True,
        "product_version": attic.version,
        "platform": "Linux",
        "source_title": None,
    }
    assert response == {
        "sources": [
            {"source": source_of(attic), "name": "Attic"} | usual,
            {"source": source_of(library), "name": "Library"}
            | usual
            | {
                "owned": False,
                "public_address_matches": False,
                "source_title": "grace",
            },
            {"source": source_of(old), "name": "Old laptop"}
            | usual
            | {"online": False, "platform": None},
        ]
    }


async def test_get_source_connection_information(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A server is asked with the transient token, then every address is tried."""
    (kept,) = attic.transient_tokens
    # However busy the machine is, a name is not found meanwhile, and no more are tried.
    plex.faults.add(Delay(0.05), path="/identity")
    monkeypatch.setattr(connections, "STAGGER", 5)
    before = len(plex.requests)
    source = source_of(attic)
    response = await call(hass, loaded, GET_SOURCE, source=source)
    latencies = [connection.pop("latency_ms") for connection in response["connections"]]
    assert latencies[0] is None
    assert isinstance(latencies[1], float)
    assert latencies[1] == round(latencies[1], 1)
    assert 50 <= latencies[1] < 5000
    assert latencies[2:] == [None] * 4
    docker, _, custom, remote, ipv6, relay = (
        connection.uri for connection in attic.listing.connections
    )
    assert response == {
        "source": source,
        "name": "Attic",
        "client_identifier": attic.machine_identifier,
        "access_token": attic.transient_tokens[-1].text,
        "answered_by": {
            "type": "server",
            "name": "Attic",
            "client_identifier": attic.machine_identifier,
        },
        "connections": [
            shown(docker, "127.0.0.1", reachable=False),
            shown(attic.url, "127.0.0.1", reachable=True),
            shown(custom, "plex.example.invalid", local=False),
            shown(remote, "127.0.0.1", local=False),
            shown(ipv6, "::1", local=False),
            shown(relay, "127.0.0.1", local=False, relay=True),
        ],
        "preferred_uri": attic.url,
        "external_uri": custom,
    }
    look_up, identity = plex.requests[before:]
    assert (look_up.path, look_up.token) == ("/security/resources", kept.text)
    assert look_up.query == {"source": source}
    assert (identity.path, identity.token) == ("/identity", "")


def shown(
    uri: str,
    address: str,
    *,
    local: bool = True,
    relay: bool = False,
    reachable: bool | None = None,
) -> dict[str, Any]:
    """Return a connection as a response has it."""
    url = URL(uri)
    return {
        "uri": uri,
        "protocol": url.scheme,
        "address": address,
        "port": url.port,
        "local": local,
        "relay": relay,
        "reachable": reachable,
    }


async def test_get_source_without_probe(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Without trying the addresses only the answering server is contacted."""
    before = len(plex.requests)
    response = await call(
        hass, loaded, GET_SOURCE, source=source_of(attic), probe=False
    )
    assert response["preferred_uri"] is None
    for connection in response["connections"]:
        assert connection["reachable"] is None
        assert connection["latency_ms"] is None
    assert len(plex.requests) == before + 1


async def test_get_source_options(
    hass: HomeAssistant, plex: PlexEmulator, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """A library in the source is left out; refresh is for the server."""
    source = f" {source_of(attic)}/com.plexapp.plugins.library "
    response = await call(
        hass, loaded, GET_SOURCE, source=source, probe=False, refresh=True
    )
    assert response["source"] == source_of(attic)
    assert plex.requests[-1].query == {"source": source_of(attic), "refresh": "1"}
    named = device_id_of(hass, loaded, attic.machine_identifier)
    await perform(
        hass,
        GET_SOURCE,
        source=source_of(attic),
        ask_device_id=named,
        probe=False,
        refresh=True,
    )
    assert plex.requests[-1].query == {"source": source_of(attic), "refresh": "1"}


async def test_get_source_of_provider(
    hass: HomeAssistant, plex: PlexEmulator, loaded: MockConfigEntry
) -> None:
    """A provider is no server that could say who it is, so it is not tried."""
    before = len(plex.requests)
    source = "provider://tv.plex.provider.podcasts"
    response = await call(hass, loaded, GET_SOURCE, source=source)
    assert response["source"] == source
    assert response["name"] == "Podcasts"
    (connection,) = response["connections"]
    assert connection["reachable"] is None
    assert response["preferred_uri"] is None
    assert len(plex.requests) == before + 1


@pytest.mark.parametrize(
    "source",
    [
        "0123456789abcdef",
        "server://",
        "provider://",
        "https://plex.tv",
        "server:/0123",
        "server://01 23",
        "server://01/23/45",
        "player://0123",
        "SERVER://0123",
    ],
)
async def test_invalid_source(
    hass: HomeAssistant, plex: PlexEmulator, loaded: MockConfigEntry, source: str
) -> None:
    """What is no source is refused before anybody is asked."""
    before = len(plex.requests)
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, loaded, GET_SOURCE, source=source)
    assert raised.value.translation_key == "invalid_source"
    assert raised.value.translation_placeholders == {"source": source}
    assert len(plex.requests) == before


@pytest.mark.parametrize("action", ["get_transient_token", GET_SOURCE])
async def test_invalid_device(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    loaded: MockConfigEntry,
    action: str,
) -> None:
    """A device has to be a server of this account."""
    stranger = MockConfigEntry(domain="other")
    stranger.add_to_hass(hass)
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=stranger.entry_id, identifiers={("other", "1")}
    )
    account_device = device_id_of(hass, loaded, ada.user.uuid)
    before = len(plex.requests)
    for device_id in ("", "no-such-device", device.id, account_device):
        with pytest.raises(ServiceValidationError) as raised:
            await call(
                hass,
                loaded,
                action,
                device_id=device_id,
                **({"source": "server://0123"} if action == GET_SOURCE else {}),
            )
        assert raised.value.translation_key == "invalid_device"
        assert raised.value.translation_placeholders == {"account": "ada"}
    assert len(plex.requests) == before


@pytest.mark.parametrize(("action", "data"), ACTIONS)
async def test_entry_availability(
    hass: HomeAssistant,
    plex: PlexEmulator,
    loaded: MockConfigEntry,
    action: str,
    data: dict[str, Any],
) -> None:
    """The account has to be there, ours and loaded."""
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    unknown = MockConfigEntry()
    await hass.config_entries.async_unload(loaded.entry_id)
    before = len(plex.requests)
    for entry, key in (
        (unknown, "service_config_entry_not_found"),
        (other, "service_config_entry_wrong_domain"),
        (loaded, "service_config_entry_not_loaded"),
    ):
        with pytest.raises(ServiceValidationError) as raised:
            await call(hass, entry, action, **data)
        assert raised.value.translation_key == key
    with pytest.raises(ServiceValidationError) as raised:
        await perform(hass, action, **data)
    assert raised.value.translation_key == "no_account"
    assert len(plex.requests) == before


@pytest.mark.parametrize(("action", "data"), ACTIONS)
async def test_admin_only(
    hass: HomeAssistant,
    plex: PlexEmulator,
    loaded: MockConfigEntry,
    hass_read_only_user: MockUser,
    action: str,
    data: dict[str, Any],
) -> None:
    """What tells tokens and addresses is not for every user."""
    before = len(plex.requests)
    with pytest.raises(Unauthorized):
        await perform(
            hass,
            action,
            Context(user_id=hass_read_only_user.id),
            config_entry_id=loaded.entry_id,
            **data,
        )
    assert len(plex.requests) == before


async def test_only_account(
    hass: HomeAssistant, attic: MediaServer, loaded: MockConfigEntry
) -> None:
    """Where there is one account it need not be named; nor need the source's scheme."""
    assert (await perform(hass, "get_user_details"))["username"] == "ada"
    assert (await perform(hass, "get_transient_token"))["server"]["name"] == "Attic"
    device_id = device_id_of(hass, loaded, attic.machine_identifier)
    for wanted in ({"source": " attic "}, {"device_id": device_id}):
        response = await perform(hass, GET_SOURCE, **wanted)
        assert response["source"] == source_of(attic)
    with pytest.raises(ServiceValidationError) as raised:
        await perform(hass, GET_SOURCE)
    assert raised.value.translation_key == "source_required"


async def test_several_accounts(
    hass: HomeAssistant,
    plex: PlexEmulator,
    grace: Account,
    loaded: MockConfigEntry,
    grace_entry: MockConfigEntry,
) -> None:
    """With two accounts the device tells which, else it has to be said."""
    barn = await plex.add_server("Barn", owner=grace)
    await setup_integration(hass, grace_entry)
    with pytest.raises(ServiceValidationError) as raised:
        await perform(hass, "get_user_details")
    assert raised.value.translation_key == "account_required"
    assert raised.value.translation_placeholders == {"accounts": "ada, grace"}

    device_id = device_id_of(hass, grace_entry, barn.machine_identifier)
    response = await perform(hass, "get_transient_token", device_id=device_id)
    assert response["server"]["name"] == "Barn"
    response = await perform(hass, GET_SOURCE, ask_device_id=device_id, source="barn")
    assert response["answered_by"]["name"] == "Barn"
    with pytest.raises(ServiceValidationError) as raised:
        await call(hass, loaded, "get_transient_token", device_id=device_id)
    assert raised.value.translation_key == "device_of_other_account"
    assert raised.value.translation_placeholders == {
        "device": "Barn",
        "account": "ada",
        "other": "grace",
    }

    # Not that of another account is meant, only because hers is off.
    await hass.config_entries.async_unload(grace_entry.entry_id)
    with pytest.raises(ServiceValidationError) as raised:
        await perform(hass, "get_transient_token", device_id=device_id)
    assert raised.value.translation_key == "service_config_entry_not_loaded"


async def test_two_servers_of_one_name(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """Of two servers of one name the own is meant; if both are, both are listed."""
    shared = await plex.add_server("Library", owner=grace)
    shared.name = "Attic"
    plex.share(shared, ada)
    await setup_integration(hass, config_entry)
    response = await perform(hass, GET_SOURCE, source="Attic")
    assert response["source"] == source_of(attic)
    cellar = await plex.add_server("Cellar", owner=ada)
    cellar.name = "attic"
    await config_entry.runtime_data.async_refresh()
    with pytest.raises(ServiceValidationError) as raised:
        await perform(hass, GET_SOURCE, source="Attic")
    assert raised.value.translation_key == "ambiguous_source"
    assert raised.value.translation_placeholders == {
        "name": "Attic",
        "sources": f"{source_of(attic)}, {source_of(cellar)}",
    }


async def test_signed_out(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    attic: MediaServer,
    loaded: MockConfigEntry,
) -> None:
    """What fails because of the sign-in says so, and the server counts as reached."""
    plex.sign_out_everywhere(ada)
    attic.revoke(ada)
    with pytest.raises(HomeAssistantError, match="Sign in again"):
        await perform(hass, "get_transient_token")
    # Whoever shares a server has nothing to do with it.
    library = await plex.add_server("Library", owner=grace)
    with pytest.raises(HomeAssistantError) as raised:
        await perform(hass, GET_SOURCE, source=source_of(library))
    assert raised.value.translation_key == "auth_failed"
    assert raised.value.translation_placeholders == {"name": "plex.tv"}
    assert state_of(hass, "binary_sensor.attic_connectivity") == STATE_ON


@pytest.mark.parametrize(
    ("fault", "key"),
    [(Vanish(), "server_unreachable"), (error(403, kind="html"), "not_permitted")],
)
async def test_shared_server_fails(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    grace: Account,
    loaded: MockConfigEntry,
    fault: Fault,
    key: str,
) -> None:
    """It is said which server it is that can't be reached, or does not allow it."""
    library = await plex.add_server("Library", owner=grace)
    plex.share(library, ada, public_address_matches=True)
    await loaded.runtime_data.async_refresh()
    plex.faults.add(error(404, kind="html"), host="Attic", path="/security/resources")
    path = "/identity" if key == "server_unreachable" else "/security/token"
    rule = plex.faults.add(fault, host="Library", path=path)
    with pytest.raises(HomeAssistantError) as raised:
        await perform(hass, GET_SOURCE, source=source_of(library))
    assert raised.value.translation_key == key
    assert raised.value.translation_placeholders == {"name": "Library"}
    (asked,) = plex.requests.matching(host="Library", path="/identity")
    assert not asked.token
    plex.faults.remove(rule)
    response = await perform(hass, GET_SOURCE, source=source_of(library))
    assert response["name"] == "Library"
    assert response["client_identifier"] == library.machine_identifier


async def test_token_that_cannot_be_checked(
    hass: HomeAssistant, plex: PlexEmulator, loaded: MockConfigEntry
) -> None:
    """A token that the server can't confirm is not handed out."""
    plex.faults.add(error(500, kind="html"), host="Attic", path="/")
    with pytest.raises(HomeAssistantError, match="Could not connect to Attic"):
        await perform(hass, "get_transient_token")


async def test_moves_while_it_is_asked(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    authority: CertificateAuthority,
) -> None:
    """A server that falls silent at one address is asked again at another."""
    port = attic.listeners[0].port
    other = attic.add_listener(ssl_context=authority.server_context(*LOOPBACK))
    await other.start()
    listed = Connection.at(attic.url.replace(str(port), str(other.port)))
    attic.listing.connections = [*attic.listing.connections, listed]
    await loaded.runtime_data.async_refresh()
    plex.faults.add(Vanish(Ending.SILENCE), host="Attic", port=port)
    response = await perform(hass, GET_SOURCE, source="Attic")
    assert response["preferred_uri"] == listed.uri
    # Not plex.tv in its place.
    assert response["answered_by"]["name"] == "Attic"


async def test_find_media(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    attic: MediaServer,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """What is found says what to play and where its picture is, without a token."""
    stock(attic)
    answer = await call(hass, loaded, "find_media", query="fog")
    (item,) = answer["items"]
    picture = item.pop("picture")
    key = item["rating_key"]
    place = f"{loaded.unique_id}/{attic.machine_identifier}"
    assert item == {
        "title": "Fog",
        "type": "episode",
        "subtitle": "The lighthouse keepers · S1E2",
        "year": None,
        "duration": 20,
        "rating_key": key,
        "server": "Attic",
        "media_content_id": f"media-source://plex_account/{place}/item/{key}",
    }
    async with (await hass_client_no_auth()).get(picture) as shown:
        assert shown.content_type == "image/jpeg"
    assert await call(hass, loaded, "find_media", rating_key=f" {key} ") == {
        "items": [item | {"picture": ANY}]
    }
    assert "transient-" not in str(answer)
    (artist,) = (await call(hass, loaded, "find_media", query="the lanterns"))["items"][
        1:
    ]
    assert (artist["type"], artist["media_content_id"]) == ("artist", None)
    key = str(attic.library.playlists[0].key)
    answer = await call(hass, loaded, "find_media", rating_key=key)
    assert [each["type"] for each in answer["items"]] == ["playlist"]


async def test_find_media_on_several_servers(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    loaded: MockConfigEntry,
    attic: MediaServer,
) -> None:
    """The best of each server comes first, and no more than is wanted."""
    cellar = await plex.add_server("Cellar", owner=ada)
    await call(hass, loaded, "get_user_details", refresh=True)
    await hass.async_block_till_done(wait_background_tasks=True)
    stock(attic)
    stock(cellar)

    async def found(**data: Any) -> list[str]:
        items = (await call(hass, loaded, "find_media", **data))["items"]
        return [f"{item['title']} on {item['server']}" for item in items]

    assert await found(query="the l", limit=3) == [
        "Night of the lanterns on Attic",
        "Night of the lanterns on Cellar",
        "The long way home on Attic",
    ]
    device = device_id_of(hass, loaded, cellar.machine_identifier)
    assert await found(query="long way", device_id=device) == [
        "The long way home on Cellar"
    ]
    assert await found(rating_key="100", device_id=device) == [
        "A train to nowhere on Cellar"
    ]
    with pytest.raises(ServiceValidationError, match="Choose one in the field Server"):
        await found(rating_key="100")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "either Title"),
        ({"query": "  "}, "either Title"),
        ({"query": "\ud800"}, "either Title"),
        ({"query": "Fog", "rating_key": "1"}, "either Title"),
        ({"rating_key": "1/../2"}, "is not a number"),
        ({"rating_key": "1" * 20}, "is not a number"),
    ],
)
async def test_find_media_mistakes(
    hass: HomeAssistant,
    plex: PlexEmulator,
    loaded: MockConfigEntry,
    data: dict[str, str],
    message: str,
) -> None:
    """A mistake is told before anything is asked."""
    plex.requests.clear()
    with pytest.raises(ServiceValidationError, match=message):
        await call(hass, loaded, "find_media", **data)
    assert not plex.requests


async def test_find_media_unknown(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    """That there is no such item is told, and that nothing has a title is no error."""
    with pytest.raises(HomeAssistantError, match="Attic does not have this item"):
        await call(hass, loaded, "find_media", rating_key="99999")
    assert await call(hass, loaded, "find_media", query="nothing") == {"items": []}


async def test_find_media_is_for_everybody(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_read_only_user: MockUser
) -> None:
    """As it tells no token, it takes no administrator."""
    context = Context(user_id=hass_read_only_user.id)
    assert await perform(hass, "find_media", context, query="Metropolis")


async def test_find_media_where_it_works(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """What one server finds is told though another one fails."""
    await plex.add_server("Cellar", owner=ada)
    await setup_integration(hass, config_entry)
    plex.faults.add(error(500), path="/hubs/search", host="Cellar")

    async def find() -> list[str]:
        response = await perform(hass, "find_media", query="Metropolis")
        return [item["server"] for item in response["items"]]

    assert await find() == ["Attic"]
    plex.faults.add(error(500), path="/hubs/search")
    with pytest.raises(HomeAssistantError):
        await find()
