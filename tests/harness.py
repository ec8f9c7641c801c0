"""Let the test harness, made for one Home Assistant release, run on the next one.

Loaded with `-p tests.harness`, so before pytest's other plugins. Can go as soon as the
pinned pytest-homeassistant-custom-component is made for 2026.11 or later.
"""

from importlib import import_module

from homeassistant.const import MAJOR_VERSION, MINOR_VERSION

HARNESS = "pytest_homeassistant_custom_component"


def _adapt() -> None:
    """Undo what changed under the harness."""
    # Importing homeassistant has just put its own engines in the place of httpx and
    # voluptuous, which must happen before any pytest plugin imports those. What the
    # harness patches has to be patched before the rest of Home Assistant is imported.
    for patches in ("patch_json", "patch_recorder", "patch_time"):
        import_module(f"{HARNESS}.{patches}")

    # The harness takes this function from the package, which no longer re-exports it.
    logger = import_module("homeassistant.components.logger")
    helpers = import_module("homeassistant.components.logger.helpers")
    vars(logger).setdefault(
        "_clear_logger_overwrites", vars(helpers)["_clear_logger_overwrites"]
    )


if (MAJOR_VERSION, MINOR_VERSION) >= (2026, 11):
    _adapt()
