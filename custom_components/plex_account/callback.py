"""The way back from plex.tv's page, on which a user has signed in."""

from html import escape
from typing import Final

from aiohttp import web
from yarl import URL

from homeassistant.components.http import KEY_HASS, HomeAssistantView
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import UnknownFlow
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .texts import async_text

CALLBACK_PATH: Final = f"/auth/{DOMAIN}/callback"
_REGISTERED: HassKey[bool] = HassKey(f"{DOMAIN}_callback")
CLOSE_PAGE: Final = """\
<!doctype html>
<meta charset="utf-8">
<title>Plex Account</title>
<p>{text}</p>
<script>window.close()</script>
"""


def callback_url(base: str, flow_id: str) -> str:
    """Return where plex.tv sends the user back to; `base` is where the frontend is."""
    return str(URL(base).with_path(CALLBACK_PATH).with_query(flow_id=flow_id))


@callback
def async_register_callback(hass: HomeAssistant) -> None:
    """Let users come back, from the first sign-in on."""
    if not hass.data.get(_REGISTERED):
        hass.data[_REGISTERED] = True
        hass.http.register_view(SignInCallbackView)


class SignInCallbackView(HomeAssistantView):
    """Lets a sign-in go on whose user comes back from plex.tv.

    Anybody may come here: only plex.tv's own word for the PIN signs in.
    """

    url = CALLBACK_PATH
    name = f"auth:{DOMAIN}:callback"
    requires_auth = False

    async def get(self, request: web.Request) -> web.Response:
        """Look at the PIN now, and let the user close the window."""
        hass = request.app[KEY_HASS]
        flows = hass.config_entries.flow
        flow_id = request.query.get("flow_id", "")
        try:
            flow = flows.async_get(flow_id)
            if flow["handler"] == DOMAIN and flow.get("step_id") == "browser_wait":
                await flows.async_configure(flow_id)
        except UnknownFlow:
            # It may have gone on by itself.
            pass
        text = await async_text(hass, "callback", "close_window")
        return web.Response(
            text=CLOSE_PAGE.format(text=escape(text)), content_type="text/html"
        )
