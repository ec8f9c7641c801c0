"""What a user gets to see has a text, checked while it is shown, as in core's tests."""

from collections.abc import Generator, Mapping
import json
from pathlib import Path
import re
from typing import Any

import pytest

from custom_components.plex_account.const import DOMAIN
from homeassistant.components.repairs import RepairsFlow
from homeassistant.config_entries import ConfigFlow, OptionsFlow
from homeassistant.core import ServiceRegistry
from homeassistant.data_entry_flow import FlowManager, FlowResultType, section
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.issue_registry import IssueRegistry

FOLDER = Path(__file__).parents[1] / "custom_components" / DOMAIN / "translations"
LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pl", "pt-BR")
TRANSLATIONS: dict[str, dict[str, Any]] = {
    language: json.loads((FOLDER / f"{language}.json").read_text())
    for language in LANGUAGES
}
# What core has texts for.
CORE_REASONS = {"already_in_progress"}


def leaves(texts: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return the texts by their paths."""
    found: dict[str, str] = {}
    for key, value in texts.items():
        here = f"{path}.{key}" if path else key
        found |= leaves(value, here) if isinstance(value, dict) else {here: value}
    return found


def placeholders(text: str) -> set[str]:
    """Return the names of what a text wants to be told."""
    return set(re.findall(r"\{(\w+)\}", text))


ENGLISH = leaves(TRANSLATIONS["en"])


class Shown:
    """What was shown, and what of it nobody can read."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.mistakes: set[str] = set()

    def check(self, path: str, given: Mapping[str, Any] | None = None) -> None:
        """Note a text that is missing, or wants to be told more than it is."""
        if (text := ENGLISH.get(path)) is None:
            self.mistakes.add(f"no text for {path}")
        elif missing := placeholders(text) - set(given or {}):
            self.mistakes.add(f"{path} is not told {missing}")

    def check_step(self, prefix: str, result: Mapping[str, Any]) -> None:
        """Check what a dialog shows."""
        given = result.get("description_placeholders")
        if result["type"] is FlowResultType.ABORT:
            if result["reason"] not in CORE_REASONS:
                self.check(f"{prefix}.abort.{result['reason']}", given)
            return
        if result["type"] is FlowResultType.CREATE_ENTRY:
            return
        step = f"{prefix}.step.{result['step_id']}"
        if result["type"] not in {
            FlowResultType.SHOW_PROGRESS_DONE,
            FlowResultType.EXTERNAL_STEP_DONE,
        }:
            self.check(f"{step}.title", given)
        if f"{step}.description" in ENGLISH:
            self.check(f"{step}.description", given)
        if action := result.get("progress_action"):
            self.check(f"{prefix}.progress.{action}", given)
        for option in result.get("menu_options") or ():
            self.check(f"{step}.menu_options.{option}", given)
        for error in (result.get("errors") or {}).values():
            self.check(f"{prefix}.error.{error}", given)
        schema = result.get("data_schema")
        if schema and result["type"] is FlowResultType.FORM:
            self.check_fields(step, schema.schema, given)

    def check_fields(
        self, path: str, fields: Mapping[Any, Any], given: Mapping[str, Any] | None
    ) -> None:
        """Check the fields of a form, also those in a section."""
        for marker, field in fields.items():
            if isinstance(field, section):
                self.check(f"{path}.sections.{marker}.name", given)
                inner = f"{path}.sections.{marker}"
                self.check_fields(inner, field.schema.schema, given)
            else:
                self.check(f"{path}.data.{marker}", given)
                self.check(f"{path}.data_description.{marker}", given)


@pytest.fixture(autouse=True)
def shown_texts(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Check each text at the moment when a user would see it."""
    shown = Shown()
    handle_step = FlowManager._async_handle_step
    call = ServiceRegistry.async_call
    create_issue = IssueRegistry.async_get_or_create

    async def checked_step(manager: Any, flow: Any, *arguments: Any) -> Any:
        result = await handle_step(manager, flow, *arguments)
        if isinstance(flow, RepairsFlow) and flow.handler == DOMAIN:
            shown.check_step(f"issues.{key_of(flow.issue_id)}.fix_flow", result)
        elif isinstance(flow, ConfigFlow) and flow.handler == DOMAIN:
            shown.check_step("config", result)
        elif isinstance(flow, OptionsFlow):
            shown.check_step("options", result)
        return result

    async def checked_call(*arguments: Any, **options: Any) -> Any:
        try:
            return await call(*arguments, **options)
        except HomeAssistantError as err:
            if err.translation_domain == DOMAIN:
                path = f"exceptions.{err.translation_key}.message"
                shown.check(path, err.translation_placeholders)
            raise

    def checked_issue(registry: Any, domain: str, issue_id: str, **options: Any) -> Any:
        if domain == DOMAIN:
            path = f"issues.{options['translation_key']}"
            given = options["translation_placeholders"]
            shown.check(f"{path}.title", given)
            if options["is_fixable"]:
                shown.check(f"{path}.fix_flow.step.confirm.description", given)
            else:
                shown.check(f"{path}.description", given)
        return create_issue(registry, domain, issue_id, **options)

    monkeypatch.setattr(FlowManager, "_async_handle_step", checked_step)
    monkeypatch.setattr(ServiceRegistry, "async_call", checked_call)
    monkeypatch.setattr(IssueRegistry, "async_get_or_create", checked_issue)
    yield
    if shown.mistakes:
        pytest.fail("\n".join(sorted(shown.mistakes)))


def key_of(issue_id: str) -> str:
    """Return the translation key of an issue, with which its identifier begins."""
    keys: list[str] = list(TRANSLATIONS["en"]["issues"])
    return next(key for key in keys if issue_id.startswith(f"{key}_"))
