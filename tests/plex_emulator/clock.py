"""The one place that asks what time it is, so that a test can freeze it."""

from datetime import UTC, datetime
import time


def now() -> float:
    """Return the seconds since 1970."""
    return time.time()


def iso(moment: float) -> str:
    """Write a moment the way plex.tv writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
