"""A person at a browser: Home Assistant's frontend, clicked through with Chromium."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import re
import shutil
import time
from typing import Any, Protocol

from playwright.async_api import (
    Browser,
    Locator,
    Page,
    ViewportSize,
    async_playwright,
    expect,
)

from tests.translations import TRANSLATIONS, leaves

from .hass_process import DOMAIN

CHROMIUM = shutil.which("chromium")
DESKTOP = ViewportSize(width=1200, height=800)
PHONE = ViewportSize(width=390, height=844)
SMALL_PHONE = ViewportSize(width=360, height=740)

OPTIONS = [
    # Its sandbox needs rights that root in a container does not have.
    "--no-sandbox",
    "--disable-gpu",
    # Nothing of this is about the frontend.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]
# Milliseconds. A link code is looked at every few seconds, and a machine may be slow.
TIMEOUT = 20_000

# Names and values in the texts: they are no words.
PLACEHOLDER = re.compile(r"\{\w+\}")
# What nobody should ever read.
RAW = re.compile(
    rf"component\.{DOMAIN}|Translation error|\[object |undefined|(?<!{{){{\w+}}(?!}})"
)
MARKDOWN = re.compile(r"[*#\[\]()\n]+")

# Of the account's device. Home Assistant does not translate models.
MODEL = "Plex account"

# Everything that can be read or seen, whatever shadow root it is in.
LOOK = Path(__file__).with_name("look.js").read_text()
# Milliseconds that pictures and icons have until they are drawn.
PATIENCE = 10_000


class ViewError(AssertionError):
    """What is seen is not fit to be shown."""


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of text that can be read on a page."""

    text: str
    clipped: bool
    """Whether its end is missing."""


class Texts:
    """The integration's texts in one language."""

    def __init__(self, language: str) -> None:
        """Read the translations."""
        self.language = language
        self._texts = leaves(TRANSLATIONS[language])

    def __call__(self, key: str, **placeholders: str) -> str:
        """Return a text as it can be read."""
        text = self._texts[key].format(**placeholders)
        return text.replace("**", "")

    def fragments(self) -> set[str]:
        """Return the pieces in which texts are seen, between values and emphasis."""
        return {
            piece.strip()
            for text in self._texts.values()
            for part in PLACEHOLDER.split(text)
            for piece in MARKDOWN.split(part)
            if any(map(str.isalpha, piece))
        }

    def keys(self) -> set[str]:
        """Return names that are not words, so that nobody should see them."""
        parts = {part for key in self._texts for part in key.split(".")}
        return {part for part in parts if "_" in part}


class Album(Protocol):
    """Where pictures are kept."""

    async def keep(self, name: str, page: Page) -> None:
        """Keep a picture of the page."""


class Folder:
    """An album of whole pages, in the order in which they were seen."""

    def __init__(self, path: Path, prefix: str) -> None:
        """Keep them in that folder."""
        self._path = path
        self._prefix = prefix
        self._number = 0

    async def keep(self, name: str, page: Page) -> None:
        """Keep a picture of the page."""
        self._number += 1
        path = self._path / f"{self._prefix}-{self._number:02}-{name}.png"
        await page.screenshot(path=path, animations="disabled")


class Frontend:
    """Home Assistant's frontend in a window of its own."""

    def __init__(self, page: Page, url: str, texts: Texts, album: Album | None) -> None:
        """Use a page that is still blank, or has spoken another language."""
        self.page = page
        self.texts = texts
        self._url = url
        self._album = album
        self._words = texts.fragments()
        self._raw = texts.keys()
        self._foreign = Texts("en").fragments() - self._words - {MODEL}

    async def log_in(self, username: str, password: str) -> None:
        """Fill in the log-in form, which is in front of every page."""
        await self.load("/config")
        await self.page.locator("input[name=username]").fill(username)
        await self.page.locator("input[name=password]").fill(password)
        await self.page.keyboard.press("Enter")
        await self.page.locator("ha-sidebar").wait_for(state="attached")

    async def open(self, path: str) -> None:
        """Go to a page, without loading everything again if it can be avoided."""
        if self.page.url.startswith(self._url) and "/auth/" not in self.page.url:
            await self.page.evaluate(
                """path => {
                  history.pushState(null, "", path);
                  dispatchEvent(new CustomEvent("location-changed"));
                }""",
                path,
            )
        else:
            await self.load(path)

    async def picture(self, name: str, *, may_clip: bool = False) -> None:
        """Look at the page once it is complete, and keep a picture if that is wanted.

        Lists of Home Assistant may cut texts off.
        """
        seen = await self.page.evaluate(LOOK, PATIENCE)
        if self._album:
            await self._album.keep(name, self.page)
        texts = [Text(item["text"], item["clipped"]) for item in seen["texts"]]
        if flaws := [*seen["wrong"], *self._flaws(texts, may_clip=may_clip)]:
            raise ViewError(f"{name}: {flaws}")

    async def confirm(self, name: str) -> None:
        """Keep a picture of a question of the frontend, and say yes."""
        button = self.page.locator("dialog-box ha-dialog-footer ha-button").last
        await button.wait_for()
        await self.picture(name)
        await button.click()

    async def load(self, path: str) -> None:
        """Load a page anew."""
        await self.page.goto(f"{self._url}{path}", wait_until="domcontentloaded")
        await expect(self.page.locator("#ha-launch-screen")).to_have_count(0)

    def _flaws(self, texts: Iterable[Text], *, may_clip: bool) -> Iterable[str]:
        """Return what is wrong with what can be read."""
        for item in texts:
            if RAW.search(item.text) or item.text in self._raw:
                yield f"raw: {item.text}"
            if item.text in self._foreign:
                yield f"not in the user's language: {item.text}"
            if item.clipped and item.text in self._words and not may_clip:
                yield f"cut off: {item.text}"


class Dialog:
    """The dialog of a config flow."""

    def __init__(self, frontend: Frontend) -> None:
        """Use the one that is, or will be, open."""
        self._texts = frontend.texts
        self._page = frontend.page
        self.root = frontend.page.locator("dialog-data-entry-flow")
        self.code = self.root.locator("step-flow-progress h1")

    async def shows(self, step: str, **placeholders: str) -> None:
        """Check that it shows a step: its title, and its description if it has one."""
        await expect(self.root.locator(".dialog-title")).to_have_text(
            self._texts(f"config.step.{step}.title")
        )
        await expect(self.root.locator("ha-markdown").first).to_contain_text(
            self._texts(f"config.step.{step}.description", **placeholders)
        )

    async def shows_error(self, error: str) -> None:
        """Check that it shows an error, and only that."""
        await expect(self.root.locator("ha-alert")).to_have_text(
            self._texts(f"config.error.{error}")
        )

    async def choose(self, step: str, option: str) -> None:
        """Choose from a menu."""
        text = self._texts(f"config.step.{step}.menu_options.{option}")
        await self.root.locator("ha-list-item", has_text=text).click()

    def field(self, name: str) -> Locator:
        """Return the field with a name."""
        return self.root.locator(f"input[name={name}]")

    async def fill(self, **fields: str) -> None:
        """Fill fields in."""
        for name, value in fields.items():
            await self.field(name).fill(value)

    async def fill_server_url(self, url: str) -> None:
        """Open the section for experts, and fill in where plex.tv is."""
        if not await self.field("server_url").is_visible():
            await self.root.locator("ha-expansion-panel #summary").click()
        await self.fill(server_url=url)

    async def turn_on(self) -> None:
        """Turn the only switch of the form on."""
        await self.root.locator("ha-selector-boolean ha-switch").click()

    async def submit(self) -> None:
        """Press the button that goes on or closes."""
        await self.root.locator("ha-dialog-footer ha-button").last.click()

    async def give_up(self) -> None:
        """Stop to wait, by the link beside the code, to begin again."""
        await self.code.wait_for()
        await self.root.locator("a[href^='/config/integrations/']").click()
        await self.root.locator("ha-dialog").wait_for(state="detached")

    async def close(self) -> None:
        """Close it by its last button."""
        await self.submit()
        await self.root.locator("ha-dialog").wait_for(state="detached")

    async def cancel(self) -> None:
        """Close it by the cross in its corner."""
        await self.root.locator("ha-icon-button").first.click()
        await self.root.locator("ha-dialog").wait_for(state="detached")

    async def created(self) -> None:
        """Check that it has created an entry."""
        await self.root.locator("step-flow-create-entry").wait_for()

    async def aborted(self, reason: str) -> None:
        """Check that it has ended otherwise, and says why."""
        await expect(self.root.locator("step-flow-abort")).to_contain_text(
            self._texts(f"config.abort.{reason}")
        )


class Actions:
    """The page on which actions are performed by hand."""

    def __init__(self, frontend: Frontend) -> None:
        """Use that page of this frontend."""
        self._frontend = frontend
        self._action = ""
        self.root = frontend.page.locator("tools-action")
        self.error = self.root.locator("ha-alert")
        self.answer = self.root.locator(".response")
        self.response = self.answer.locator(".cm-content")
        self._modes = self.root.locator("ha-button-toggle-group ha-button")

    async def choose(self, action: str) -> None:
        """Open the page, and choose one of the integration's actions."""
        self._action = action
        picker = self.root.locator("ha-service-picker")
        await self._frontend.open("/config/tools/action")
        # The frontend learns only seconds later which fields a new action has.
        await self._frontend.page.wait_for_function(
            """([domain, action]) => {
              const { services } = document.querySelector("home-assistant").hass;
              return Object.keys(services[domain]?.[action]?.fields ?? {}).length;
            }""",
            arg=[DOMAIN, action],
        )
        await self._modes.first.click()
        await picker.locator("ha-picker-field").click()
        await picker.locator("input").fill(f"{DOMAIN}.{action}")
        await (
            picker.locator("ha-picker-combo-box ha-combo-box-item")
            .filter(has_text=f"{DOMAIN}.{action}")
            .click()
        )
        await expect(self.root.locator("ha-service-control")).to_contain_text(
            self._frontend.texts(f"services.{action}.description")
        )

    async def link(self, action: str) -> None:
        """Open an action by a link, as My Home Assistant does."""
        self._action = action
        await self._frontend.load(f"/config/tools/action?service={DOMAIN}.{action}")
        await self._modes.first.click()

    async def paste(self, action: str, example: str) -> None:
        """Open an action by a link, and paste an example in YAML mode."""
        await self.link(action)
        # The frontend remembers it.
        await self._modes.last.click()
        editor = self.root.locator("ha-yaml-editor .cm-content").first
        await expect(editor).to_contain_text(f"action: {DOMAIN}.{action}")
        await editor.click()
        await self._frontend.page.keyboard.press("ControlOrMeta+a")
        await self._frontend.page.keyboard.insert_text(example)

    async def fill(self, **values: str | bool) -> None:
        """Fill fields in, all of which are optional."""
        for field, value in values.items():
            name = self._frontend.texts(f"services.{self._action}.fields.{field}.name")
            row = self.root.locator("ha-settings-row").filter(
                has=self._frontend.page.get_by_text(name, exact=True)
            )
            if isinstance(value, bool):
                # What has a default is filled in from the start, and that is off.
                await row.locator("ha-switch").click()
                continue
            checkbox = row.locator("ha-checkbox")
            await checkbox.click()
            await expect(checkbox).to_have_js_property("checked", value=True)
            picker = row.locator("ha-picker-field")
            box = row.locator("ha-selector-text input")
            await picker.or_(box).first.wait_for()
            if await box.count():
                await box.fill(value)
            else:
                await self._pick(row, value)

    async def perform(self) -> None:
        """Perform the action."""
        await self.root.locator(".card-actions ha-progress-button").click()

    async def _pick(self, row: Locator, text: str) -> None:
        """Pick from a list that opens."""
        await row.locator("ha-picker-field").click()
        await (
            row.locator("ha-picker-combo-box ha-combo-box-item")
            .filter(has_text=text)
            .first.click()
        )
        # What is filled in before that would be forgotten.
        await expect(row.locator("ha-picker-field")).to_contain_text(text)


class Menu:
    """A menu behind three dots."""

    def __init__(self, root: Locator) -> None:
        """Use this one."""
        self._root = root

    async def choose(self, value: str) -> None:
        """Open it, and choose an item by what it stands for."""
        await self._root.locator("ha-icon-button").first.click()
        await self._root.locator(f"ha-dropdown-item[value={value}]").click()


@asynccontextmanager
async def chromium() -> AsyncGenerator[Browser]:
    """Run a Chromium without windows."""
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(
            executable_path=CHROMIUM, args=OPTIONS, headless=True
        ) as browser,
    ):
        yield browser


@asynccontextmanager
async def frontend(
    browser: Browser,
    url: str,
    album: Album | None,
    *,
    token: str | None = None,
    viewport: ViewportSize = DESKTOP,
) -> AsyncGenerator[Frontend]:
    """Open a window; the user who has the token is logged in."""
    context = await browser.new_context(
        viewport=viewport,
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
        storage_state={"cookies": [], "origins": [_remembered(url, token)]}
        if token
        else None,
    )
    context.set_default_timeout(TIMEOUT)
    expect.set_options(timeout=TIMEOUT)
    async with context:
        yield Frontend(await context.new_page(), url, Texts("en"), album)


def _remembered(url: str, token: str) -> Any:
    """Return what the frontend keeps of a user who has logged in."""
    tokens = {
        "access_token": token,
        "token_type": "Bearer",
        "refresh_token": "",
        "expires_in": 1800,
        "expires": (time.time() + 1800) * 1000,
        "hassUrl": url,
        "clientId": f"{url}/",
    }
    return {
        "origin": url,
        "localStorage": [{"name": "hassTokens", "value": json.dumps(tokens)}],
    }
