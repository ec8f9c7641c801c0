"""A look-up as an action of Home Assistant, beside bare requests.

Connections are not tried (`probe` is off), so it is the same single request.
"""

from benchmarks.emulator import emulated
from benchmarks.figures import Report, at_least, at_most
from benchmarks.home_assistant import DOMAIN, account_in, home_assistant
from benchmarks.measuring import call_rate_async, compare, verify
from benchmarks.operations import Floor

ROUNDS = 10
CALLS = 250
CONCURRENCY = 32
# Seconds: short, so that both meet the same machine.
DURATION = 0.3
RATE_ROUNDS = 25


async def run(report: Report) -> None:
    """Compare medians, and look-ups per second."""
    async with (
        emulated() as world,
        home_assistant() as hass,
        account_in(hass, world) as entry,
        world.session() as session,
    ):
        target = world.first

        async def act() -> None:
            answer = await hass.services.async_call(
                DOMAIN,
                "get_source_connection_information",
                {
                    "config_entry_id": entry.entry_id,
                    "source": target.source,
                    "probe": False,
                },
                blocking=True,
                return_response=True,
            )
            assert answer
            connections = answer["connections"]
            assert isinstance(connections, list)
            verify(
                right=answer["client_identifier"] == target.machine_identifier
                and bool(answer["access_token"])
                and len(connections) == target.connections
            )

        floor = Floor(session, target).get_source_connection_information
        medians = await compare((act, floor), ROUNDS, CALLS)
        report.add("action_us.ours", [1e6 * own for own, _ in medians])
        report.add("action_us.floor", [1e6 * low for _, low in medians])
        report.add("action.p50", [own / low for own, low in medians], goal=at_most(1.5))
        ratios, cpu = [], []
        for number in range(RATE_ROUNDS + 1):
            await world.count_requests()
            own, low = [
                await call_rate_async(operation, CONCURRENCY, DURATION)
                for operation in (act, floor)
            ]
            # The first round makes connections.
            if number:
                ratios.append(own[0] / low[0])
                cpu.append(own[1] / low[1])
        report.add("action.throughput_32", ratios, goal=at_least(0.75))
        report.add("action.cpu_32", cpu)
