"""What makes the repository one that Home Assistant, HACS and translators can use.

hassfest and HACS check their own rules in GitHub; here is what they do not look at.
"""

import json
from pathlib import Path
import re
import struct
import sys
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components import plex_account
from custom_components.plex_account.const import DOMAIN
from homeassistant.core import HomeAssistant, Service
from homeassistant.helpers import config_validation as cv, service as service_helper
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.selector import selector, validate_selector
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from . import setup_integration
from .plex_emulator import MediaServer
from .translations import LANGUAGES, TRANSLATIONS, leaves, placeholders

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / DOMAIN
MANIFEST: dict[str, Any] = json.loads((INTEGRATION / "manifest.json").read_text())
HACS: dict[str, Any] = json.loads((ROOT / "hacs.json").read_text())
ICONS: dict[str, Any] = json.loads((INTEGRATION / "icons.json").read_text())
SERVICES: dict[str, Any] = load_yaml_dict(f"{INTEGRATION}/services.yaml")
SOURCES = {path: path.read_text() for path in sorted(INTEGRATION.rglob("*.py"))}
CODE = "\n".join(SOURCES.values())

by_language = pytest.mark.parametrize("language", LANGUAGES)
by_action = pytest.mark.parametrize("action", SERVICES)


# Versions


def test_manifest() -> None:
    """The keys are in the order that Home Assistant wants, and nothing is required."""
    first = ["domain", "name"]
    assert list(MANIFEST) == first + sorted(MANIFEST.keys() - first)
    assert MANIFEST["name"] == HACS["name"] == TRANSLATIONS["en"]["title"]
    assert MANIFEST["requirements"] == []


async def test_home_assistant_loads_the_integration(hass: HomeAssistant) -> None:
    """Home Assistant takes the manifest, and finds the brand."""
    integration = await async_get_integration(hass, DOMAIN)
    assert integration.has_branding
    assert str(integration.version) == MANIFEST["version"]


def test_versions() -> None:
    """The oldest version that HACS installs on is tested, and this one is described."""
    lines = (ROOT / "scripts" / "ha-versions").read_text().splitlines()
    tested = [line.split()[0] for line in lines if line[:1].isdigit()]
    oldest = tested[0].rpartition(".")[0]
    assert HACS["homeassistant"] == f"{oldest}.0"
    changelog = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert f"## {MANIFEST['version']}" in changelog


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_brand(name: str, size: int) -> None:
    """The icons have the right size, and there are no others."""
    data = (INTEGRATION / "brand" / name).read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (size, size)
    files = {path.name for path in (INTEGRATION / "brand").iterdir()}
    assert files == {"icon.png", "icon@2x.png"}


# Actions


@pytest.fixture
async def registered(hass: HomeAssistant) -> dict[str, Service]:
    """Return the actions that there are before any account is set up."""
    assert await async_setup_component(hass, DOMAIN, {})
    return hass.services.async_services_for_domain(DOMAIN)


async def test_actions(registered: dict[str, Service]) -> None:
    """Every action is described, has an icon, and is one that exists."""
    assert service_helper._SERVICES_SCHEMA(SERVICES).keys() == registered.keys()
    assert ICONS["services"].keys() == registered.keys()


@by_action
async def test_fields(registered: dict[str, Service], action: str) -> None:
    """Fields, defaults and what is required are those of the schema."""
    schema = registered[action].schema
    assert isinstance(schema, vol.Schema)
    markers = {str(marker): marker for marker in schema.schema}
    fields = SERVICES[action]["fields"]
    assert fields.keys() == markers.keys()
    for key, field in fields.items():
        check = vol.Schema(selector(validate_selector(field["selector"])))
        for value in {"default", "example"} & field.keys():
            assert check(field[value]) == field[value], key
        marker = markers[key]
        if not isinstance(marker.default, vol.Undefined):
            assert field["default"] == marker.default(), key


@by_language
@by_action
def test_texts_of_actions(language: str, action: str) -> None:
    """Every action and field has a name and a description, and no others have."""
    texts = TRANSLATIONS[language]["services"]
    assert texts.keys() == SERVICES.keys()
    assert texts[action].keys() == {"name", "description", "fields"}
    assert texts[action]["fields"].keys() == SERVICES[action]["fields"].keys()
    for field in texts[action]["fields"].values():
        assert field.keys() == {"name", "description"}


# Texts


@by_language
def test_translation(language: str) -> None:
    """Keys are sorted and those of English, and so are the placeholders."""
    english = leaves(TRANSLATIONS["en"])
    texts = leaves(TRANSLATIONS[language])
    path = INTEGRATION / "translations" / f"{language}.json"
    as_sorted = json.dumps(
        TRANSLATIONS[language], indent=2, ensure_ascii=False, sort_keys=True
    )
    assert path.read_text() == f"{as_sorted}\n"
    assert texts.keys() == english.keys()
    for key, text in texts.items():
        assert placeholders(text) == placeholders(english[key]), key
        assert cv.string_with_no_html(text) == text.strip() != "", key
        assert not re.search(r"\bhttps?://|\bwww\.", text), key
        # The frontend takes an apostrophe there for a quotation mark.
        assert not re.search(r"'\{|\}'", text), key


@pytest.mark.parametrize("kind", ["exceptions", "issues"])
def test_no_text_is_left_over(kind: str) -> None:
    """A text that nothing in the code asks for goes; tests see that none is missing."""
    for key in TRANSLATIONS["en"][kind]:
        assert f'"{key}"' in CODE, key


@pytest.mark.parametrize("kind", ["error", "abort", "step", "progress"])
def test_no_text_of_a_dialog_is_left_over(kind: str) -> None:
    """The same goes for the texts of dialogs."""
    flows = "".join(
        SOURCES[INTEGRATION / f"{name}.py"] for name in ("config_flow", "options_flow")
    )
    # A step may only be the name of a method.
    flows = flows.replace("async_step_", '"').replace("(", '"')
    for texts in (TRANSLATIONS["en"].get(name, {}) for name in ("config", "options")):
        for key in texts.get(kind, {}):
            assert f'"{key}"' in flows or key == "already_configured", key


async def test_entities(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> None:
    """Every entity has a name, its states too, and an icon; no text is left over."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", True)
    await setup_integration(hass, config_entry)
    entities = [
        (platform.domain, entity)
        for platform in async_get_platforms(hass, DOMAIN)
        for entity in platform.entities.values()
    ]
    assert {platform for platform, _ in entities} == set(plex_account.PLATFORMS)
    seen: dict[str, set[str]] = {}
    for platform, entity in entities:
        key = entity.translation_key
        if entity.device_class is None:
            assert ICONS["entity"][platform][key]["default"]
        if key is None:
            assert entity.device_class
            continue
        seen.setdefault(platform, set()).add(key)
        text = TRANSLATIONS["en"]["entity"][platform][key]
        assert text["name"]
        if options := getattr(entity, "options", None):
            assert text["state"].keys() == set(options)
    assert seen == {
        platform: set(texts) for platform, texts in TRANSLATIONS["en"]["entity"].items()
    }


# Rules of the house


def test_api_knows_nothing_of_home_assistant() -> None:
    """The Plex client needs aiohttp with what that brings, and orjson; no circle."""
    for path, source in SOURCES.items():
        imported = set(re.findall(r"^(?:from|import) (\w+)", source, re.MULTILINE))
        if path.parent.name == "api":
            allowed = {"aiohttp", "yarl", "orjson", *sys.stdlib_module_names}
            assert imported <= allowed, path
        assert "TYPE_CHECKING" not in source, path


def test_imports_go_one_way() -> None:
    """No module of the integration imports one that imports it."""
    imports = {
        path.stem: set(re.findall(r"^from \.(\w+) import", source, re.MULTILINE))
        for path, source in SOURCES.items()
        if path.parent == INTEGRATION
    }

    def reached(name: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """Return all that a module imports, and what that imports."""
        found = imports.get(name, set()) - seen
        return found.union(*(reached(other, seen | found) for other in found))

    for name in imports:
        assert name not in reached(name)


def test_quality_scale() -> None:
    """Every rule is done, or exempt for a reason."""
    rules = load_yaml_dict(f"{INTEGRATION}/quality_scale.yaml")["rules"]
    assert len(rules) == 54
    for rule, entry in rules.items():
        if entry != "done":
            assert entry["status"] == "exempt", rule
            assert entry["comment"], rule
