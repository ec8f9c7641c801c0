"""Config flow of the Plex Account integration."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, override
from uuid import uuid4

# Home Assistant's alias of voluptuous does not have it.
from probatio import Secret
import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_REAUTH,
    SOURCE_RECONFIGURE,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_CODE, CONF_PASSWORD, CONF_TOKEN, CONF_USERNAME
from homeassistant.core import callback
from homeassistant.data_entry_flow import UnknownFlow, section
from homeassistant.helpers.selector import (
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)

from .api import (
    PLEX_TV_URL,
    Pin,
    PlexAuthenticationError,
    PlexError,
    PlexInvalidTwoFactorCodeError,
    PlexNotFoundError,
    PlexRateLimitError,
    PlexThrottledError,
    PlexTimeoutError,
    PlexTvClient,
    PlexTwoFactorRequiredError,
    User,
    parse_url,
)
from .const import CONF_CLIENT_IDENTIFIER, CONF_SERVER_URL, DOMAIN, LOGGER
from .identity import async_sign_out, plex_tv_client
from .markdown import escape_markdown

SECTION_ADVANCED = "advanced"

SIGN_IN_STEPS = ["password", "link"]

LINK_URL = "https://plex.tv/link"
# Seconds that the picture of a code may hold up the code itself.
QR_CODE_TIMEOUT = 3
# Seconds between two looks at whether a link code was used.
LINK_POLL_INTERVAL = 2
LINK_POLL_BACKOFF = 1.5
LINK_POLL_MAX_INTERVAL = 10

ADVANCED_SCHEMA = vol.Schema(
    {
        vol.Optional(CONF_SERVER_URL): TextSelector(
            TextSelectorConfig(type=TextSelectorType.URL)
        )
    }
)
PASSWORD_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_USERNAME): TextSelector(
            TextSelectorConfig(autocomplete="username")
        ),
        vol.Required(Secret(CONF_PASSWORD)): TextSelector(
            TextSelectorConfig(
                type=TextSelectorType.PASSWORD, autocomplete="current-password"
            )
        ),
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
        self._pin: Pin | None = None
        self._qr_code = ""
        self._link_task: asyncio.Task[User | None] | None = None
        # A client with a token that no entry owns yet.
        self._signed_in: PlexTvClient | None = None
        self._removed = False

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer the ways to sign in."""
        return self.async_show_menu(step_id="user", menu_options=SIGN_IN_STEPS)

    async def async_step_reauth(
        self, entry_data: Mapping[str, Any]
    ) -> ConfigFlowResult:
        """Sign in again after plex.tv has rejected the token."""
        self._use_entry_data(entry_data)
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say which account it is about, and offer the ways to sign in."""
        return self.async_show_menu(
            step_id="reauth_confirm",
            menu_options=SIGN_IN_STEPS,
            description_placeholders={
                "account": escape_markdown(self._get_reauth_entry().title)
            },
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer to sign in again, or at another address of plex.tv."""
        entry = self._get_reconfigure_entry()
        self._use_entry_data(entry.data)
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=SIGN_IN_STEPS,
            description_placeholders={"account": escape_markdown(entry.title)},
        )

    async def async_step_password(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for user name and password."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._check_server_url(user_input)
            self._credentials = {
                CONF_USERNAME: user_input[CONF_USERNAME].strip(),
                CONF_PASSWORD: user_input[CONF_PASSWORD],
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

    async def async_step_link(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Explain the sign-in with a code, and get one."""
        errors: dict[str, str] = {}
        if user_input is not None:
            errors = self._check_server_url(user_input)
            if not errors and (result := await self._async_start_link(errors)):
                return result
        return self.async_show_form(
            step_id="link",
            data_schema=self._with_advanced(vol.Schema({}), errors),
            errors=errors,
        )

    async def async_step_link_expired(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Offer a new code after one was not used in time."""
        errors: dict[str, str] = {}
        if user_input is not None and (result := await self._async_start_link(errors)):
            return result
        return self.async_show_form(step_id="link_expired", errors=errors)

    async def async_step_link_wait(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the code until it is used."""
        assert self._pin
        assert self._link_task
        if self._link_task.done():
            return self.async_show_progress_done(next_step_id="link_done")
        return self.async_show_progress(
            step_id="link_wait",
            progress_action="link",
            description_placeholders={
                "code": escape_markdown(self._pin.code),
                "url": LINK_URL,
                "qr_code": self._qr_code,
            },
            progress_task=self._link_task,
        )

    async def async_step_link_done(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Finish once the code was used, or has expired."""
        assert self._link_task
        try:
            user = self._link_task.result()
        except Exception:
            LOGGER.exception("Unexpected error while waiting for a link code")
            return self.async_show_form(
                step_id="link_expired", errors={"base": "unknown"}
            )
        if user:
            return await self._async_finish(user)
        return await self.async_step_link_expired()

    @callback
    @override
    def async_remove(self) -> None:
        """Sign out if the flow ends with a token that no entry owns."""
        self._removed = True
        if self._signed_in:
            self.hass.async_create_background_task(
                async_sign_out(self._signed_in), "Plex sign-out"
            )

    def _use_entry_data(self, entry_data: Mapping[str, Any]) -> None:
        """Remain the same device for plex.tv, and propose the same address of it."""
        self._client_identifier = entry_data[CONF_CLIENT_IDENTIFIER]
        self._server_url = entry_data[CONF_SERVER_URL]

    def _with_advanced(
        self, schema: vol.Schema, errors: dict[str, str], **typed: str
    ) -> vol.Schema:
        """Return a schema with what was typed, and a section for the address."""
        # An error in a section is only shown at the section itself.
        collapsed = SECTION_ADVANCED not in errors
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
        return self.async_show_form(
            step_id="password",
            data_schema=self._with_advanced(PASSWORD_SCHEMA, errors, **typed),
            errors=errors,
        )

    def _check_server_url(self, user_input: dict[str, Any]) -> dict[str, str]:
        """Take over the address of plex.tv, return the error if it can't be used."""
        typed = user_input.get(SECTION_ADVANCED, {}).get(CONF_SERVER_URL)
        if typed is not None:
            self._server_url = typed.strip()
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

    async def _async_start_link(
        self, errors: dict[str, str]
    ) -> ConfigFlowResult | None:
        """Get a code and wait for its use, or record an error and return None."""
        client = self._client()
        try:
            self._pin = await client.create_pin()
        except PlexError as err:
            errors["base"] = _error_key(err)
            return None
        except Exception:
            LOGGER.exception("Unexpected error while getting a link code")
            errors["base"] = "unknown"
            return None
        self._qr_code = await _async_get_qr_code(client, self._pin)
        self._link_task = self.hass.async_create_background_task(
            self._async_wait_for_link(client, self._pin), "Plex link code"
        )
        return await self.async_step_link_wait()

    async def _async_wait_for_link(self, client: PlexTvClient, pin: Pin) -> User | None:
        """Return the user who uses a code, None when the code has expired."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + pin.expires_in
        interval: float = LINK_POLL_INTERVAL
        while (left := deadline - loop.time()) > 0:
            await asyncio.sleep(min(interval, left))
            interval = min(interval * LINK_POLL_BACKOFF, LINK_POLL_MAX_INTERVAL)
            try:
                if client.token is None:
                    client.token = (await client.get_pin(pin.id)).auth_token
                if client.token is not None:
                    self._signed_in = client
                    return await client.get_user()
            except PlexNotFoundError, PlexAuthenticationError:
                return None
            except PlexError as err:
                # The code outlives what ails plex.tv or the way to it.
                interval = max(interval, err.retry_after or 0)
        return None

    async def _async_finish(self, user: User) -> ConfigFlowResult:
        """Create the entry, or update the one that this flow is about."""
        assert self._signed_in
        if self._removed:
            # The dialog was closed while plex.tv was signing in.
            await async_sign_out(self._signed_in)
            raise UnknownFlow
        await self.async_set_unique_id(user.uuid)
        data = {
            CONF_TOKEN: self._signed_in.token,
            CONF_CLIENT_IDENTIFIER: self._client_identifier,
            CONF_SERVER_URL: self._server_url,
        }
        if self.source in {SOURCE_REAUTH, SOURCE_RECONFIGURE}:
            self._abort_if_unique_id_mismatch(reason="wrong_account")
            entry = (
                self._get_reauth_entry()
                if self.source == SOURCE_REAUTH
                else self._get_reconfigure_entry()
            )
            self._signed_in = None
            return self.async_update_reload_and_abort(entry, data=data)
        self._abort_if_unique_id_configured()
        self._signed_in = None
        return self.async_create_entry(
            title=user.title or user.username or user.uuid, data=data
        )


async def _async_get_qr_code(client: PlexTvClient, pin: Pin) -> str:
    """Return the QR code of a PIN in Markdown, empty if there is none to be had.

    It is fetched here, so that the browser needs no way to plex.tv.
    """
    try:
        async with asyncio.timeout(QR_CODE_TIMEOUT):
            picture = await client.get_picture(pin.qr or "")
    except (PlexError, TimeoutError) as err:
        LOGGER.debug("No QR code for the link code: %r", err)
        return ""
    content = b64encode(picture.content).decode()
    return f"![](data:{picture.content_type};base64,{content})"


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
