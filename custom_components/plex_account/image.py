"""Images: the avatar of the account."""

from typing import override

from homeassistant.components.image import ImageEntity, ImageEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .api import PlexError
from .const import PLEX_TV
from .coordinator import PlexAccountCoordinator, PlexConfigEntry
from .entity import PlexAccountEntity
from .errors import Translation, error_translation

PARALLEL_UPDATES = 0

# Seconds that a picture is not asked for after it could not be had.
FAILURE_PAUSE = 300

AVATAR = ImageEntityDescription(key="avatar", translation_key="avatar")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the avatar."""
    async_add_entities([PlexAvatarImage(hass, entry.runtime_data)])


class PlexAvatarImage(PlexAccountEntity, ImageEntity):
    """The avatar of the account, fetched when somebody looks at it."""

    _content: bytes | None
    _failure: Translation | None
    _failed_at: float

    def __init__(
        self, hass: HomeAssistant, coordinator: PlexAccountCoordinator
    ) -> None:
        """Initialize the entity."""
        PlexAccountEntity.__init__(self, coordinator, AVATAR)
        ImageEntity.__init__(self, hass)
        self._set_url(coordinator.data.user.thumb)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Forget the picture when it has another URL, which names its version."""
        if self.coordinator.data.user.thumb != self._url:
            self._set_url(self.coordinator.data.user.thumb)
        super()._handle_coordinator_update()

    @override
    async def async_image(self) -> bytes | None:
        """Return the picture, fetched once for each URL."""
        url = self._url
        if self._content is None and url is not None:
            now = self.hass.loop.time()
            if self._failure and now - self._failed_at < FAILURE_PAUSE:
                raise HomeAssistantError(**self._failure)
            try:
                picture = await self.coordinator.client.get_picture(url)
            except PlexError as err:
                failure = error_translation(err, PLEX_TV)
                if url == self._url:
                    self._failure, self._failed_at = failure, now
                raise HomeAssistantError(**failure) from err
            if url != self._url:
                # There is another one meanwhile.
                return await self.async_image()
            self._attr_content_type = picture.content_type
            self._content = picture.content
        return self._content

    def _set_url(self, url: str | None) -> None:
        """Take over a URL, and that the picture has changed."""
        self._url = url
        self._content = self._failure = None
        self._attr_image_last_updated = dt_util.utcnow() if url else None
