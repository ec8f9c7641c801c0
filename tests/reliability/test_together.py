"""Tests of many who want the same at the same time."""

import asyncio
from collections import Counter

import pytest

from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from tests import until
from tests.plex_emulator import Vanish

from .midway import Hold
from .places import key
from .world import World, shown

MANY = 100


async def test_rejected_tokens_of_many(ready: World) -> None:
    """A hundred look-ups whose token is rejected share one renewal, and all succeed."""
    ready.attic._transient.clear()
    answers = await asyncio.gather(*(ready.look_up(probe=False) for _ in range(MANY)))
    assert all(answer["access_token"] for answer in answers)
    assert Counter(request.path for request in ready.plex.requests) == {
        "/security/resources": 2 * MANY,
        "/security/token": 1,
    }


async def test_during_a_renewal(ready: World) -> None:
    """Whoever comes while a token is being renewed waits for that one."""
    hold = Hold()
    ready.plex.faults.add(hold, path="/security/token", times=1)
    first = asyncio.create_task(ready.call("get_transient_token", refresh=True))
    await hold.arrived.wait()
    others = [
        asyncio.create_task(waiting)
        for number in range(MANY // 2)
        for waiting in (
            ready.call("get_transient_token", refresh=bool(number % 2)),
            ready.look_up(probe=False),
        )
    ]
    await asyncio.sleep(0.05)
    assert not ready.plex.requests.matching(path="/security/resources")
    hold.released.set()
    token = (await first)["token"]
    answers = await asyncio.gather(*others)
    assert {answer["token"] for answer in answers if "token" in answer} == {token}
    counts = Counter(request.path for request in ready.plex.requests)
    assert counts == {
        "/": MANY // 4,
        "/security/token": 1,
        "/security/resources": MANY // 2,
    }
    used = ready.plex.requests.matching(path="/security/resources")
    assert {request.token for request in used} == {token}


async def test_one_gives_up(ready: World) -> None:
    """Who does not want to wait any longer leaves the renewal to the others."""
    hold = Hold()
    ready.plex.faults.add(hold, path="/security/token", times=1)
    first, second = (
        asyncio.create_task(ready.call("get_transient_token", refresh=True))
        for _ in range(2)
    )
    await hold.arrived.wait()
    first.cancel()
    await asyncio.sleep(0)
    hold.released.set()
    assert (await second)["token"] == ready.attic.transient_tokens[-1].text
    assert len(ready.plex.requests.matching(path="/security/token")) == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_server_down(ready: World) -> None:
    """If it is down, one look is taken for all, and all are told the same."""
    ready.plex.faults.add(Vanish(), host="Attic")
    seen = await asyncio.gather(*(key(ready.look_up()) for _ in range(MANY)))
    assert set(seen) == {"server_unreachable"}
    # plex.tv tells nothing new, so one look at the address that was known will do.
    assert len(ready.plex.requests.matching(path="/identity")) == 1
    assert len(ready.plex.requests.matching(path="/api/v2/resources")) == 1


async def test_rejected_account_token(hass: HomeAssistant, ready: World) -> None:
    """However many find out that the account is signed out, the user is asked once."""
    ready.plex.sign_out_everywhere(ready.ada)
    results = await asyncio.gather(
        *(ready.call("get_user_details", refresh=True) for _ in range(MANY)),
        return_exceptions=True,
    )
    errors = [result for result in results if isinstance(result, HomeAssistantError)]
    assert [shown(error) for error in errors] == ["auth_failed"] * MANY
    await asyncio.gather(*(ready.account.async_refresh() for _ in range(3)))
    await ready.server.async_refresh()
    await ready.settle()
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["context"]["source"] == SOURCE_REAUTH
    # One for all actions, three that were asked for, and one because of the server.
    assert len(ready.plex.requests.matching(path="/api/v2/user")) <= 5


async def test_late_rejection(ready: World) -> None:
    """Who was rejected with an old token does not have a newer one replaced."""
    hold = Hold()
    ready.plex.faults.add(hold, path="/security/resources", times=1)
    late = asyncio.create_task(ready.look_up(probe=False))
    await hold.arrived.wait()
    ready.attic._transient.clear()
    await ready.look_up(probe=False)
    (token,) = ready.attic.transient_tokens[:1]
    hold.released.set()
    assert await late
    await until(late.done)
    assert len(ready.plex.requests.matching(path="/security/token")) == 1
    assert (await ready.call("get_transient_token"))["token"] == token.text
