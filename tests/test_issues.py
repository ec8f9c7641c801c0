"""Tests of the repair issues."""

import asyncio
from datetime import timedelta

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_capture_events,
)

from custom_components.plex_account import server_coordinator
from custom_components.plex_account.api import connections
from custom_components.plex_account.const import DOMAIN, TROUBLESHOOTING_URL
from custom_components.plex_account.server_coordinator import Trouble
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir

from . import Tick, follow, perform, setup_integration, state_of, until
from .const import ACCOUNT_POLL, SERVER_POLL
from .listeners import hide
from .plex_emulator import (
    Account,
    CertificateAuthority,
    Ending,
    MediaServer,
    PlexEmulator,
    Vanish,
    error,
)

CONNECTIVITY = "binary_sensor.attic_connectivity"


def keys(hass: HomeAssistant) -> list[str | None]:
    """Return the translation keys of the issues there are."""
    issues = ir.async_get(hass).issues.values()
    for issue in issues:
        assert issue.translation_placeholders
        anchor = f"{issue.translation_key}".replace("_", "-")
        assert issue.learn_more_url == f"{TROUBLESHOOTING_URL}#{anchor}"
        assert issue.translation_placeholders == {
            "learn_more": issue.learn_more_url,
            "name": "Attic",
            "markdown_account": "ada",
            "markdown_name": "Attic",
            "version": issue.translation_placeholders["version"],
        }
    return [issue.translation_key for issue in issues]


async def test_server_too_old(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry, tick: Tick
) -> None:
    """A server that can't look sources up has to be updated."""
    attic.listing.product_version = "1.15.3.876-ad6e39743"
    await setup_integration(hass, config_entry)
    assert keys(hass) == ["server_too_old"]
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders
    version = issue.translation_placeholders["version"]
    assert version == r"1\.15\.3\.876\-ad6e39743"
    attic.listing.product_version = "1.15.4.993-bb5bdc7b2"
    await tick(SERVER_POLL)
    assert keys(hass) == []


async def test_too_old_for_nobody(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    library: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """Nobody updates a server that is long gone, or that is somebody else's."""
    gone = await plex.add_server("Gone", owner=ada)
    await gone.stop()
    gone.listing.presence = False
    for server in (gone, library):
        server.listing.product_version = "1.15.3.876-ad6e39743"
    await setup_integration(hass, config_entry)
    await follow(hass, config_entry, library)
    assert keys(hass) == []


@pytest.mark.parametrize("version", ["", "unknown", "beta-2"])
async def test_strange_version(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry, version: str
) -> None:
    """A version that nobody understands is no reason to complain."""
    attic.listing.product_version = version
    await setup_integration(hass, config_entry)
    assert keys(hass) == []


async def test_server_unclaimed(
    hass: HomeAssistant, attic: MediaServer, tick: Tick, loaded: MockConfigEntry
) -> None:
    """A server that was signed out has to be claimed again."""
    attic.claimed = False
    await tick(SERVER_POLL)
    assert keys(hass) == ["server_unclaimed"]
    attic.claimed = True
    await tick(SERVER_POLL)
    assert keys(hass) == []


async def test_unclaimed_before_an_action(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    tick: Tick,
    loaded: MockConfigEntry,
) -> None:
    """That a server has no owner is also seen if an action is the first to notice."""
    attic.claimed = False
    for path in ("/", "/security/token"):
        plex.faults.add(error(401, kind="html"), host="Attic", path=path)
    with pytest.raises(HomeAssistantError, match="signed in to this account"):
        await perform(hass, "get_transient_token")
    await tick(timedelta(seconds=10))
    assert keys(hass) == ["server_unclaimed"]


async def test_unclaimed_from_the_start(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """That it gives no token is not all that is told; it ends with the account."""
    attic.claimed = False
    plex.faults.add(error(403), path="/:/prefs")
    await setup_integration(hass, config_entry)
    assert keys(hass) == ["server_unclaimed"]
    await hass.config_entries.async_unload(config_entry.entry_id)
    assert keys(hass) == []


@pytest.mark.parametrize(
    ("matches", "https_required", "expected"),
    [
        (True, False, ["unencrypted"]),
        (False, False, ["encryption_required"]),
        (True, True, ["encryption_required"]),
    ],
)
async def test_without_encryption(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
    matches: bool,
    https_required: bool,
    expected: list[str],
) -> None:
    """Where plain HTTP is the only way, the user learns why it is used, or why not."""
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    await setup_integration(hass, config_entry)
    assert keys(hass) == ["unencrypted"]
    # It must not be used from now on.
    attic.listing.public_address_matches = matches
    attic.listing.https_required = https_required
    await config_entry.runtime_data.async_refresh()
    await hass.async_block_till_done(wait_background_tasks=True)
    plex.requests.clear()
    await tick(SERVER_POLL)
    assert keys(hass) == expected
    tokens = [r.token for r in plex.requests.matching(host="Attic") if r.token]
    assert bool(tokens) == (expected == ["unencrypted"])


async def test_what_has_been_mended(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    tick: Tick,
) -> None:
    """A server is no reason to complain in another way while it is looked for."""
    await plex.encrypt_server(attic, encrypt=False)
    attic.listing.https_required = True
    await tick(ACCOUNT_POLL)
    assert keys(hass) == ["encryption_required"]
    updates = async_capture_events(hass, ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED)
    await plex.encrypt_server(attic, encrypt=True)
    attic.listing.https_required = False
    await tick(ACCOUNT_POLL)
    assert keys(hass) == []
    assert [update.data["action"] for update in updates] == ["remove"]


async def test_encrypts_again(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    loaded: MockConfigEntry,
    tick: Tick,
) -> None:
    """What the user has mended is seen within minutes, though plex.tv is to tell it."""
    await plex.encrypt_server(attic, encrypt=False)
    await tick(SERVER_POLL)
    assert keys(hass) == ["encryption_lost"]
    for _ in range(8):
        await tick(timedelta(seconds=70))
    await plex.encrypt_server(attic, encrypt=True)
    await tick(SERVER_POLL)
    assert keys(hass) == []
    assert state_of(hass, CONNECTIVITY) == STATE_ON


async def test_renamed_account(
    hass: HomeAssistant, attic: MediaServer, config_entry: MockConfigEntry, tick: Tick
) -> None:
    """An issue has the name that the account has now."""
    attic.claimed = False
    await setup_integration(hass, config_entry)
    hass.config_entries.async_update_entry(config_entry, title="Home")
    await tick(ACCOUNT_POLL)
    (issue,) = ir.async_get(hass).issues.values()
    assert issue.translation_placeholders
    assert issue.translation_placeholders["markdown_account"] == "Home"


async def test_vanished_server(
    hass: HomeAssistant,
    plex: PlexEmulator,
    attic: MediaServer,
    config_entry: MockConfigEntry,
    tick: Tick,
) -> None:
    """Nobody has to mend a server that is gone."""
    attic.listing.product_version = "1.15.3"
    await setup_integration(hass, config_entry)
    await plex.remove_server(attic)
    await tick(ACCOUNT_POLL)
    assert keys(hass) == []


@pytest.mark.parametrize(
    "issue",
    [
        *("unencrypted", "encryption_lost", "encryption_required"),
        *("dns_rebinding", "server_unclaimed"),
    ],
)
async def test_ignored(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
    authority: CertificateAuthority,
    issue: str,
) -> None:
    """What is ignored stays so until it is mended, or the account is removed."""
    secure = issue not in {"unencrypted", "encryption_required"}
    attic = await plex.add_server("Attic", owner=ada, secure=secure)
    if issue == "dns_rebinding":
        await hide(attic, authority)
    attic.claimed = issue != "server_unclaimed"
    attic.listing.https_required = issue == "encryption_required"
    await setup_integration(hass, config_entry)
    if issue == "encryption_lost":
        await plex.encrypt_server(attic, encrypt=False)
        await tick(SERVER_POLL)
    connectivity = state_of(hass, CONNECTIVITY)
    assert keys(hass) == [issue]
    registry = ir.async_get(hass)
    (key,) = registry.issues
    ir.async_ignore_issue(hass, *key, ignore=True)

    plex.faults.add(Vanish(), host="Attic")
    await tick(SERVER_POLL)
    assert list(registry.issues) == [key]
    plex.faults.add(Vanish(), host="plex.tv")
    await hass.config_entries.async_reload(config_entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    plex.faults.clear()
    await tick(ACCOUNT_POLL)
    await tick(SERVER_POLL)
    assert state_of(hass, "binary_sensor.attic_connectivity") == connectivity
    assert registry.issues[key].dismissed_version
    assert registry.issues[key].active

    others = {(DOMAIN, "unencrypted_other_server"), ("other", f"{key[1]}_1")}
    for other in others:
        ir.async_create_issue(
            hass,
            *other,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="unencrypted",
            translation_placeholders=registry.issues[key].translation_placeholders,
        )
    await hass.config_entries.async_remove(config_entry.entry_id)
    assert registry.issues.keys() == others


async def test_unencrypted_after_a_failure(
    hass: HomeAssistant,
    plex: PlexEmulator,
    ada: Account,
    config_entry: MockConfigEntry,
    tick: Tick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is complained of until the server has been seen with encryption."""
    monkeypatch.setattr(connections, "PROBE_TIMEOUT", 0.7)
    monkeypatch.setattr(server_coordinator, "PATIENCE", 0.1)
    attic = await plex.add_server("Attic", owner=ada, secure=False)
    await setup_integration(hass, config_entry)
    complaints = async_capture_events(hass, ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED)
    silent = plex.faults.add(Vanish(Ending.SILENCE), host="Attic")
    # That it is gone is told while it is still looked for.
    server = config_entry.runtime_data.servers[attic.machine_identifier]
    token = server.data.token
    waiting = asyncio.create_task(server.async_replace_access(token, Trouble.LOST))
    await until(lambda: state_of(hass, CONNECTIVITY) == STATE_OFF)
    assert not waiting.done()
    with pytest.raises(HomeAssistantError):
        await waiting
    plex.faults.remove(silent)
    plex.faults.add(Vanish(), host="Attic")
    await tick(SERVER_POLL)
    assert not complaints
    assert keys(hass) == ["unencrypted"]
    plex.faults.clear()
    await plex.encrypt_server(attic, encrypt=True)
    await tick(ACCOUNT_POLL)
    await tick(SERVER_POLL)
    assert keys(hass) == []
