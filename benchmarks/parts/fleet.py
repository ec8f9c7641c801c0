"""What a million homes ask of plex.tv: through a quiet day, a power cut and an outage.

Arithmetic over the real intervals, retries and back-offs, not a million processes:
50,000 homes are followed for twelve hours, each of which counts as twenty. In the power
cut a tenth of the homes lose power for ten minutes; their Home Assistant starts one to
three minutes after it is back. In the outage plex.tv answers nobody for an hour; in
`both` the power cut is at its beginning, so that homes start while it lasts.
`peak` is the busiest ten seconds beside the mean of a quiet day, after that is over;
`during` is the same while it lasts. `in_step` is without the random part of the first
interval and of the pauses after a start, by which homes that start together do not go
on together; `later` is from an hour after the power is back.
"""

from collections import Counter
from collections.abc import Iterator
import random

from benchmarks.figures import Report, at_most
from custom_components.plex_account.api import http
from custom_components.plex_account.coordinator import (
    ACCOUNT_UPDATE_INTERVAL,
    PING_INTERVAL,
    RETRY_INTERVAL,
)

HOMES = 1_000_000
SAMPLE = 50_000
# Seconds.
BIN = 10
END = 12 * 3600
INTERVAL = ACCOUNT_UPDATE_INTERVAL.total_seconds()
POWER_OFF, POWER_ON = 4 * 3600, 4 * 3600 + 600
BOOT = (60, 180)
OUTAGE_START, OUTAGE_END = 4 * 3600, 5 * 3600
# What one refresh asks, and what one attempt is followed by if nobody answers.
REQUESTS = 2
ATTEMPTS = 1 + http.MAX_RETRIES

PLOT_WIDTH = 72
BLOCKS = " ▁▂▃▄▅▆▇█"


async def run(report: Report) -> None:
    """Follow the homes, and draw what plex.tv sees."""
    quiet_mean = HOMES * (REQUESTS / INTERVAL + 1 / PING_INTERVAL.total_seconds())
    report.add("fleet.quiet.mean", [quiet_mean])
    quiet = _rates(offset=True)
    _plot("quiet", quiet, quiet_mean)
    report.add("fleet.quiet.peak", [max(quiet) / quiet_mean])
    for name, offset in (("power_cut", True), ("power_cut_in_step", False)):
        rates = _rates(offset=offset, power_cut=True)
        _plot(name, rates, quiet_mean)
        after = rates[POWER_ON // BIN :]
        report.add(f"fleet.{name}.peak", [max(after) / quiet_mean])
        later = rates[(POWER_ON + 3600) // BIN :]
        report.add(f"fleet.{name}.later", [max(later) / quiet_mean])
    for name, offset, power_cut in (
        ("outage", True, False),
        ("outage_in_step", False, False),
        ("both", True, True),
        ("both_in_step", False, True),
    ):
        rates = _rates(offset=offset, power_cut=power_cut, outage=True)
        _plot(name, rates, quiet_mean)
        during = rates[OUTAGE_START // BIN : OUTAGE_END // BIN]
        report.add(f"fleet.{name}.during", [max(during) / quiet_mean])
        after = rates[OUTAGE_END // BIN :]
        goal = at_most(3) if offset else None
        report.add(f"fleet.{name}.peak", [max(after) / quiet_mean], goal=goal)


def _rates(
    *, offset: bool, power_cut: bool = False, outage: bool = False
) -> list[float]:
    """Return the requests a second, for each ten seconds after the first hour or so."""
    chance = random.Random(1)  # noqa: S311 - no secret
    bins = Counter[int]()
    for number in range(SAMPLE):
        hit = power_cut and number % 10 == 0
        for when, asked in _home(chance, offset=offset, hit=hit, outage=outage):
            bins[int(when / BIN)] += asked
    return [bins[index] * HOMES / SAMPLE / BIN for index in range(END // BIN)]


def _home(
    chance: random.Random, *, offset: bool, hit: bool, outage: bool
) -> Iterator[tuple[float, int]]:
    """Yield when a home asks plex.tv, and how much."""
    # They were started at any time.
    when = chance.uniform(0, INTERVAL)
    ping = chance.uniform(0, PING_INTERVAL.total_seconds())
    yield ping, 1
    while when < END:
        if hit and when >= POWER_OFF:
            when = POWER_ON + chance.uniform(*BOOT)
            hit = False
            pause = RETRY_INTERVAL
            while outage and OUTAGE_START <= when < OUTAGE_END:
                yield when, REQUESTS * ATTEMPTS
                when += pause * (chance.uniform(0.5, 1) if offset else 1)
                pause = min(2 * pause, INTERVAL)
            yield when, REQUESTS
            when += INTERVAL * (chance.random() if offset else 1)
            continue
        yield when, REQUESTS
        if outage and OUTAGE_START <= when < OUTAGE_END:
            pause, later = http.BACKOFF, when
            for _ in range(ATTEMPTS - 1):
                later += pause * chance.uniform(1, 1.5)
                pause *= 2
                yield later, REQUESTS
        when += INTERVAL


def _plot(name: str, rates: list[float], mean: float) -> None:
    """Draw the busiest moment of each ten minutes, up to four times the quiet mean."""
    size = len(rates) // PLOT_WIDTH
    print(f"  {name}, 0 to 12 h; a full block is 4 x the quiet mean")
    line = ""
    for start in range(0, PLOT_WIDTH * size, size):
        share = max(rates[start : start + size]) / mean / 4
        line += BLOCKS[min(len(BLOCKS) - 1, round(share * (len(BLOCKS) - 1)))]
    print(f"  |{line}|")
