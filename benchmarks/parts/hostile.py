"""How long all else waits while an answer is read that is made to keep us busy.

`hostile.KIND` is the longest time that a timer was late while a list of servers was
asked for, and `hostile.usual` that with a list of a thousand servers with ten
connections each, the most that may be meant well. All are multiples of what that list
takes a bare session, which decodes it in a thread. They take turns.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
import gc
from statistics import median

from aiohttp import ClientSession
import orjson

from benchmarks.emulator import CLIENT_IDENTIFIER
from benchmarks.figures import Report, at_most
from benchmarks.measuring import stalls, verify
from benchmarks.operations import identity
from custom_components.plex_account.api import PlexError, PlexTvClient
from tests.reliability.hostile_answers import (
    HOSTILE,
    HostileAnswer,
    answered,
    thread_server,
)

ROUNDS = 5
# In each round, as all is measured by them.
FLOORS = 5
SERVERS = 1000
CONNECTIONS = 10


async def run(report: Report) -> None:
    """Measure each kind beside what is meant well."""
    most = answered(orjson.dumps([_server(number) for number in range(SERVERS)]))
    rounds = defaultdict[str, list[float]](list)
    for _ in range(ROUNDS):
        floor = [await _stall(most, _ask_bare) for _ in range(FLOORS)]
        rounds["usual"].append(await _stall(most, _ask) / median(floor))
        for kind, answer in HOSTILE.items():
            stall = await _stall(answer, _ask_in_vain)
            rounds[kind].append(stall / median(floor))
    for kind, ratios in rounds.items():
        name = kind.replace(" ", "_").lower()
        report.add(f"hostile.{name}", ratios, goal=at_most(5))


async def _stall(
    answer: HostileAnswer, ask: Callable[[ClientSession, str], Awaitable[None]]
) -> float:
    """Return by how many seconds a timer is late at most."""
    gc.collect()
    with thread_server(answer) as url:
        async with ClientSession() as session, stalls() as late:
            await ask(session, url)
    return max(late)


async def _ask(session: ClientSession, url: str) -> None:
    """Read the list of all servers."""
    tv = PlexTvClient(session, identity(CLIENT_IDENTIFIER), server_url=url)
    verify(right=len((await tv.get_servers()).servers) == SERVERS)


async def _ask_in_vain(session: ClientSession, url: str) -> None:
    """Read what is no list, or one of nothing."""
    tv = PlexTvClient(session, identity(CLIENT_IDENTIFIER), server_url=url)
    with suppress(PlexError):
        verify(right=not (await tv.get_servers()).servers)


async def _ask_bare(session: ClientSession, url: str) -> None:
    """Read the list as little as possible."""
    async with session.get(url) as response:
        servers = await asyncio.to_thread(orjson.loads, await response.read())
    verify(right=len(servers) == SERVERS)


def _server(number: int) -> dict[str, object]:
    """Return a server as plex.tv lists it."""
    return {
        "name": f"Server {number}",
        "provides": "server",
        "clientIdentifier": f"{number:040x}",
        "accessToken": f"{number:020x}",
        "owned": True,
        "connections": [
            {
                "protocol": "https",
                "address": f"192.168.1.{index}",
                "port": 32400,
                "uri": f"https://192-168-1-{index}.{number:032x}.plex.direct:32400",
                "local": True,
                "relay": False,
                "IPv6": False,
            }
            for index in range(CONNECTIONS)
        ],
    }
