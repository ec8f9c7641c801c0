"""Config flow of the Plex Account integration."""

import asyncio
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, override
from uuid import uuid4

# Home Assistant's alias of voluptuous does not have it.
from probatio import Secret
import voluptuous as vol

from homeassistant.components.http import current_request
from homeassistant.config_entries import (
    SOURCE_REAUTH,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_CODE, CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.core import callback
from homeassistant.data_entry_flow import UnknownFlow, section
from homeassistant.helpers.config_entry_oauth2_flow import HEADER_FRONTEND_BASE
from homeassistant.helpers.selector import (
    BooleanSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .api import (
    PLEX_TV_URL,
    PlexAuthenticationError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexRateLimitError,
    PlexThrottledError,
    PlexTimeoutError,
    PlexTvClient,
    PlexTwoFactorRequiredError,
    User,
    parse_url,
)
from .callback import async_register_callback, callback_url
from .const import CONF_CLIENT_IDENTIFIER, CONF_SERVER_URL, DOMAIN, LOGGER
from .coordinator import PlexConfigEntry
from .identity import async_sign_out, plex_tv_client
from .markdown import escape_markdown
from .options_flow import PlexAccountOptionsFlow
from .pins import PinSignIn

CONF_USE_LINK = "use_link"
SECTION_ADVANCED = "advanced"

SIGN_IN_STEPS = ["browser", "link", "password"]

LINK_URL = "https://plex.tv/link"
# Where the frontend begins anew: to add an account, and with one that there is.
BEGIN_URL = f"/config/integrations/dashboard/add?domain={DOMAIN}"
BEGIN_AGAIN_URL = f"/config/integrations/integration/{DOMAIN}"

ADVANCED_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_SERVER_URL): TextSelector(
            TextSelectorConfig(type=TextSelectorType.URL)
        )
    }
)
# Nothing is required: a user may go on with a code instead.
PASSWORD_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_USERNAME): TextSelector(
            TextSelectorConfig(autocomplete="username")
        ),
        vol.Optional(Secret(CONF_PASSWORD)): TextSelector(
            TextSelectorConfig(
                type=TextSelectorType.PASSWORD, autocomplete="current-password"
            )
        ),
        vol.Optional(CONF_USE_LINK, default=False): BooleanSelector(),
    }
)
TWO_FACTOR_SCHEMA = vol.Schema(
    {
        vol.Required(Secret(CONF_CODE)): TextSelector(
            TextSelectorConfig(autocomplete="one-time-code")
        )
    }
)


class PlexAccountConfigFlow(ConfigFlow, domain=DOMAIN):
    """Sign in to a Plex account, for the first time or again."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Initialize the flow."""
        # plex.tv takes every new identifier for a new device, so a flow has just one.
        self._client_identifier = str(uuid4())
        self._server_url = PLEX_TV_URL
        self._credentials: dict[str, str] = {}
        # That which the flow is about, if it is not to add one.
        self._entry: PlexConfigEntry | None = None
        self._pin: PinSignIn | None = None
        self._qr_code = ""
        self._auth_url = ""
        # A client with a token that no entry owns yet.
        self._signed_in: PlexTvClient | None = None
        self._removed = self._is_wrong_account = False

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: PlexConfigEntry) -> PlexAccountOptionsFlow:
        """Return what lets a user choose the servers."""
        return PlexAccountOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer the ways to sign in."""
        return self._show_ways("user")

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Sign in again after plex.tv has rejected the token."""
        self._use_entry(self._get_reauth_entry())
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say which account it is about, and offer the ways to sign in."""
        return self._show_ways("reauth_confirm")

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer to sign in again, or at another address of plex.tv."""
        self._use_entry(self._get_reconfigure_entry())
        return self._show_ways("reconfigure")

    async def async_step_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for user name and password."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_USE_LINK]:
                return await self.async_step_link(user_input)
            errors = self._check_server_url(user_input)
            self._credentials = {
                CONF_USERNAME: user_input.get(CONF_USERNAME, "").strip(),
                CONF_PASSWORD: user_input.get(CONF_PASSWORD, ""),
            }
            errors |= {
                key: "required" for key, value in self._credentials.items() if not value
            }
            if not errors and (result := await self._async_sign_in(errors)):
                return result
        return self._show_password_form(errors)

    async def async_step_two_factor(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the verification code."""
        errors: dict[str, str] = {}
        if user_input is not None:
            # Authenticator apps show the digits in groups.
            if code := "".join(user_input[CONF_CODE].split()):
                if result := await self._async_sign_in(errors, code):
                    return result
                if errors["base"] == "invalid_auth":
                    return self._show_password_form(errors)
            else:
                errors[CONF_CODE] = "required"
        return self.async_show_form(
            step_id="two_factor", data_schema=TWO_FACTOR_SCHEMA, errors=errors
        )

    async def async_step_browser(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Send the user to plex.tv, or say why that does not work."""
        request = current_request.get()
        base = request.headers.get(HEADER_FRONTEND_BASE) if request else None
        if base is None:
            # Nobody knows where to come back to.
            return await self.async_step_link()
        errors = self._check_server_url(user_input)
        if not errors and (pin := await self._async_get_pin(errors, strong=True)):
            async_register_callback(self.hass)
            self._auth_url = pin.client.auth_url(
                pin.pin, callback_url(base, self.flow_id)
            )
            pin.task.add_done_callback(self._async_pin_done)
            return self._show_browser()
        return self._show_address_form("browser", errors)

    async def async_step_browser_wait(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on as soon as plex.tv says that the user has signed in there."""
        assert self._pin
        if self._pin.task.done():
            return self.async_external_step_done(next_step_id="pin_done")
        # Somebody has come back; `_async_pin_done` goes on once plex.tv says so, too.
        self._pin.async_look_now()
        return self._show_browser()

    async def async_step_link(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Get a code, or say why there is none."""
        errors = self._check_server_url(user_input)
        if not errors and (pin := await self._async_get_pin(errors)):
            self._qr_code = await pin.async_get_qr_code()
            return await self.async_step_link_wait()
        return self._show_address_form("link", errors)

    async def async_step_link_wait(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the code until it is used."""
        assert self._pin
        if self._pin.task.done():
            return self.async_show_progress_done(next_step_id="pin_done")
        return self.async_show_progress(
            step_id="link_wait",
            progress_action="link",
            description_placeholders={
                "code": escape_markdown(self._pin.pin.code),
                "url": LINK_URL,
                "shown_url": LINK_URL.removeprefix("https://"),
                "minutes": str(round(self._pin.pin.expires_in / 60)),
                "qr_code": self._qr_code,
                # A step that waits has no buttons.
                "again": BEGIN_AGAIN_URL if self._entry else BEGIN_URL,
            },
            progress_task=self._pin.task,
        )

    async def async_step_pin_done(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Finish once the PIN was claimed, or has expired."""
        assert self._pin
        try:
            user = self._pin.task.result()
        except Exception:
            LOGGER.exception("Unexpected error while waiting for a Plex PIN")
            return self._show_address_form("link", {"base": "unknown"})
        if user is None:
            self._pin = None
            return await self.async_step_pin_expired()
        self._signed_in = self._pin.client
        return await self._async_finish(user)

    async def async_step_pin_expired(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer all ways again after the time was up."""
        return self._show_ways("pin_expired")

    @callback
    @override
    def async_remove(self) -> None:
        """Sign out if the flow ends with a token that no entry owns."""
        self._removed = True
        if self._entry and self._has_still_to_sign_in(self._entry):
            # Once it is known that this one is gone, else the user sees both.
            self.hass.loop.call_soon(self._entry.async_start_reauth, self.hass)
        if self._pin:
            self.hass.async_create_background_task(
                self._async_end(self._pin), "Plex PIN"
            )
        elif self._signed_in:
            self.hass.async_create_background_task(
                async_sign_out(self._signed_in), "Plex sign-out"
            )

    async def _async_end(self, pin: PinSignIn) -> None:
        """Look once more for who has claimed a PIN, as the dialog is closed."""
        user = await pin.async_end()
        if pin.client.token:
            await self._async_sign_in_late(pin.client, user)

    async def _async_sign_in_late(
        self, client: PlexTvClient, user: User | None
    ) -> None:
        """Keep a token that comes late for the entry's account, else give it back."""
        entries = self.hass.config_entries
        entry = self._entry and entries.async_get_entry(self._entry.entry_id)
        if user and entry and entry.unique_id == user.uuid:
            # plex.tv has put it in the place of the one that this device had.
            entries.async_update_entry(entry, data=self._data(client))
            entries.async_schedule_reload(entry.entry_id)
        else:
            await async_sign_out(client)

    def _data(self, client: PlexTvClient) -> dict[str, str | None]:
        """Return what an entry keeps of a sign-in."""
        return {
            CONF_TOKEN: client.token,
            CONF_CLIENT_IDENTIFIER: self._client_identifier,
            CONF_SERVER_URL: self._server_url,
        }

    @callback
    def _has_still_to_sign_in(self, entry: PlexConfigEntry) -> bool:
        """Return if the account needs another sign-in, which nobody asks for now."""
        if self.source == SOURCE_REAUTH:
            return self._is_wrong_account
        # Home Assistant does not ask for one while this flow is open.
        return (
            entry.state is ConfigEntryState.LOADED and entry.runtime_data.is_signed_out
        )

    @callback
    def _use_entry(self, entry: PlexConfigEntry) -> None:
        """Remain the same device for plex.tv, and propose what is known."""
        self._entry = entry
        self._client_identifier = entry.data[CONF_CLIENT_IDENTIFIER]
        self._server_url = entry.data[CONF_SERVER_URL]

    def _show_ways(self, step_id: str) -> ConfigFlowResult:
        """Offer the ways to sign in, to an account that is named if there is one."""
        account = escape_markdown(self._entry.title) if self._entry else ""
        return self.async_show_menu(
            step_id=step_id,
            menu_options=SIGN_IN_STEPS,
            description_placeholders={"account": account},
        )

    def _with_advanced(
        self, schema: vol.Schema, errors: dict[str, str], **typed: str
    ) -> vol.Schema:
        """Return a schema with what was typed, and a section for the address."""
        # An error in a section is only shown at the section itself, and any other may
        # be the fault of an address that is not the usual one.
        collapsed = not errors or (
            self._server_url == PLEX_TV_URL and SECTION_ADVANCED not in errors
        )
        return self.add_suggested_values_to_schema(
            schema.extend(
                {
                    vol.Optional(SECTION_ADVANCED): section(
                        ADVANCED_SCHEMA, {"collapsed": collapsed}
                    )
                }
            ),
            {**typed, SECTION_ADVANCED: {CONF_SERVER_URL: self._server_url}},
        )

    def _show_password_form(self, errors: dict[str, str]) -> ConfigFlowResult:
        """Show the form for user name and password, without the password."""
        typed = dict(self._credentials)
        typed.pop(CONF_PASSWORD, None)
        # There is none if the account could not be loaded.
        if not typed and (account := getattr(self._entry, "runtime_data", None)):
            typed = {CONF_USERNAME: account.data.user.username or ""}
        return self.async_show_form(
            step_id="password",
            data_schema=self._with_advanced(PASSWORD_SCHEMA, errors, **typed),
            errors=errors,
        )

    def _show_address_form(
        self, step_id: str, errors: dict[str, str]
    ) -> ConfigFlowResult:
        """Show what went wrong with a PIN, and the address that may be the reason."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self._with_advanced(vol.Schema({}), errors),
            errors=errors,
        )

    def _show_browser(self) -> ConfigFlowResult:
        """Send the user to plex.tv."""
        return self.async_external_step(step_id="browser_wait", url=self._auth_url)

    def _check_server_url(self, user_input: dict[str, Any] | None) -> dict[str, str]:
        """Take over the address of plex.tv, return the error if it can't be used."""
        if user_input and (typed := user_input.get(SECTION_ADVANCED)) is not None:
            # Emptied, it is the usual one.
            self._server_url = typed.get(CONF_SERVER_URL, "").strip() or PLEX_TV_URL
        if not _is_safe_url(self._server_url):
            return {SECTION_ADVANCED: "invalid_url"}
        self._server_url = self._server_url.rstrip("/")
        return {}

    def _client(self) -> PlexTvClient:
        """Return a client that has no token yet."""
        return plex_tv_client(
            self.hass,
            client_identifier=self._client_identifier,
            server_url=self._server_url,
        )

    async def _async_sign_in(
        self, errors: dict[str, str], code: str | None = None
    ) -> ConfigFlowResult | None:
        """Sign in and go on, or record an error and return None."""
        client = self._client()
        try:
            user = await client.sign_in(
                self._credentials[CONF_USERNAME],
                self._credentials[CONF_PASSWORD],
                verification_code=code,
            )
        except PlexTwoFactorRequiredError:
            return await self.async_step_two_factor()
        except PlexError as err:
            errors["base"] = _error_key(err)
        except Exception:
            LOGGER.exception("Unexpected error while signing in")
            errors["base"] = "unknown"
        else:
            self._signed_in = client
            return await self._async_finish(user)
        return None

    async def _async_get_pin(
        self, errors: dict[str, str], *, strong: bool = False
    ) -> PinSignIn | None:
        """Get a PIN and wait for its use, or record an error and return None."""
        client = self._client()
        try:
            pin = await client.create_pin(strong=strong)
        except PlexError as err:
            errors["base"] = _error_key(err)
            return None
        except Exception:
            LOGGER.exception("Unexpected error while getting a Plex PIN")
            errors["base"] = "unknown"
            return None
        if self._removed:
            raise UnknownFlow
        self._pin = PinSignIn(self.hass, client, pin)
        return self._pin

    @callback
    def _async_pin_done(self, task: asyncio.Task[User | None]) -> None:
        """Go on, whether somebody has come back or signed in on another device."""
        step_id = self.cur_step and self.cur_step.get("step_id")
        if (
            not task.cancelled()
            and not self._removed
            # Else the frontend has asked for what comes next by itself.
            and step_id == "browser_wait"
        ):
            self.hass.async_create_task(
                self.hass.config_entries.flow.async_configure(self.flow_id),
                "Plex sign-in",
            )

    async def _async_finish(self, user: User) -> ConfigFlowResult:
        """Create the entry, or update the one that this flow is about."""
        assert self._signed_in
        if self._removed:
            # The dialog was closed while plex.tv was signing in.
            await self._async_sign_in_late(self._signed_in, user)
            raise UnknownFlow
        await self.async_set_unique_id(user.uuid)
        title = user.title or user.username or user.uuid
        data = self._data(self._signed_in)
        if entry := self._entry:
            self._is_wrong_account = entry.unique_id != user.uuid
            self._abort_if_unique_id_mismatch(
                reason="wrong_account",
                description_placeholders={
                    "account": escape_markdown(entry.title),
                    "other": escape_markdown(title),
                },
            )
            self._entry = self._pin = self._signed_in = None
            # Core's own text for it is not there in every language.
            return self.async_update_reload_and_abort(
                entry,
                data=data,
                reason="reauth_successful"
                if self.source == SOURCE_REAUTH
                else "reconfigure_successful",
            )
        self._abort_if_unique_id_configured()
        self._pin = self._signed_in = None
        return self.async_create_entry(title=title, data=data)


def _is_safe_url(text: str) -> bool:
    """Return if a password may be sent there: over HTTPS, or within this machine."""
    url = parse_url(text)
    if url is None or url.query_string or url.fragment:
        return False
    return url.scheme == "https" or _is_loopback(f"{url.host}")


def _is_loopback(host: str) -> bool:
    """Return if a host is this machine, without asking a name server."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _error_key(err: PlexError) -> str:
    """Return what to tell a user who tries to sign in."""
    match err:
        case PlexInvalidTwoFactorCodeError():
            return "invalid_two_factor_code"
        case PlexThrottledError():
            return "throttled"
        case PlexAuthenticationError():
            return "invalid_auth"
        case PlexRateLimitError():
            return "rate_limited"
        case PlexTimeoutError():
            return "timeout_connect"
    # Also for an answer that is not Plex's, as from the portal of a public network.
    return "cannot_connect"
