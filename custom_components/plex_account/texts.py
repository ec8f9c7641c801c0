"""Texts that nothing in Home Assistant looks up for us."""

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN


async def async_text(hass: HomeAssistant, where: str, name: str) -> str:
    """Return a text for a place in Home Assistant's language."""
    texts = await async_get_translations(
        hass, hass.config.language, "selector", [DOMAIN]
    )
    return texts[f"component.{DOMAIN}.selector.{where}.options.{name}"]
