"""What a person sees and does in the frontend: the browser tests, and the pictures."""

from contextlib import suppress
import json
from pathlib import Path
import re

from playwright.async_api import Locator, expect
from yarl import URL

from homeassistant.util.yaml import parse_yaml
from tests.plex_emulator.demo_library import FILMS

from .browser import Actions, Dialog, Frontend, Menu
from .child import ROOT
from .emulator_process import EmulatorClient
from .hass_client import HassClient, HassError
from .hass_process import DOMAIN, TEXT
from .media_panel import MediaPanel
from .waiting import eventually

DASHBOARD = "/config/integrations/dashboard"
INTEGRATION = f"/config/integrations/integration/{DOMAIN}"
# Where an automation is edited once it has been saved.
AUTOMATION_URL = re.compile(r"/config/automation/edit/\d+")
ENTITIES = f"/config/entities?domain={DOMAIN}"

USERNAME = "ada"
# Has no password.
LINK_USERNAME = "linus"
SERVER = "Attic"

# Films that are played as they are, and made fit first.
DIRECT, *_, CONVERTED = FILMS

BLUEPRINT = "Plex: warn when a server is unreachable"

ACCOUNT_ENTITIES = ("binary_sensor.plex_pass", "binary_sensor.two_factor")
SERVER_ENTITIES = ("sensor.connection", "button.renew_transient_token")

# What has to be changed at a server for an issue, which is told and no more.
TROUBLE: dict[str, dict[str, str | bool]] = {
    "server_too_old": {"version": "1.15.3.876-ad6e39743"},
    "server_unclaimed": {"claimed": False},
    "encryption_required": {"encrypt": False, "https_required": True},
}

ACTIONS_PAGE = ROOT / "docs" / "actions.md"
# An action with all that it is given, in the documentation.
EXAMPLE = re.compile(
    rf"^```yaml\n(action: {DOMAIN}\.(\w+)\n.*?)^```$", re.MULTILINE | re.DOTALL
)

AUTOMATION = f"""\
alias: Count the servers
triggers:
  - trigger: state
    entity_id: input_button.show
actions:
  - action: {DOMAIN}.get_sources
    data:
      config_entry_id: %s
    response_variable: plex
  - action: input_text.set_value
    target:
      entity_id: {TEXT}
    data:
      value: "{{{{ plex.sources | map(attribute='name') | join(', ') }}}}"
"""


class Tour:
    """Ada's account and Linus's, from adding to removing them."""

    def __init__(
        self, home: HassClient, plex: EmulatorClient, frontend: Frontend
    ) -> None:
        """Take it in this window."""
        self._home = home
        self._plex = plex
        self._frontend = frontend
        self._page = frontend.page
        self._texts = frontend.texts
        self._picture = frontend.picture
        self._dialog = Dialog(frontend)

    async def add_with_password(self) -> None:
        """Add an account with its password and code, each wrong at first."""
        dialog = self._dialog
        await self._start_adding()
        await self._picture("password")
        await dialog.fill_server_url("http://plex.example")
        await dialog.fill(username=USERNAME, password="not-the-password")
        await dialog.submit()
        await dialog.shows_error("invalid_url")
        await self._picture("wrong-address")
        await self._submit_password("not-the-password")
        await dialog.shows_error("invalid_auth")
        await expect(dialog.field("username")).to_have_value(USERNAME)
        await expect(dialog.field("password")).to_have_value("")
        await self._picture("wrong-password")
        account = await self._plex.account(USERNAME)
        await self._submit_password(account["password"])
        await dialog.shows("two_factor")
        await self._picture("verification-code")
        await dialog.fill(code="000000")
        await dialog.submit()
        await dialog.shows_error("invalid_two_factor_code")
        await self._picture("wrong-verification-code")
        await dialog.fill(code=account["verification_code"])
        await dialog.submit()
        await dialog.created()
        await self._picture("added")
        await dialog.close()

    async def add_with_link_code(self) -> None:
        """Add an account that has no password."""
        dialog = self._dialog
        await self._start_adding()
        await dialog.fill_server_url(self._plex.url)
        await dialog.turn_on()
        await self._picture("link")
        await dialog.submit()
        await dialog.give_up()
        await self._frontend.confirm("begin-again")
        await dialog.shows("user")
        await dialog.choose("user", "password")
        await dialog.fill_server_url(self._plex.url)
        await dialog.turn_on()
        await dialog.submit()
        await self._use_link_code(LINK_USERNAME)
        await dialog.created()
        await self._picture("added-with-link-code")
        await dialog.close()

    async def glance(self) -> None:
        """Open each dialog and page that has texts of ours, and change nothing."""
        dialog, page = self._dialog, self._page
        await self._start_adding()
        await self._picture("password")
        await dialog.cancel()
        await (await self._entry_menu()).choose("reconfigure")
        await dialog.shows("reconfigure", account=USERNAME)
        await self._picture("reconfigure")
        await dialog.choose("reconfigure", "link")
        await dialog.code.wait_for()
        await self._picture("link-code")
        await dialog.cancel()
        await self._open_options()
        await self._picture("options")
        await dialog.cancel()
        rows = page.locator("ha-config-entry-device-row")
        for name in (USERNAME, SERVER):
            await self._frontend.open(INTEGRATION)
            await rows.filter(has_text=name).first.click()
            await page.locator(
                "ha-config-device-page ha-device-entities-card"
            ).first.wait_for()
            await self._picture(f"device-{name}".lower())

    async def see_integration(self) -> None:
        """Look at the card, the devices and the entities."""
        page = self._page
        await self._frontend.open(DASHBOARD)
        card = page.locator(f"ha-integration-card[data-domain={DOMAIN}]")
        await expect(card).to_contain_text(self._texts("title"))
        await expect(card.locator("img").first).to_be_visible()
        await self._picture("card")
        await self._frontend.open(INTEGRATION)
        rows = page.locator("ha-config-entry-device-row")
        await expect(rows.filter(has_text=SERVER)).to_be_visible()
        await self._picture("integration")
        for name, entities in ((USERNAME, ACCOUNT_ENTITIES), (SERVER, SERVER_ENTITIES)):
            await self._frontend.open(INTEGRATION)
            await rows.filter(has_text=name).first.click()
            for entity in entities:
                await expect(page.locator("ha-config-device-page")).to_contain_text(
                    self._texts(f"entity.{entity}.name")
                )
            await self._picture(f"device-{name}".lower())
        await self._frontend.open(ENTITIES)
        await expect(page.locator("ha-data-table")).to_contain_text(
            self._texts("entity.binary_sensor.plex_pass.name")
        )
        # A table, whose columns are not ours.
        await self._picture("entities", may_clip=True)

    async def perform_actions(self) -> None:
        """Perform each of the actions by hand, and read what it answers."""
        actions = await self._begin_action("get_transient_token")
        await actions.perform()
        await expect(actions.error).to_contain_text(USERNAME)
        await self._picture("server-required")
        await actions.fill(device_id=SERVER)
        await self._perform(actions, "get_transient_token", "token: transient-")

    async def paste_examples(self) -> None:
        """Perform each example of an action as it is pasted, and as it is linked."""
        actions = Actions(self._frontend)
        examples = EXAMPLE.findall(ACTIONS_PAGE.read_text())
        assert len(examples) == 5
        for example, action in examples:
            await actions.paste(action, example)
            await self._expect_response(actions)
            content = parse_yaml(example)
            assert isinstance(content, dict)
            values = content["data"]
            if "device_id" in values:
                # A form has a list of servers in the place of a template.
                values["device_id"] = SERVER
            await actions.link(action)
            await actions.fill(**values)
            await self._expect_response(actions)
            await self._picture(f"linked-{action.replace('_', '-')}", may_clip=True)

    async def _expect_response(self, actions: Actions) -> None:
        """Perform an action, which has nothing to complain about."""
        await actions.perform()
        await expect(actions.response).to_be_visible()
        await expect(actions.error).to_have_count(0)

    async def find_title(self) -> None:
        """Look for a film by its title."""
        actions = await self._begin_action("find_media")
        await actions.fill(query="train")
        await self._perform(actions, "find_media", f"title: {DIRECT}")

    async def perform_main_action(self) -> None:
        """Look up where a server can be reached."""
        name = "get_source_connection_information"
        server = await self._plex.server(SERVER)
        actions = await self._begin_action(name)
        await actions.fill(source=f"server://{server['machine_identifier']}")
        await self._perform(actions, name, "access_token: transient-")

    async def automate(self) -> None:
        """Write an automation that uses an answer, and run it."""
        page = self._page
        entry_id = await self._entry_id()
        await self._frontend.open("/config/automation/edit/new")
        menu = Menu(page.locator("ha-automation-editor ha-dropdown[slot=toolbar-icon]"))
        await menu.choose("toggle_yaml_mode")
        editor = page.locator("ha-automation-editor .cm-content")
        await editor.click()
        await page.keyboard.press("ControlOrMeta+a")
        await page.keyboard.insert_text(AUTOMATION % entry_id)
        await expect(editor).to_contain_text("response_variable: plex")
        await self._picture("automation")
        await page.locator("ha-automation-editor ha-button[slot=fab]").click()
        await page.wait_for_url(AUTOMATION_URL, wait_until="commit")
        before = await self._home.state(TEXT)
        await menu.choose("run")

        async def has_run() -> str | None:
            state = await self._home.state(TEXT)
            return state if state != before else None

        assert SERVER in await eventually(has_run, "the automation has run")
        await self._picture("automation-has-run")

    async def import_blueprint(self, url: URL) -> None:
        """Import a blueprint as by a button of the README, and begin to use it."""
        page = self._page
        link = URL("/_my_redirect/blueprint_import").with_query(blueprint_url=str(url))
        await self._frontend.open(str(link))
        dialog = page.locator("ha-dialog-import-blueprint")
        buttons = dialog.locator("ha-dialog-footer ha-button")
        await expect(dialog.locator("input")).to_have_value(str(url))
        await buttons.last.click()
        await expect(dialog).to_contain_text(BLUEPRINT)
        await self._picture("blueprint")
        await buttons.last.click()
        row = page.locator("ha-data-table").get_by_text(BLUEPRINT)
        await row.wait_for()
        await self._picture("blueprints", may_clip=True)
        await row.click()
        editor = page.locator("blueprint-automation-editor")
        for name in ("Servers", "Unreachable for", "Then"):
            await expect(editor).to_contain_text(name)
        await self._picture("automation-from-blueprint")

    async def sign_in_again(self) -> None:
        """Sign in again from the card that asks for it."""
        dialog = self._dialog
        await self._plex("revoke_tokens", account=USERNAME)
        actions = await self._begin_action("get_user_details")
        await actions.fill(refresh=True)
        await actions.perform()
        await expect(actions.error).to_contain_text("plex.tv")
        await self._picture("revoked")
        await self._frontend.open(DASHBOARD)
        card = self._page.locator("ha-config-flow-card")
        await expect(card).to_contain_text(USERNAME)
        await self._picture("reauth-card")
        await card.locator("ha-button").first.click()
        await dialog.shows("reauth_confirm", account=USERNAME)
        await self._picture("reauth")
        await dialog.choose("reauth_confirm", "password")
        account = await self._plex.account(USERNAME)
        await dialog.fill(username=USERNAME)
        await self._submit_password(account["password"])
        await dialog.shows("two_factor")
        await dialog.fill(code=account["verification_code"])
        await dialog.submit()
        await dialog.aborted("reauth_successful")
        await self._picture("signed-in-again")
        await dialog.close()
        await expect(card).to_have_count(0)

    async def reconfigure(self) -> None:
        """Sign in once more, without need."""
        dialog = self._dialog
        await (await self._entry_menu()).choose("reconfigure")
        await dialog.shows("reconfigure", account=USERNAME)
        await self._picture("reconfigure")
        await dialog.choose("reconfigure", "link")
        await dialog.give_up()
        await (await self._entry_menu()).choose("reconfigure")
        await dialog.choose("reconfigure", "link")
        await self._use_link_code(USERNAME)
        await dialog.aborted("reconfigure_successful")
        await self._picture("reconfigured")
        await dialog.close()

    async def sign_in_in_the_browser(self) -> None:
        """Sign in once more, on the page of Plex, and come back."""
        dialog = self._dialog
        await (await self._entry_menu()).choose("reconfigure")
        await dialog.shows("reconfigure", account=USERNAME)
        async with self._page.expect_popup() as popup:
            await dialog.choose("reconfigure", "browser")
        page = await popup.value
        await expect(page.locator("h1")).to_have_text("Sign in to Plex")
        await self._picture("browser")
        # It comes back to Home Assistant, whose page closes the window.
        async with page.expect_event("close"):
            await page.get_by_role("button", name=USERNAME, exact=True).click()
        await dialog.aborted("reconfigure_successful")
        await self._picture("signed-in-in-the-browser")
        await dialog.close()

    async def choose_servers(self) -> None:
        """Leave a server out, and add one that is shared."""
        page = self._page
        await self._open_options()
        dialog = self._dialog.root
        await self._picture("options")
        await dialog.get_by_text("Cellar").click()
        await dialog.get_by_text("Library").click()
        await self._dialog.submit()
        await dialog.locator("step-flow-create-entry").wait_for()
        await self._dialog.close()
        rows = page.locator("ha-config-entry-device-row")
        await expect(rows.filter(has_text="Library")).to_be_visible()
        await expect(rows.filter(has_text="Cellar")).to_have_count(0)
        await self._picture("servers-chosen")

    async def see_what_happens(self) -> None:
        """Look at all that an account that is set up has, in its good and bad days."""
        await self.watch()
        await self.sign_in_in_the_browser()
        await self.see_repairs()
        await self.allow_plain_http()

    async def see_repairs(self) -> None:
        """Read what is wrong with a server, in one way after the other."""
        page = self._page
        issue = page.locator("dialog-repairs-issue")
        for key, trouble in TROUBLE.items():
            await self._change_server(**trouble)
            await self._open_issue(key)
            await expect(issue.locator("ha-markdown")).to_contain_text(SERVER)
            await expect(issue.locator("a[href*='troubleshooting']")).to_be_visible()
            await self._picture(key.replace("_", "-"))
            await page.keyboard.press("Escape")
            await expect(issue.locator("ha-dialog")).to_have_count(0)
        await self._change_server()

    async def allow_plain_http(self) -> None:
        """Repair that a server no longer encrypts, until it does again."""
        page = self._page
        await self._change_server(encrypt=False)
        await self._open_issue("encryption_lost")
        dialog = self._dialog
        await expect(dialog.root.locator("ha-markdown")).to_contain_text(
            self._texts(
                "issues.encryption_lost.fix_flow.step.confirm.description",
                learn_more="",
                markdown_name=SERVER,
            ).partition("\n")[0]
        )
        await self._picture("encryption-lost")
        await dialog.submit()
        await dialog.created()
        await expect(dialog.root.locator("ha-markdown")).to_have_text(
            self._texts("issues.encryption_lost.fix_flow.create_entry.default")
        )
        await self._picture("plain-http-allowed")
        await dialog.close()

        await self._open_issue("unencrypted")
        issue = page.locator("dialog-repairs-issue")
        await expect(issue.locator("ha-markdown")).to_contain_text(USERNAME)
        await expect(issue.locator("a[href*='troubleshooting']")).to_be_visible()
        await self._picture("unencrypted")
        await page.keyboard.press("Escape")
        await self._change_server()
        await expect(self._issues()).to_have_count(0)
        await self._picture("repaired")

    async def _open_issue(self, key: str) -> None:
        """Open an issue of the server in the list of repairs."""
        await self._frontend.open("/config/repairs")
        title = self._texts(f"issues.{key}.title", name=SERVER)
        await self._issues().filter(has_text=title).click()

    def _issues(self) -> Locator:
        """Return what is to be repaired."""
        return self._page.locator("ha-config-repairs ha-list-item-button")

    async def _change_server(self, **changes: str | bool) -> None:
        """Let the server be as usual but for some changes, and let that be noticed."""
        await self._plex("change_server", server=SERVER, **changes)
        account = {"config_entry_id": await self._entry_id(), "refresh": True}
        await self._home.action("get_user_details", **account)
        # It is looked for, whether or not it is found.
        with suppress(HassError):
            await self._home.action(
                "get_source_connection_information", source=SERVER, **account
            )

    async def watch(self) -> None:
        """Look for films in the media panel, and play them in the browser."""
        panel = MediaPanel(self._frontend)
        await panel.open("Plex Account", SERVER, "Films")
        await expect(panel.card(DIRECT)).to_be_visible()
        # A title is as long as it is.
        await self._picture("media", may_clip=True)
        await panel.play(DIRECT)
        await panel.seek(15)
        await panel.pause(11)
        await self._picture("film", may_clip=True)
        await panel.stop()
        await panel.open("Plex Account", SERVER)
        await panel.search("fog")
        await expect(panel.card("Fog (The lighthouse keepers · S1E2)")).to_be_visible()
        await self._picture("media-search", may_clip=True)

    async def watch_converted(self) -> None:
        """Play what the browser can't play as it is."""
        panel = MediaPanel(self._frontend)
        await panel.open("Plex Account", SERVER, "Films")
        await panel.play(CONVERTED)
        await panel.seek(10)
        await panel.stop()

    async def download_diagnostics(self, folder: Path) -> None:
        """Download the diagnostics, which tell nothing that is nobody's business."""
        menu = await self._entry_menu()
        async with self._page.expect_download() as download:
            await menu.choose("diagnostics")
        path = folder / "diagnostics.json"
        await (await download.value).save_as(path)
        content = json.loads(path.read_text())
        assert content["data"]["account"]["last_error"] is None
        assert "transient-" not in str(content)
        assert USERNAME not in str(content["data"])

    async def remove(self) -> None:
        """Remove the account."""
        await (await self._entry_menu()).choose("delete")
        await self._frontend.confirm("remove")
        await expect(self._entry_row()).to_have_count(0)
        await self._picture("removed")

    async def _start_adding(self) -> None:
        """Find the integration, and begin to add an account."""
        page = self._page
        await self._frontend.open(DASHBOARD)
        await page.locator(
            "ha-config-integrations-dashboard ha-button[slot=fab]"
        ).click()
        search = page.locator("dialog-add-integration")
        await search.locator("input").first.fill(self._texts("title"))
        found = search.locator("ha-integration-list-item")
        await expect(found).to_have_count(1)
        await self._picture("search")
        await found.click()
        await self._dialog.shows("user")
        await self._picture("menu")
        await self._dialog.choose("user", "password")
        await self._dialog.shows("password")

    async def _submit_password(self, password: str) -> None:
        """Fill in the rest of the form that has the user name already."""
        await self._dialog.fill_server_url(self._plex.url)
        await self._dialog.fill(password=password)
        await self._dialog.submit()

    async def _use_link_code(self, username: str) -> None:
        """Use the code that is shown, upon which the dialog goes on by itself."""
        dialog = self._dialog
        code = await dialog.code.inner_text()
        await expect(dialog.root.locator("ha-markdown img")).to_be_visible()
        await self._picture("link-code")
        await self._plex("claim_pin", code=code, account=username)

    async def _begin_action(self, name: str) -> Actions:
        """Choose an action and the account for it."""
        actions = Actions(self._frontend)
        await actions.choose(name)
        await actions.fill(config_entry_id=USERNAME)
        return actions

    async def _perform(self, actions: Actions, name: str, answer: str) -> None:
        """Perform an action, and find something in its answer."""
        await actions.perform()
        # Beside the answer to the action before there may be an error.
        await expect(actions.root).to_contain_text(answer)
        await actions.answer.evaluate("element => element.scrollIntoView()")
        # The field with its name does not fit a phone.
        await self._picture(name.replace("_", "-"), may_clip=True)

    async def _open_options(self) -> None:
        """Open the options of the entry."""
        await self._frontend.open(INTEGRATION)
        configure = await self._page.evaluate(
            """() => document.querySelector("home-assistant").hass.localize(
              "ui.panel.config.integrations.config_entry.configure"
            )"""
        )
        await self._entry_row().get_by_role("button", name=configure).first.click()
        await expect(self._dialog.root.locator(".dialog-title")).to_have_text(
            self._texts("options.step.init.title")
        )

    async def _entry_menu(self) -> Menu:
        """Return the menu of the entry, on its page."""
        await self._frontend.open(INTEGRATION)
        return Menu(self._entry_row().locator("ha-dropdown").first)

    def _entry_row(self) -> Locator:
        """Return the row of the entry."""
        return self._page.locator("ha-config-entry-row").filter(has_text=USERNAME)

    async def _entry_id(self) -> str:
        """Return the identifier of the entry."""
        entries = await self._home.entries()
        entry_id: str = next(e["entry_id"] for e in entries if e["title"] == USERNAME)
        return entry_id
