"""The operations in a row, against each peer on those it has.

python-plexapi cannot look sources up, so is compared on the other three. plexjs 0.39.0
sends all four requests but does not return what the media server answers to two of
them, which so cannot be verified; 0.43.0 has only these two, and returns it.
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median

from aiohttp import ClientSession

from benchmarks.emulator import emulated
from benchmarks.figures import Report, at_least
from benchmarks.measuring import WARM_UP, time_rows_async
from benchmarks.operations import Operation, Ours, all_of
from benchmarks.peers import start
from benchmarks.process import Child

# What a peer does not do, so is not part of its row or not of the same worth.
MISSING = {
    "plexapi.get_source_connection_information": "no such call",
    "plexjs.get_transient_token": "0.39.0 asks, but does not return the answer",
    "plexjs.get_source_connection_information": (
        "0.39.0 asks, but does not return the answer"
    ),
    "plexjs_0_43_0.sign_in": "no such call any more",
    "plexjs_0_43_0.get_user": "no such call any more",
}
ROUNDS = 8
ROWS = 40


@dataclass(frozen=True, slots=True)
class _Peer:
    """A peer, and what of ours does the same as it."""

    name: str
    child: Child
    ours: list[Operation]
    goal: float
    action: str = "time_rows"

    async def compare(self) -> float:
        """Return how many times as long as ours its row takes."""
        own = await time_rows_async(self.ours, ROWS)
        other: list[float] = await self.child(self.action, count=ROWS)
        return median(other) / median(own)


async def run(report: Report) -> None:
    """Compare the medians of the rows."""
    for name, reason in MISSING.items():
        report.add_missing(f"sequence_missing.{name}", reason)
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(emulated(tls=False))
        session = await stack.enter_async_context(ClientSession())
        target = world.first
        ours = all_of(Ours(session, target))
        plexapi = await stack.enter_async_context(start.plexapi(target))
        client = await stack.enter_async_context(start.plex_api_client(target))
        peers = [
            _Peer("plexapi", plexapi, ours[:3], 2),
            _Peer("plex_api_client", client, ours, 5),
            _Peer("plex_api_client_async", client, ours, 5, "time_rows_async"),
        ]
        if start.has_node():
            old = await stack.enter_async_context(start.plexjs(target, "0.39.0"))
            new = await stack.enter_async_context(start.plexjs(target, "0.43.0"))
            peers.append(_Peer("plexjs", old, ours, 2))
            peers.append(_Peer("plexjs_0_43_0", new, ours[2:], 2))
        else:
            report.add_missing("sequence.plexjs", start.NO_NODE)
            report.add_missing("sequence.plexjs_0_43_0", start.NO_NODE)
        for peer in peers:
            await peer.child(peer.action, count=WARM_UP)
        ratios: dict[str, list[float]] = {peer.name: [] for peer in peers}
        for _ in range(ROUNDS):
            for peer in peers:
                ratios[peer.name].append(await peer.compare())
            await world.count_requests()
        for peer in peers:
            report.add(
                f"sequence.{peer.name}", ratios[peer.name], goal=at_least(peer.goal)
            )
