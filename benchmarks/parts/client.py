"""One operation through our client, beside bare requests."""

from aiohttp import ClientSession

from benchmarks.emulator import emulated
from benchmarks.figures import Report, at_most
from benchmarks.measuring import compare
from benchmarks.operations import OPERATIONS, Floor, Ours, all_of

ROUNDS = 10
CALLS = 250


async def run(report: Report) -> None:
    """Compare the medians of each operation."""
    async with emulated(tls=False) as world, ClientSession() as session:
        ours = all_of(Ours(session, world.first))
        floor = all_of(Floor(session, world.first))
        for name, pair in zip(OPERATIONS, zip(ours, floor, strict=True), strict=True):
            medians = await compare(pair, ROUNDS, CALLS)
            report.add(f"client_us.{name}.ours", [1e6 * own for own, _ in medians])
            report.add(f"client_us.{name}.floor", [1e6 * low for _, low in medians])
            report.add(
                f"client.{name}",
                [own / low for own, low in medians],
                goal=at_most(1.15),
            )
            await world.count_requests()
