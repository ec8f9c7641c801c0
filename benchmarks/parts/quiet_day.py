"""What a day on which nothing happens costs in requests, in simulated time.

A real Home Assistant lives through it with a clock that jumps to the next timer as soon
as nothing is left to do. The day begins a minute after the set-up. `_most` is the
costliest of four days: on every other one a token is renewed before it gets too old,
which is two requests in the place of one.
"""

from collections import Counter

from benchmarks.figures import Report, at_most
from benchmarks.process import Child

SERVERS = 3
DAYS = 4


async def run(report: Report) -> None:
    """Let the days pass in a process of its own."""
    async with Child.module("parts.simulated_day") as child:
        days: list[list[tuple[str, str, int]]] = await child(
            "count", servers=SERVERS, days=DAYS
        )
    plex_tv, per_server = [], []
    for day in days:
        hosts = Counter[str]()
        for host, _, count in day:
            hosts[host] += count
        plex_tv.append(hosts.pop("plex.tv"))
        per_server.append(max(hosts.values()))
    for host, path, count in sorted(days[0]):
        print(f"  {host} {path}: {count}")
    report.add("quiet_day.plex_tv", plex_tv[:1], goal=at_most(97))
    report.add("quiet_day.per_server", per_server[:1], goal=at_most(384))
    report.add("quiet_day.plex_tv_most", [max(plex_tv)])
    report.add("quiet_day.per_server_most", [max(per_server)])
