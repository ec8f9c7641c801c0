"""Tests of what Home Assistant and HACS ask of a repository, beside that it works."""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
import json
import os
from pathlib import Path
import re
from string import Formatter
import struct
import sys
from types import ModuleType
from typing import Any, get_type_hints

from awesomeversion import AwesomeVersion, AwesomeVersionStrategy
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

import custom_components
from custom_components import plex_account
from custom_components.plex_account import errors
from custom_components.plex_account.const import DOMAIN
from homeassistant.components.brands.const import ALLOWED_IMAGES
from homeassistant.config_entries import ConfigFlow, OptionsFlow
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, Service
from homeassistant.data_entry_flow import FlowError, FlowHandler, section
from homeassistant.exceptions import HomeAssistantError
from homeassistant.generated.languages import LANGUAGES
from homeassistant.helpers import (
    config_validation as cv,
    device_registry as dr,
    service as service_helper,
)
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import async_get_platforms
from homeassistant.helpers.selector import selector, validate_selector
from homeassistant.loader import Integration, Manifest, async_get_integration
from homeassistant.setup import async_setup_component
from homeassistant.util.yaml import load_yaml_dict

from . import setup_integration
from .plex_emulator import MediaServer

ROOT = Path(__file__).parents[1]
INTEGRATION = ROOT / "custom_components" / DOMAIN
README = ROOT / "README.md"
# The README has to be there even if nothing else is.
DOCUMENTS = sorted({README, *ROOT.glob("*.md")})

# Home Assistant's integration quality scale, in its order.
TIERS = {
    tier: rules.split()
    for tier, rules in {
        "Bronze": """
            action-setup appropriate-polling brands common-modules
            config-flow-test-coverage config-flow dependency-transparency docs-actions
            docs-conditions docs-high-level-description docs-installation-instructions
            docs-removal-instructions docs-triggers entity-event-setup entity-unique-id
            has-entity-name runtime-data test-before-configure test-before-setup
            unique-config-entry
        """,
        "Silver": """
            action-exceptions config-entry-unloading docs-configuration-parameters
            docs-installation-parameters entity-unavailable integration-owner
            log-when-unavailable parallel-updates reauthentication-flow test-coverage
        """,
        "Gold": """
            devices diagnostics discovery-update-info discovery docs-data-update
            docs-examples docs-known-limitations docs-supported-devices
            docs-supported-functions docs-troubleshooting docs-use-cases
            dynamic-devices entity-category entity-device-class
            entity-disabled-by-default entity-translations exception-translations
            icon-translations reconfiguration-flow repair-issues stale-devices
        """,
        "Platinum": "async-dependency inject-websession strict-typing",
    }.items()
}

# Rules of which the code shows whether they are followed: what must be defined where.
EVIDENCE = {
    "config-entry-unloading": ("__init__", "async_unload_entry"),
    "diagnostics": ("diagnostics", "async_get_config_entry_diagnostics"),
    "reauthentication-flow": ("config_flow", "async_step_reauth"),
    "reconfiguration-flow": ("config_flow", "async_step_reconfigure"),
}

# What may be used of Home Assistant's integrations without depending on them, beside
# the entity platforms and the integration that a module is a platform of.
FREE_COMPONENTS = {"homeassistant", "persistent_notification", "websocket_api"}


# What the tests have in common


@dataclass(frozen=True)
class Source:
    """A module of the integration: its syntax, and the names it has when imported."""

    path: Path
    tree: ast.Module
    module: ModuleType

    @property
    def in_api(self) -> bool:
        """Return if it belongs to the Plex client."""
        return self.path.parent.name == "api"


def read_source(path: Path) -> Source:
    """Read and import a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(part for part in parts if part != "__init__")
    return Source(path, ast.parse(path.read_text()), import_module(name))


SOURCES = [read_source(path) for path in sorted(INTEGRATION.rglob("*.py"))]
HASS_SOURCES = [source for source in SOURCES if not source.in_api]
PLATFORM_SOURCES = [
    source
    for source in HASS_SOURCES
    if source.path.parent == INTEGRATION and source.path.stem in set(Platform)
]
by_path = pytest.mark.parametrize(
    "source", SOURCES, ids=lambda source: str(source.path.relative_to(INTEGRATION))
)


def load_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, in which no key may stand twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return a JSON object of the file."""
        assert len(dict(pairs)) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    data: dict[str, Any] = json.loads(path.read_text(), object_pairs_hook=unique)
    return data


MANIFEST = load_json(INTEGRATION / "manifest.json")
HACS = load_json(ROOT / "hacs.json")
ICONS = load_json(INTEGRATION / "icons.json")
TRANSLATIONS = {
    path.stem: load_json(path) for path in (INTEGRATION / "translations").iterdir()
}
ENGLISH = TRANSLATIONS["en"]
SERVICES: dict[str, Any] = load_yaml_dict(str(INTEGRATION / "services.yaml"))
QUALITY_SCALE: dict[str, Any] = load_yaml_dict(str(INTEGRATION / "quality_scale.yaml"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
by_language = pytest.mark.parametrize("language", sorted(TRANSLATIONS))


def leaves(data: Any, path: str = "") -> dict[str, Any]:
    """Return what is in nested objects, by dotted path; empty objects too."""
    if not isinstance(data, dict) or not data:
        return {path: data}
    return {
        inner: text
        for key, value in data.items()
        for inner, text in leaves(value, f"{path}.{key}".lstrip(".")).items()
    }


def placeholders(data: Any) -> set[str]:
    """Return the placeholders in all texts of nested objects."""
    return {
        name
        for text in leaves(data).values()
        if isinstance(text, str)
        for _, name, _, _ in Formatter().parse(text)
        if name is not None
    }


def assert_sorted(data: Any, path: str = "") -> None:
    """Check that keys are in alphabetical order, at every level."""
    if isinstance(data, dict):
        assert list(data) == sorted(data), path
        for key, value in data.items():
            assert_sorted(value, f"{path}.{key}".lstrip("."))


def status(rule: str) -> str:
    """Return the status of a rule of the quality scale."""
    entry = QUALITY_SCALE["rules"][rule]
    text: str = entry["status"] if isinstance(entry, dict) else entry
    return text


def called(call: ast.Call) -> str:
    """Return the name of what is called, without what stands before the last dot."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def calls(tree: ast.AST | Iterable[ast.AST], *names: str) -> Iterator[ast.Call]:
    """Return the calls of functions or classes of these names."""
    for root in [tree] if isinstance(tree, ast.AST) else tree:
        for node in ast.walk(root):
            if isinstance(node, ast.Call) and called(node) in names:
                yield node


def argument(call: ast.Call, name: str, index: int | None = None) -> ast.expr | None:
    """Return an argument of a call, by its name or its position."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    if index is not None and index < len(call.args):
        return call.args[index]
    return None


def unclear(source: Source, node: ast.AST) -> AssertionError:
    """Return what to raise if these tests don't understand a piece of code."""
    return AssertionError(
        f"{source.path.name}:{getattr(node, 'lineno', '?')}: can't tell what "
        f"{ast.unparse(node)} is: write a constant, or teach it to the test"
    )


def constant(source: Source, node: ast.AST | None) -> Any:
    """Return what a literal, or the name of a constant, stands for."""
    match node:
        case None:
            return None
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if hasattr(source.module, name):
            return getattr(source.module, name)
        case ast.Attribute(value=owner, attr=name):
            return getattr(constant(source, owner), name)
        case ast.Call(func=ast.Attribute(value=owner, attr="items"), args=[]):
            return list(constant(source, owner).items())
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [constant(source, item) for item in items]
        case ast.Dict(keys=keys, values=values):
            # A value may be anything, as just the keys are of interest.
            return dict(
                zip((constant(source, key) for key in keys), values, strict=True)
            )
    raise unclear(source, node)


def constant_or_none(source: Source, node: ast.AST | None) -> Any:
    """Return what a literal or a name stands for, None if it is not constant."""
    try:
        return constant(source, node)
    except AssertionError, AttributeError:
        return None


def names_given(source: Source, node: ast.expr | None) -> set[str]:
    """Return the names in an argument with placeholders."""
    return set(constant(source, node) or ())


# manifest.json and hacs.json


def test_manifest_keys() -> None:
    """There are the keys that are needed and none that are unknown, in order."""
    assert list(MANIFEST) == [
        "domain",
        "name",
        *sorted(MANIFEST.keys() - {"domain", "name"}),
    ]
    internal = {"disabled", "is_built_in", "overwrites_built_in"}
    assert MANIFEST.keys() <= Manifest.__optional_keys__ - internal
    assert MANIFEST.keys() >= {
        "codeowners",
        "config_flow",
        "documentation",
        "integration_type",
        "iot_class",
        "issue_tracker",
        "requirements",
        "version",
    }


def test_manifest_values() -> None:
    """The values are such as hassfest wants them."""
    assert MANIFEST["domain"] == DOMAIN == INTEGRATION.name
    assert re.fullmatch(r"[a-z0-9_]+", DOMAIN)
    assert MANIFEST["name"] == HACS["name"] == ENGLISH["title"]
    assert MANIFEST["config_flow"] is True
    assert MANIFEST["integration_type"] == "service"
    assert MANIFEST["iot_class"] == "cloud_polling"
    assert MANIFEST["codeowners"]
    for owner in MANIFEST["codeowners"]:
        assert re.fullmatch(r"@[\w-]+(/[\w-]+)?", owner)
    assert not {"home-assistant", "www"} & set(MANIFEST["documentation"].split("."))


@pytest.mark.parametrize("key", ["documentation", "issue_tracker"])
def test_manifest_urls(key: str) -> None:
    """The addresses are safe ones."""
    assert re.fullmatch(r"https://[\w.-]+\.\w+(/[\w.-]+)+", MANIFEST[key])


def test_manifest_version() -> None:
    """Home Assistant understands the version."""
    version = AwesomeVersion(
        MANIFEST["version"],
        ensure_strategy=[AwesomeVersionStrategy.SEMVER, AwesomeVersionStrategy.CALVER],
    )
    assert version.valid


def test_requirements_are_not_shipped_by_home_assistant() -> None:
    """Nothing is required that is there anyway, and the rest is pinned."""
    shipped = {
        canonicalize_name(Requirement(text).name)
        for text in metadata.requires("homeassistant") or ()
    }
    for text in MANIFEST["requirements"]:
        requirement = Requirement(text)
        assert canonicalize_name(requirement.name) not in shipped
        assert [pin.operator for pin in requirement.specifier] == ["=="]


async def test_home_assistant_loads_the_integration(hass: HomeAssistant) -> None:
    """Home Assistant takes the manifest, and finds the brand and the platforms."""
    integration = Integration.resolve_from_root(hass, custom_components, DOMAIN)
    assert integration
    assert integration.version == MANIFEST["version"]
    assert integration.has_branding
    assert (await async_get_integration(hass, DOMAIN)).file_path == INTEGRATION


@by_path
def test_dependencies(source: Source) -> None:
    """Other integrations are only used if the manifest names them."""
    allowed = {
        *Platform,
        *FREE_COMPONENTS,
        *MANIFEST.get("dependencies", ()),
        *MANIFEST.get("after_dependencies", ()),
        # Set up by that integration only, as diagnostics.py by diagnostics.
        source.path.stem,
    }
    for module in imports(source):
        if match := re.match(r"homeassistant\.components\.(\w+)", module):
            assert match[1] in allowed


def test_config_schema() -> None:
    """An integration with actions says that it has no configuration in YAML."""
    assert DOMAIN in plex_account.CONFIG_SCHEMA({DOMAIN: {}})


def home_assistant_versions() -> list[str]:
    """Return the versions that the tests run on, oldest first."""
    lines = (ROOT / "scripts" / "ha-versions").read_text().splitlines()
    return [line.split()[0] for line in lines if line and not line.startswith("#")]


def test_hacs() -> None:
    """HACS knows all keys, and wants what the tests run on."""
    types: dict[str, type | tuple[type, ...]] = {
        "content_in_root": bool,
        "country": (str, list),
        "filename": str,
        "hacs": str,
        "hide_default_branch": bool,
        "homeassistant": str,
        "name": str,
        "persistent_directory": str,
        "render_readme": bool,
        "zip_release": bool,
    }
    assert HACS.keys() <= types.keys()
    for key, value in HACS.items():
        assert isinstance(value, types[key]), key
    year, month, _ = home_assistant_versions()[0].split(".")
    assert HACS["homeassistant"] == f"{year}.{month}.0"
    assert [path.name for path in INTEGRATION.parent.iterdir() if path.is_dir()] == [
        DOMAIN
    ]


def test_marketplace() -> None:
    """Home Assistant's Marketplace, where there is one, understands all values."""
    if find_spec("homeassistant.components.marketplace") is None:
        return
    validate = import_module("homeassistant.components.marketplace.utils.validate")
    assert validate.VALID_DOMAIN.fullmatch(DOMAIN)
    for key, value in HACS.items():
        validate.REPOSITORY_MANIFEST_VALUES[key](value)
    for key, validator in validate.INTEGRATION_MANIFEST_VALUES.items():
        validator(MANIFEST[key])


# services.yaml


def fields_of(action: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the fields of an action in services.yaml, also those in sections."""
    fields: dict[str, dict[str, Any]] = {}
    for key, field in action.get("fields", {}).items():
        inner = fields_of(field) if "fields" in field else {key: field}
        assert not fields.keys() & inner.keys()
        fields |= inner
    return fields


def sections_of(action: dict[str, Any]) -> set[str]:
    """Return the sections of an action in services.yaml."""
    return {key for key, field in action.get("fields", {}).items() if "fields" in field}


@pytest.fixture
async def registered(hass: HomeAssistant) -> dict[str, Service]:
    """Return the actions that there are before any account is set up."""
    assert await async_setup_component(hass, DOMAIN, {})
    assert not hass.config_entries.async_entries(DOMAIN)
    return hass.services.async_services_for_domain(DOMAIN)


def test_services_schema() -> None:
    """Home Assistant takes the file."""
    assert service_helper._SERVICES_SCHEMA(SERVICES).keys() == SERVICES.keys()


async def test_services_are_those_registered(registered: dict[str, Service]) -> None:
    """Every action is described, and every described action exists."""
    assert registered.keys() == SERVICES.keys()


@pytest.mark.parametrize("action", SERVICES)
async def test_services_fields(registered: dict[str, Service], action: str) -> None:
    """Fields, defaults and what is required are those of the action's schema."""
    schema = registered[action].schema
    assert isinstance(schema, vol.Schema)
    markers = {str(marker): marker for marker in schema.schema}
    fields = fields_of(SERVICES[action])
    assert fields.keys() == markers.keys()
    for key, field in fields.items():
        marker = markers[key]
        required = field.get("required", False)
        if isinstance(marker.default, vol.Undefined):
            assert required is isinstance(marker, vol.Required), key
            assert "default" not in field, key
        else:
            # With a default it may be called required, so that it has no checkbox.
            assert required is True or not isinstance(marker, vol.Required), key
            assert field["default"] == marker.default(), key


@pytest.mark.parametrize("action", SERVICES)
def test_services_selectors(action: str) -> None:
    """Every field has a selector, which accepts the default and the example."""
    for key, field in fields_of(SERVICES[action]).items():
        assert field.keys() <= {
            "default",
            "example",
            "filter",
            "required",
            "selector",
        }, key
        check = vol.Schema(selector(validate_selector(field["selector"])))
        for value in ("default", "example"):
            if value in field:
                assert check(field[value]) == field[value], key


@by_language
async def test_services_translations(
    registered: dict[str, Service], language: str
) -> None:
    """Every action, field and section has a name and a description, and no others."""
    texts = TRANSLATIONS[language]["services"]
    assert texts.keys() == SERVICES.keys()
    for action, description in SERVICES.items():
        text = texts[action]
        sections = sections_of(description)
        assert text.keys() == {"name", "description", "fields"} | (
            {"sections"} if sections else set()
        )
        assert text["fields"].keys() == fields_of(description).keys(), action
        assert text.get("sections", {}).keys() == sections, action
        for key, field in text["fields"].items():
            assert field.keys() == {"name", "description"}, (action, key)
        for key, inner in text.get("sections", {}).items():
            assert {"name"} <= inner.keys() <= {"name", "description"}, (action, key)
        given = registered[action].description_placeholders or {}
        assert placeholders(text) == given.keys(), action


def test_services_icons() -> None:
    """Every action has an icon."""
    assert ICONS["services"].keys() == SERVICES.keys()
    for action, icon in ICONS["services"].items():
        assert {"service"} <= icon.keys() <= {"service", "sections"}, action
        assert icon.get("sections", {}).keys() <= sections_of(SERVICES[action])


# Translations in general

URL = re.compile(r"\b(https?|ftp|mqtts?|wss?)://|\bwww\.", re.IGNORECASE)


@by_language
def test_translation_texts(language: str) -> None:
    """No text is empty or has a URL, HTML, a reference or a quoted placeholder."""
    assert language in LANGUAGES
    for path, text in leaves(TRANSLATIONS[language]).items():
        assert text, path
        assert cv.string_with_no_html(text) == text.strip(), path
        assert not URL.search(text), path
        assert "[%" not in text, path
        # The frontend takes an apostrophe there for a quotation mark.
        assert not re.search(r"'\{|\}'", text), path


@by_language
def test_translation_keys(language: str) -> None:
    """Keys are sorted and the same as in English, and so are the placeholders."""
    translation = TRANSLATIONS[language]
    assert_sorted(translation)
    texts = leaves(translation)
    english = leaves(ENGLISH)
    assert texts.keys() == english.keys()
    for path, text in texts.items():
        assert all(re.fullmatch(r"[a-z0-9_-]+", key) for key in path.split(".")), path
        assert placeholders(text) == placeholders(english[path]), path


def test_translation_categories() -> None:
    """There are only texts of kinds that these tests compare with the code."""
    assert ENGLISH.keys() <= {
        "config",
        "device",
        "entity",
        "exceptions",
        "issues",
        "options",
        "selector",
        "services",
        "system_health",
        "title",
    }
    assert {"config", "exceptions", "services", "title"} <= ENGLISH.keys()


# Translations of flows

FORMS = ("async_show_form", "async_show_menu", "async_external_step")
ABORTS: dict[str, tuple[str, int | None, str | None]] = {
    # The argument with the reason, its position, and the default.
    "async_abort": ("reason", None, None),
    "AbortFlow": ("reason", 0, None),
    "_abort_if_unique_id_configured": ("error", None, "already_configured"),
    "_abort_if_unique_id_mismatch": ("reason", None, "unique_id_mismatch"),
    "_async_abort_entries_match": ("", None, "already_configured"),
    # Home Assistant translates its own default.
    "async_update_and_abort": ("reason", None, None),
    "async_update_reload_and_abort": ("reason", None, None),
}


@dataclass(frozen=True)
class Flow:
    """The classes of a kind of flow, and the functions beside them."""

    source: Source
    trees: list[ast.AST]
    classes: list[type[FlowHandler[Any, Any, Any]]]

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Return the calls within the flow."""
        return calls(self.trees, *names)

    def has_step(self, step: str) -> bool:
        """Return if there is such a step."""
        return any(hasattr(kind, f"async_step_{step}") for kind in self.classes)


def flows(base: type[FlowHandler[Any, Any, Any]]) -> Iterator[Flow]:
    """Return the flows of a kind, one for each module that has some."""
    for source in HASS_SOURCES:
        classes = {
            node: getattr(source.module, node.name)
            for node in source.tree.body
            if isinstance(node, ast.ClassDef)
        }
        own = {node: kind for node, kind in classes.items() if issubclass(kind, base)}
        if own:
            functions = [
                node
                for node in source.tree.body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            yield Flow(source, [*own, *functions], list(own.values()))


@cache
def functions_named(
    name: str,
) -> list[tuple[Source, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Return the integration's functions and methods of a name."""
    return [
        (source, node)
        for source in HASS_SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == name
    ]


def keys_in(
    source: Source, node: ast.AST | None, seen: Collection[ast.AST] = ()
) -> set[str]:
    """Return the translation keys that an expression can be, or can map fields to."""
    if node is None or node in seen:
        return set()
    parts: list[tuple[Source, ast.AST | None]]
    match node:
        case ast.Constant(value=str() as text):
            return {text}
        case ast.Constant() | ast.Name(id="errors") | ast.Dict(keys=[]):
            return set()
        case ast.Name() | ast.Attribute() if isinstance(
            text := constant_or_none(source, node), str
        ):
            return {text}
        case ast.Name(id=name) if texts := looped(source, name):
            return texts
        case ast.Name(id=name):
            parts = [(source, value) for value in assigned(source.tree, name)]
        case ast.Dict(values=values) | ast.BoolOp(values=values):
            parts = [(source, value) for value in values]
        case ast.DictComp(value=value) | ast.Await(value=value):
            parts = [(source, value)]
        case ast.NamedExpr(value=value):
            parts = [(source, value)]
        case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
            parts = [(source, one), (source, other)]
        case ast.Call():
            functions = functions_named(called(node))
            if not functions:
                raise unclear(source, node)
            parts = [
                (place, inner.value)
                for place, function in functions
                for inner in ast.walk(function)
                if isinstance(inner, ast.Return)
            ]
        case _:
            parts = []
    if not parts:
        raise unclear(source, node)
    return {key for part in parts for key in keys_in(*part, (*seen, node))}


def assigned(tree: ast.AST, name: str) -> Iterator[ast.expr]:
    """Return what is assigned to a variable, or to an item of it."""

    def is_it(target: ast.expr) -> bool:
        """Return if a target of an assignment is the variable."""
        if isinstance(target, ast.Subscript):
            target = target.value
        return isinstance(target, ast.Name) and target.id == name

    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if any(map(is_it, targets)):
                yield value
            case ast.AnnAssign(target=target, value=ast.expr() as value) if is_it(
                target
            ):
                yield value
            case ast.AugAssign(target=target, value=value) if is_it(target):
                yield value
            case ast.NamedExpr(target=target, value=value) if is_it(target):
                yield value
            case ast.Call(
                func=ast.Attribute(value=target, attr="update"), args=[value]
            ) if is_it(target):
                yield value


def looped(source: Source, name: str) -> set[str]:
    """Return the texts that a variable takes in loops over constants."""
    texts: set[str] = set()
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            continue
        values = constant_or_none(source, node.iter) or ()
        match node.target:
            case ast.Name(id=own) if own == name:
                texts |= {value for value in values if isinstance(value, str)}
            case ast.Tuple(elts=elements):
                for index, element in enumerate(elements):
                    if isinstance(element, ast.Name) and element.id == name:
                        texts |= {
                            value[index]
                            for value in values
                            if isinstance(value[index], str)
                        }
    return texts


SECTION_TEXTS = {"data", "data_description", "description", "name"}

# The fields of a form by section, those outside of any under "".
type Fields = dict[str, set[str]]


def merged(parts: Iterable[Fields]) -> Fields:
    """Return the fields of all parts of a form."""
    fields: Fields = {}
    for part in parts:
        for key, names in part.items():
            fields.setdefault(key, set()).update(names)
    return fields


def fields_of_schema(schema: vol.Schema) -> Fields:
    """Return the fields of a schema."""
    fields: Fields = {"": set()}
    for marker, validator in schema.schema.items():
        if isinstance(validator, section):
            fields[str(marker)] = set(map(str, validator.schema.schema))
        else:
            fields[""].add(str(marker))
    return fields


def form_fields(
    source: Source, node: ast.AST, seen: Collection[ast.AST] = ()
) -> Fields:
    """Return the fields of the schemas in an expression, and in what it calls."""
    if node in seen:
        return {}
    seen = (*seen, node)
    if isinstance(schema := constant_or_none(source, node), vol.Schema):
        return fields_of_schema(schema)
    parts: list[Fields] = []
    if isinstance(node, ast.Dict):
        parts.append({"": set()})
        for key, value in zip(node.keys, node.values, strict=True):
            if not isinstance(key, ast.Call):
                parts.append(form_fields(source, value, seen))
                continue
            marker: ast.expr = key
            # As in Required(Secret(NAME)).
            while isinstance(marker, ast.Call):
                marker = marker.args[0]
            name = constant(source, marker)
            if isinstance(value, ast.Call) and called(value) == "section":
                parts.append({name: form_fields(source, value.args[0], seen)[""]})
            else:
                parts.append({"": {name}})
        return merged(parts)
    if isinstance(node, ast.Call):
        parts = [
            form_fields(place, inner, seen)
            for place, function in functions_named(called(node))
            for inner in function.body
        ]
    return merged(
        [
            *parts,
            *(form_fields(source, child, seen) for child in ast.iter_child_nodes(node)),
        ]
    )


def test_there_are_flows() -> None:
    """The tests below have something to look at."""
    (flow,) = flows(ConfigFlow)
    assert flow.source.path.stem == "config_flow"
    assert list(flow.calls(*FORMS))
    assert flow.has_step("user")
    assert ("options" in ENGLISH) is any(flows(OptionsFlow))


@pytest.fixture(
    params=[("config", ConfigFlow), ("options", OptionsFlow)],
    ids=["config", "options"],
)
def flow_texts(request: pytest.FixtureRequest) -> tuple[Flow, dict[str, Any]]:
    """Return each kind of flow with its texts, nothing of a kind that there is not."""
    category, base = request.param
    no_flow = Flow(SOURCES[0], [], [])
    return next(flows(base), no_flow), ENGLISH.get(category, {})


def test_flow_categories(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """A flow has only texts of kinds that these tests compare with the code."""
    flow, texts = flow_texts
    known = {"abort", "error", "progress", "step"}
    if any("title_placeholders" in ast.unparse(tree) for tree in flow.trees):
        known.add("flow_title")
    assert texts.keys() <= known


def test_flow_steps(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Every step that is shown has a title, and there are no texts for others."""
    flow, texts = flow_texts
    shown = {
        constant(flow.source, argument(call, "step_id")) for call in flow.calls(*FORMS)
    }
    waiting = {
        constant(flow.source, argument(call, "step_id"))
        for call in flow.calls("async_show_progress")
    }
    steps = texts.get("step", {})
    assert shown <= steps.keys() <= shown | waiting
    for step in shown | waiting:
        assert flow.has_step(step), step
    for step, text in steps.items():
        assert text["title"], step
        assert text.keys() <= {
            "data",
            "data_description",
            "description",
            "menu_option_descriptions",
            "menu_options",
            "sections",
            "submit",
            "title",
        }, step


def test_flow_fields(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Every field has a name and a description, in sections too, and no others have."""
    flow, texts = flow_texts
    forms: dict[str, Fields] = {}
    for call in flow.calls("async_show_form"):
        step = constant(flow.source, argument(call, "step_id"))
        if schema := argument(call, "data_schema"):
            fields = form_fields(flow.source, schema)
            if not fields:
                raise unclear(flow.source, schema)
            forms[step] = merged([forms.get(step, {}), fields])
    for step, text in texts.get("step", {}).items():
        fields = forms.get(step, {"": set()})
        sections = text.get("sections", {})
        assert {"", *sections} == fields.keys(), step
        for key, names in fields.items():
            part = sections[key] if key else text
            assert part.get("data", {}).keys() == names, (step, key)
            assert part.get("data_description", {}).keys() == names, (step, key)
        for key, part in sections.items():
            assert {"name"} <= part.keys() <= SECTION_TEXTS, (step, key)


def test_flow_menus(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Every option of a menu has a name, and is a step."""
    flow, texts = flow_texts
    menus: dict[str, set[str]] = defaultdict(set)
    for call in flow.calls("async_show_menu"):
        options = constant(flow.source, argument(call, "menu_options"))
        assert all(flow.has_step(option) for option in options)
        # With a dictionary, the flow brings the names itself.
        if not isinstance(options, dict):
            menus[constant(flow.source, argument(call, "step_id"))] |= set(options)
    for step, text in texts.get("step", {}).items():
        assert text.get("menu_options", {}).keys() == menus[step], step
        assert text.get("menu_option_descriptions", {}).keys() <= menus[step], step


def test_flow_errors(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Every error has a text, and every text is of an error."""
    flow, texts = flow_texts
    used = {
        key
        for tree in flow.trees
        for value in assigned(tree, "errors")
        for key in keys_in(flow.source, value)
    } | {
        key
        for call in flow.calls("async_show_form")
        for key in keys_in(flow.source, argument(call, "errors"))
    }
    assert texts.get("error", {}).keys() == used


def test_flow_aborts(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Every reason to abort has a text with what the code gives, and no others."""
    flow, texts = flow_texts
    aborts = texts.get("abort", {})
    used: set[str] = set()
    for call in flow.calls(*ABORTS):
        if argument(call, "translation_domain"):
            continue
        name, index, default = ABORTS[called(call)]
        reason = argument(call, name, index)
        keys = keys_in(flow.source, reason) if reason else {default or ""} - {""}
        given = names_given(flow.source, argument(call, "description_placeholders", 1))
        for key in keys:
            assert key in aborts
            assert placeholders(aborts[key]) == given, key
            used.add(key)
    assert aborts.keys() == used


def test_flow_progress(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """Everything that is waited for has a text."""
    flow, texts = flow_texts
    actions = {
        constant(flow.source, argument(call, "progress_action"))
        for call in flow.calls("async_show_progress")
    }
    assert texts.get("progress", {}).keys() == actions


def test_flow_placeholders(flow_texts: tuple[Flow, dict[str, Any]]) -> None:
    """The texts of a step use what the code gives, and all of it."""
    flow, texts = flow_texts
    given_anywhere: set[str] = set()
    for call in flow.calls(*FORMS, "async_show_progress"):
        step = constant(flow.source, argument(call, "step_id"))
        text = [texts["step"].get(step, {})]
        if action := constant(flow.source, argument(call, "progress_action")):
            text.append(texts["progress"][action])
        used = set().union(*map(placeholders, text))
        given = names_given(flow.source, argument(call, "description_placeholders"))
        if called(call) == "async_show_form" and step.startswith("reauth"):
            # Home Assistant gives this one itself.
            used.discard("name")
        assert used == given, step
        given_anywhere |= given
    assert placeholders(texts.get("error", {})) <= given_anywhere


# Other translations


def exceptions_used() -> dict[str, list[set[str]]]:
    """Return the placeholders that each use of an exception's message gives."""
    used: dict[str, list[set[str]]] = defaultdict(list)
    for source in HASS_SOURCES:
        for call in calls(source.tree, "translation"):
            given = {keyword.arg for keyword in call.keywords}
            if source.module is errors and not isinstance(call.args[0], ast.Constant):
                keys = [key for _, key in errors._TRANSLATION_KEYS]
            else:
                keys = [constant(source, call.args[0])]
            for key in keys:
                used[key].append({name for name in given if name})
                assert None not in given, key
        for call in calls_of_errors(source):
            domain = constant_or_none(source, argument(call, "translation_domain"))
            key = constant_or_none(source, argument(call, "translation_key"))
            if domain == DOMAIN and key is not None:
                names = argument(call, "translation_placeholders")
                used[key].append(names_given(source, names))
    return used


def calls_of_errors(source: Source) -> Iterator[ast.Call]:
    """Return where Home Assistant's exceptions are made, but for those of flows."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and is_error(constant_or_none(source, node.func)):
            yield node


def is_error(thing: Any) -> bool:
    """Return if something is an exception of Home Assistant, but for those of flows."""
    return (
        isinstance(thing, type)
        and issubclass(thing, HomeAssistantError)
        and not issubclass(thing, FlowError)
    )


def test_exception_translations() -> None:
    """Every message is used, every key has one, and the placeholders are the same."""
    messages = ENGLISH["exceptions"]
    used = exceptions_used()
    assert messages.keys() == used.keys()
    for key, uses in used.items():
        assert messages[key].keys() == {"message"}
        for given in uses:
            assert placeholders(messages[key]) == given, key


@by_path
def test_exceptions_are_translated(source: Source) -> None:
    """No exception of Home Assistant is raised without a translation."""
    for call in calls_of_errors(source):
        names = {keyword.arg for keyword in call.keywords}
        is_translated = {"translation_domain", "translation_key"} <= names or any(
            gives_translation(source, keyword.value)
            for keyword in call.keywords
            if keyword.arg is None
        )
        assert is_translated, f"line {call.lineno}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise):
            raised = constant_or_none(source, node.exc)
            assert not is_error(raised), f"line {node.lineno}"


def gives_translation(source: Source, node: ast.expr) -> bool:
    """Return if an expression is the translation that a function returns."""
    if isinstance(node, ast.Name):
        # The innermost function around it is the last one.
        *_, function = (
            outer
            for outer in ast.walk(source.tree)
            if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
            and node in ast.walk(outer)
        )
        values = list(assigned(function, node.id))
        return bool(values) and all(gives_translation(source, it) for it in values)
    if not isinstance(node, ast.Call):
        return False
    called_function = constant(source, node.func)
    return get_type_hints(called_function).get("return") is errors.Translation


def translation_keys_of(source: Source) -> set[str]:
    """Return the translation keys of a platform's entities."""
    values = [
        value
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and called(node) not in {"DeviceInfo", "async_create_issue"}
        and not is_error(constant_or_none(source, node.func))
        and (value := argument(node, "translation_key"))
    ]
    values += assigned(source.tree, "_attr_translation_key")
    return {key for value in values for key in keys_in(source, value)}


def test_entity_translations() -> None:
    """Every entity's key has texts, and all such texts are of an entity."""
    used = {
        source.path.stem: keys
        for source in PLATFORM_SOURCES
        if (keys := translation_keys_of(source))
    }
    texts = ENGLISH.get("entity", {})
    assert {platform: set(keys) for platform, keys in texts.items()} == used


def test_device_translations() -> None:
    """Every translated device has a name, and no others."""
    used = {
        key
        for source in HASS_SOURCES
        for call in calls(source.tree, "DeviceInfo", "async_get_or_create")
        for key in keys_in(source, argument(call, "translation_key"))
    }
    assert ENGLISH.get("device", {}).keys() == used


def test_system_health_translations() -> None:
    """Every line of the system health has a name, and no others."""
    used = {
        key
        for source in HASS_SOURCES
        if source.path.stem == "system_health"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in constant(source, node.value)
    }
    assert (INTEGRATION / "system_health.py").exists() is bool(used)
    texts = ENGLISH.get("system_health", {"info": {}})
    assert texts.keys() == {"info"}
    assert texts["info"].keys() == used


def selectors_used() -> dict[str, set[str]]:
    """Return the options of selectors that are translated."""
    used: dict[str, set[str]] = {}
    for action in SERVICES.values():
        for field in fields_of(action).values():
            for config in field["selector"].values():
                if config and "translation_key" in config:
                    used[config["translation_key"]] = set(config["options"])
    for source in HASS_SOURCES:
        for call in calls(source.tree, "SelectSelectorConfig"):
            if key := constant(source, argument(call, "translation_key")):
                used[key] = set(constant(source, argument(call, "options")))
    return used


def test_selector_translations() -> None:
    """Every option of a translated selector has a name, and no others."""
    texts = ENGLISH.get("selector", {})
    assert {key: set(text["options"]) for key, text in texts.items()} == (
        selectors_used()
    )


# icons.json


def test_icons() -> None:
    """Icons are names of mdi icons, for things that there are."""
    assert_sorted(ICONS)
    assert ICONS.keys() <= {"entity", "services"}
    for path, icon in leaves(ICONS).items():
        assert re.fullmatch(r"mdi:[a-z0-9]+(-[a-z0-9]+)*", icon), path
    for platform, icons in ICONS["entity"].items():
        for key, icon in icons.items():
            text = ENGLISH["entity"][platform][key]
            assert {"default"} <= icon.keys() <= {"default", "state"}
            states = icon.get("state", {})
            assert icon["default"] not in states.values(), key
            if "state" in text:
                assert states.keys() <= text["state"].keys(), key


def test_icons_exist() -> None:
    """The frontend, where it is installed, has all icons."""
    if (frontend := find_spec("hass_frontend")) is None or not frontend.origin:
        return
    path = Path(frontend.origin).parent / "static" / "mdi" / "iconList.json"
    known = {f"mdi:{icon['name']}" for icon in json.loads(path.read_text())}
    assert set(leaves(ICONS).values()) <= known


# Entities, as they are at run time


@pytest.fixture
async def entities(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    attic: MediaServer,
    config_entry: MockConfigEntry,
) -> list[tuple[str, Entity]]:
    """Return the entities of an account with a server, with their platforms."""
    monkeypatch.setattr(Entity, "entity_registry_enabled_default", True)
    await setup_integration(hass, config_entry)
    return [
        (platform.domain, entity)
        for platform in async_get_platforms(hass, DOMAIN)
        for entity in platform.entities.values()
    ]


async def test_entities_have_a_device_and_a_name(
    hass: HomeAssistant,
    entities: list[tuple[str, Entity]],
    config_entry: MockConfigEntry,
) -> None:
    """Every entity has a unique id, a device and a translated name."""
    assert {platform for platform, _ in entities} == set(plex_account.PLATFORMS)
    unique_ids = [(platform, entity.unique_id) for platform, entity in entities]
    assert len(set(unique_ids)) == len(unique_ids)
    registry = dr.async_get(hass)
    for platform, entity in entities:
        assert entity.unique_id
        assert entity.has_entity_name, entity.entity_id
        assert entity.registry_entry
        assert entity.registry_entry.device_id
        device = registry.async_get(entity.registry_entry.device_id)
        assert device
        assert device.config_entry_id == config_entry.entry_id
        if entity.translation_key is None:
            assert entity.device_class, entity.entity_id
        else:
            text = ENGLISH["entity"][platform][entity.translation_key]
            assert "name" in text or entity.device_class, entity.entity_id
            assert placeholders(text) == set(entity.translation_placeholders)


async def test_entities_cover_the_translations(
    entities: list[tuple[str, Entity]],
) -> None:
    """The tests here see every entity that has texts, and all its states have some."""
    seen: dict[str, set[str]] = defaultdict(set)
    for platform, entity in entities:
        if entity.translation_key:
            seen[platform].add(entity.translation_key)
            text = ENGLISH["entity"][platform][entity.translation_key]
            assert text.keys() <= {"name", "state", "unit_of_measurement"}
            if platform == Platform.BINARY_SENSOR:
                assert text.get("state", {}).keys() <= {"off", "on"}
            options = getattr(entity, "options", None)
            if options is not None:
                assert text["state"].keys() == set(options), entity.entity_id
    assert seen == {key: set(text) for key, text in ENGLISH.get("entity", {}).items()}


async def test_entities_have_icons(entities: list[tuple[str, Entity]]) -> None:
    """Every entity without a device class has an icon, and none in the code."""
    for platform, entity in entities:
        assert entity.icon is None, entity.entity_id
        if entity.device_class is None:
            assert entity.translation_key
            assert ICONS["entity"][platform][entity.translation_key]["default"]


# quality_scale.yaml


def test_quality_scale_rules() -> None:
    """All rules are there, in Home Assistant's order and below their tiers."""
    assert QUALITY_SCALE.keys() == {"rules"}
    found: dict[str, list[str]] = {}
    for line in (INTEGRATION / "quality_scale.yaml").read_text().splitlines():
        if match := re.fullmatch(r"  # (\w+)", line):
            found[match[1]] = []
        elif match := re.match(r"  ([\w-]+):", line):
            found[list(found)[-1]].append(match[1])
    assert found == TIERS
    assert list(QUALITY_SCALE["rules"]) == [
        rule for rules in TIERS.values() for rule in rules
    ]
    assert len(QUALITY_SCALE["rules"]) == 54


@pytest.mark.parametrize("rule", QUALITY_SCALE["rules"])
def test_quality_scale_status(rule: str) -> None:
    """A rule is done, still to do, or exempt for a reason."""
    entry = QUALITY_SCALE["rules"][rule]
    if isinstance(entry, dict):
        assert entry.keys() == {"status", "comment"}
        assert len(entry["comment"].split()) > 2
    assert status(rule) in {"done", "todo"} or (
        status(rule) == "exempt" and isinstance(entry, dict)
    )


def test_quality_scale_claim() -> None:
    """What is claimed, in the manifest or the README, is done."""
    claims = {str(MANIFEST.get("quality_scale", "")).capitalize()}
    claims |= set(re.findall("|".join(TIERS), README.read_text().title()))
    tiers = list(TIERS)
    claimed = max((tiers.index(claim) + 1 for claim in claims & set(tiers)), default=0)
    todo = [
        rule
        for tier in tiers[:claimed]
        for rule in TIERS[tier]
        if status(rule) == "todo"
    ]
    assert not todo


@pytest.mark.parametrize("rule", EVIDENCE)
def test_quality_scale_is_up_to_date(rule: str) -> None:
    """A rule is done if and only if the code says so."""
    module, function = EVIDENCE[rule]
    exists = any(
        source.path == INTEGRATION / f"{module}.py"
        for source, _ in functions_named(function)
    )
    assert (status(rule) == "done") is exists


def test_quality_scale_of_repair_issues() -> None:
    """The rule is done if there are issues, and only then."""
    issues = any(
        any(calls(source.tree, "async_create_issue")) for source in HASS_SOURCES
    )
    assert (status("repair-issues") == "done") is issues


# The code

LIBRARIES = {"aiohttp", "orjson", "yarl"}


def imports(source: Source) -> Iterator[str]:
    """Return the modules that a module imports; relative ones from the integration."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{name.name}" for name in names)
            case ast.ImportFrom(module=module, level=level):
                package = source.path.parents[level - 1].relative_to(ROOT).parts
                yield ".".join([*package, *([module] if module else [])])


@pytest.mark.parametrize(
    "source",
    [source for source in SOURCES if source.in_api],
    ids=lambda source: source.path.name,
)
def test_api_knows_nothing_of_home_assistant(source: Source) -> None:
    """The Plex client only needs a few libraries, and itself."""
    own = f"custom_components.{DOMAIN}.api"
    for module in imports(source):
        root = module.partition(".")[0]
        assert root in sys.stdlib_module_names | LIBRARIES or (
            f"{module}.".startswith(f"{own}.")
        ), module


@by_path
def test_no_leftovers(source: Source) -> None:
    """Nothing is printed, and nothing is kept in hass.data."""
    assert not list(calls(source.tree, "print", "breakpoint"))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr == "data":
            assert not re.search(r"\bhass$", ast.unparse(node.value)), node.lineno


@pytest.mark.parametrize(
    "source", PLATFORM_SOURCES, ids=lambda source: source.path.stem
)
def test_parallel_updates(source: Source) -> None:
    """Every platform says how many updates it does at once."""
    assert list(assigned(source.tree, "PARALLEL_UPDATES"))


def test_platforms() -> None:
    """All platforms are set up, and listed in order."""
    assert (
        sorted(source.path.stem for source in PLATFORM_SOURCES)
        == plex_account.PLATFORMS
    )


# The rest of the repository


def committed_files() -> list[Path]:
    """Return what is in the repository, without what .gitignore keeps out."""
    patterns = [
        line.rstrip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]

    def ignored(path: Path) -> bool:
        """Return if git ignores a path."""
        inside = path.relative_to(ROOT)
        return path.name == ".git" or any(
            fnmatch(f"/{inside}", pattern)
            if pattern.startswith("/")
            else fnmatch(path.name, pattern)
            for pattern in patterns
        )

    files: list[Path] = []
    for folder, folders, names in ROOT.walk():
        folders[:] = [name for name in folders if not ignored(folder / name)]
        files += [folder / name for name in names if not ignored(folder / name)]
    return sorted(files)


def test_no_paths_of_a_machine() -> None:
    """Nothing depends on, or tells of, the machine that it was made on."""
    pattern = re.compile(r"(?<![\w.}])/(?:home/\w|Users/\w|mnt|root|tmp|work)\b")
    files = committed_files()
    assert Path(__file__) in files
    assert not [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in files
        for number, line in enumerate(
            path.read_bytes().decode(errors="replace").splitlines(), start=1
        )
        if pattern.search(line)
    ]


@pytest.mark.parametrize(("name", "size"), [("icon.png", 256), ("icon@2x.png", 512)])
def test_brand(name: str, size: int) -> None:
    """The icons are transparent PNG files of the right size."""
    data = (INTEGRATION / "brand" / name).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[12:16] == b"IHDR"
    width, height, depth, color_type = struct.unpack(">IIBB", data[16:26])
    assert (width, height, depth) == (size, size, 8)
    # True color or gray, with alpha.
    assert color_type in {4, 6}


def test_brand_has_no_other_files() -> None:
    """Home Assistant serves all images that there are."""
    assert {path.name for path in (INTEGRATION / "brand").iterdir()} <= ALLOWED_IMAGES


def is_program(path: Path) -> bool:
    """Return if a file starts with the name of what runs it."""
    return path.read_bytes().startswith(b"#!")


@pytest.mark.parametrize("folder", ["scripts", ".ci"])
def test_scripts_are_executable(folder: str) -> None:
    """What can be run is executable, and nothing else is."""
    for path in (ROOT / folder).iterdir():
        assert os.access(path, os.X_OK) is is_program(path), path.name


def scripts_in(text: str) -> set[str]:
    """Return the scripts that a text names."""
    return set(re.findall(r"(?<![\w/.])(?:\./)?scripts/([\w.-]*\w)", text))


@pytest.mark.parametrize(
    "path",
    [
        *DOCUMENTS,
        *WORKFLOWS,
        ROOT / ".ci" / "run",
        *sorted((ROOT / "scripts").iterdir()),
    ],
    ids=lambda path: path.name,
)
def test_scripts_exist(path: Path) -> None:
    """Every script that is named somewhere is there."""
    there = {script.name for script in (ROOT / "scripts").iterdir()}
    assert scripts_in(path.read_text()) <= there


def test_readme_commands() -> None:
    """Every command in a code block of the README can be run."""
    blocks = re.findall(
        r"^```\w*\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE
    )
    commands = {
        name
        for block in blocks
        for line in block.splitlines()
        for name in scripts_in(line.lstrip("$ ").partition("#")[0])
    }
    assert commands
    for name in commands:
        assert os.access(ROOT / "scripts" / name, os.X_OK), name


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links(path: Path) -> None:
    """What a document links to in this repository is there."""
    text = path.read_text()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        linked = path.parent / target if target else path
        assert linked.exists(), link
        assert not anchor or anchor in anchors(linked.read_text()), link


def anchors(text: str) -> set[str]:
    """Return what GitHub makes of the headings of a document."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


def test_readme_describes_actions() -> None:
    """The README has every action with its fields, once it is said to have them."""
    if status("docs-actions") == "done":
        text = README.read_text()
        for action, description in SERVICES.items():
            assert f"{DOMAIN}.{action}" in text
            for field in fields_of(description):
                assert f"`{field}`" in text, (action, field)


def test_readme_describes_entities() -> None:
    """The README has every entity, once it is said to have them."""
    if status("docs-supported-functions") == "done":
        text = README.read_text().lower()
        for path, name in leaves(ENGLISH["entity"]).items():
            if path.endswith(".name"):
                assert name.lower() in text, path


def test_changelog() -> None:
    """The version of the manifest is described, as the release workflow wants it."""
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert f"## {MANIFEST['version']}" in lines


def test_license() -> None:
    """It is the MIT license, in the words by which GitHub knows it."""
    text = " ".join((ROOT / "LICENSE").read_text().split())
    assert re.match(r"MIT License Copyright \(c\) \d{4} [^.]+ Permission is ", text)
    for words in (
        "Permission is hereby granted, free of charge, to any person obtaining a copy",
        'documentation files (the "Software"), to deal in the Software without',
        "The above copyright notice and this permission notice shall be included in",
        'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR',
        "OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN",
    ):
        assert words in text


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows(path: Path) -> None:
    """Workflows have no permissions but what jobs ask for, and run what they pin."""
    workflow = load_yaml_dict(str(path))
    assert workflow["permissions"] == {}
    for key, job in workflow["jobs"].items():
        assert job["permissions"], key
        assert job["timeout-minutes"], key
    uses = re.findall(r"\buses:\s*(.*)", path.read_text())
    assert uses
    for action in uses:
        # With a comment that tells people the version.
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # \S+", action), action
