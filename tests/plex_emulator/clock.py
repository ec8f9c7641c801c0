"""The one place that asks what time it is, so that a test can freeze it."""

import time


def now() -> float:
    """Return the seconds since 1970."""
    return time.time()
