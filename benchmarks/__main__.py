"""Measure all, or the parts that are named."""

import argparse
import asyncio
import importlib
import json
import logging
import os
from pathlib import Path
import time

from .figures import Report
from .serving import cancel_when_terminated

PARTS = (
    "client",
    "action",
    "sequence",
    "throughput",
    "setup",
    "connections",
    "refresh",
    "hostile",
    "quiet_day",
    "failure",
    "push",
    "media",
    "fleet",
    "weight",
)


async def measure(names: list[str]) -> Report:
    """Measure some parts, one after the other."""
    cancel_when_terminated()
    report = Report()
    for name in names:
        # Each loads no more than it needs.
        part = importlib.import_module(f".parts.{name}", __package__)
        start = time.perf_counter()
        print(f"\n{name}: {(part.__doc__ or '').partition('\n')[0]}", flush=True)
        await part.run(report)
        print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
        report.notes[name] = part.__doc__ or ""
    return report


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("part", nargs="*", help=f"one of {', '.join(PARTS)}")
    options = parser.parse_args()
    if unknown := set(options.part) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # They warn of what is meant to be, and of what does not matter here.
    for name in ("homeassistant", "aiohttp_fast_zlib"):
        logging.getLogger(name).setLevel(logging.ERROR)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. Medians over rounds, "
        "with the least and the greatest."
    )
    report = asyncio.run(measure(options.part or list(PARTS)))
    print(f"\nGoals missed: {', '.join(report.missed) or 'none'}")
    if options.json:
        options.json.write_text(json.dumps(report.data(), indent=2) + "\n")


if __name__ == "__main__":
    main()
