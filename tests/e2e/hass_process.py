"""A real Home Assistant with this integration, in a process of its own."""

from collections.abc import Mapping, Sequence
import json
import os
from pathlib import Path
import socket
import sys
from typing import Any, override

from aiohttp import ClientError, ClientSession

from tests.plex_emulator.certificates import CERTIFICATE, CertificateAuthority

from .child import ROOT, Child

HOST = "127.0.0.1"
DOMAIN = "plex_account"

# The names of what is in the configuration for automations to react to and to write.
BUTTON = "input_button.show"
TEXT = "input_text.result"
PLAYER = "media_player.television"

# No default_config: nothing is discovered, and no cloud is asked.
CONFIGURATION = """\
homeassistant:
  name: Demonstration
  latitude: 43.01
  longitude: -7.56
  elevation: 465
  unit_system: metric
  currency: EUR
  country: ES
  language: en
  time_zone: UTC
  internal_url: {url}
  external_url: {url}
frontend:
config:
automation: !include automations.yaml
# For the scripts of the documentation, for who tries them in the demo.
script: !include scripts.yaml
input_button:
  show:
    name: Show
input_text:
  result:
    name: Result
    max: 255
media_player:
  # What it is to play is shown as the result.
  - platform: universal
    name: Television
    commands:
      play_media:
        action: input_text.set_value
        target:
          entity_id: input_text.result
        data:
          value: "{{{{ media_content_id }}}}"
mobile_app:
my:
repairs:
logger:
  default: info
  logs:
    custom_components.plex_account: debug
"""

# All but the first user, whose creation is what lets us in.
ONBOARDED = ["core_config", "analytics", "integration"]
ANALYTICS = {
    "onboarded": True,
    "preferences": dict.fromkeys(("base", "diagnostics", "usage", "statistics"), False),
    "uuid": None,
}


class HassProcess(Child):
    """Home Assistant in a fresh configuration folder, on a port of its own."""

    name = "hass"

    def __init__(self, *, port: int = 0) -> None:
        """Use this port, or any free one."""
        self._port = port

    @property
    def url(self) -> str:
        """Where Home Assistant is."""
        return f"http://{HOST}:{self._port}"

    @property
    def authority(self) -> Path:
        """The folder of the only authority that Home Assistant trusts."""
        return self.folder / "authority"

    @property
    def storage(self) -> Path:
        """The folder in which Home Assistant remembers things."""
        return self._config / ".storage"

    async def ready(self, session: ClientSession) -> str:
        """Wait until it can be spoken to, and return its address."""

        async def onboarding() -> str | None:
            try:
                async with session.get(f"{self.url}/api/onboarding") as response:
                    return self.url if response.ok else None
            except ClientError:
                return None

        return await self.until(onboarding)

    @property
    def _config(self) -> Path:
        return self.folder / "config"

    @override
    def _prepare(self) -> Sequence[str | Path]:
        self._port = self._port or free_port()
        CertificateAuthority.load(self.authority)
        self.storage.mkdir(parents=True)
        _store(self.storage, "http", 3, _http(self._port))
        _store(self.storage, "onboarding", 4, {"done": ONBOARDED})
        _store(self.storage, "core.analytics", 1, ANALYTICS)
        (self._config / "automations.yaml").write_text("[]\n")
        (self._config / "scripts.yaml").write_text("{}\n")
        (self._config / "configuration.yaml").write_text(
            CONFIGURATION.format(url=self.url)
        )
        (self._config / "custom_components").mkdir()
        (self._config / "custom_components" / DOMAIN).symlink_to(
            ROOT / "custom_components" / DOMAIN
        )
        return [
            sys.executable,
            "-m",
            "homeassistant",
            "--config",
            self._config,
            # All it needs is there, and nothing shall be fetched.
            "--skip-pip",
            "--log-no-color",
        ]

    @override
    def _environment(self) -> Mapping[str, str]:
        tools = Path(sys.executable).parent
        environment = dict(super()._environment())
        return environment | {
            "PATH": f"{tools}{os.pathsep}{environment['PATH']}",
            "REQUESTS_CA_BUNDLE": str(self.authority / CERTIFICATE),
        }


def _http(port: int) -> dict[str, Any]:
    """Return the settings of the web server, which YAML may no longer hold."""
    return {
        "stable": {
            "server_port": port,
            "server_host": [HOST],
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "intermediate_v6",
            "use_x_frame_options": True,
            "created_at": "2026-01-01T00:00:00+00:00",
            "error": None,
            "error_message": None,
        },
        "pending": None,
        "yaml_migration_done": True,
    }


def _store(folder: Path, key: str, version: int, data: object) -> None:
    """Write a file as Home Assistant's own storage does."""
    (folder / key).write_text(
        json.dumps({"version": version, "minor_version": 1, "key": key, "data": data})
    )


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as candidate:
        candidate.bind((HOST, 0))
        port: int = candidate.getsockname()[1]
        return port
