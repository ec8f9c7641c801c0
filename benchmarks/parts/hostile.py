"""How long all else waits while an answer is read that is made to keep us busy.

`hostile.KIND` is the longest time that a timer was late while a list of servers was
asked for, as a multiple of what that of a thousand servers takes, with ten connections
each: the most that may be meant well. They take turns.
"""

from collections import defaultdict
from contextlib import suppress
import gc

from aiohttp import ClientSession
import orjson

from benchmarks.emulator import CLIENT_IDENTIFIER
from benchmarks.figures import Report, at_most
from benchmarks.measuring import stalls
from benchmarks.operations import identity
from custom_components.plex_account.api import PlexError, PlexTvClient
from tests.reliability.hostile_answers import (
    HOSTILE,
    HostileAnswer,
    answered,
    thread_server,
)

ROUNDS = 5
SERVERS = 1000
CONNECTIONS = 10


async def run(report: Report) -> None:
    """Measure each kind beside what is meant well."""
    most = answered(orjson.dumps([_server(number) for number in range(SERVERS)]))
    rounds = defaultdict[str, list[float]](list)
    for _ in range(ROUNDS):
        usual = await _stall(most)
        for kind, answer in HOSTILE.items():
            rounds[kind].append(await _stall(answer) / usual)
    for kind, ratios in rounds.items():
        report.add(f"hostile.{kind.replace(' ', '_')}", ratios, goal=at_most(3))


async def _stall(answer: HostileAnswer) -> float:
    """Return by how many seconds a timer is late at most."""
    gc.collect()
    with thread_server(answer) as url:
        async with ClientSession() as session, stalls() as late:
            tv = PlexTvClient(session, identity(CLIENT_IDENTIFIER), server_url=url)
            with suppress(PlexError):
                await tv.get_servers()
    return max(late)


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
