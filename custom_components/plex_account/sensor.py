"""Sensors: what the account is subscribed to, and how its servers are reached."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType

from .api import ConnectionTier, RemoteAccess, User, tier
from .connection import PlexServerData
from .coordinator import PlexConfigEntry
from .entity import PlexAccountEntity, PlexServerEntity, async_add_server_entities

PARALLEL_UPDATES = 0

CONNECTION_KINDS = {
    ConnectionTier.LOCAL_HTTPS: "local",
    ConnectionTier.LOCAL_HTTP: "local",
    ConnectionTier.REMOTE: "remote",
    ConnectionTier.RELAY: "relay",
}


@dataclass(frozen=True, kw_only=True)
class PlexAccountSensorDescription(SensorEntityDescription):
    """A sensor of the account, and where its value comes from."""

    value_fn: Callable[[User], StateType | datetime]


@dataclass(frozen=True, kw_only=True)
class PlexServerSensorDescription(SensorEntityDescription):
    """A sensor of a server, and where its value comes from."""

    owned_only: bool = False
    value_fn: Callable[[PlexServerData], StateType | datetime]


ACCOUNT_SENSORS = (
    PlexAccountSensorDescription(
        key="subscription_plan",
        translation_key="subscription_plan",
        value_fn=lambda user: user.subscription.plan,
    ),
    PlexAccountSensorDescription(
        key="home_users",
        translation_key="home_users",
        state_class=SensorStateClass.MEASUREMENT,
        value_fn=lambda user: user.home_size,
    ),
    PlexAccountSensorDescription(
        key="remember_expires_at",
        translation_key="remember_expires_at",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda user: user.remember_expires_at,
    ),
)
SERVER_SENSORS = (
    PlexServerSensorDescription(
        key="version",
        translation_key="version",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda data: data.version,
    ),
    PlexServerSensorDescription(
        key="platform",
        translation_key="platform",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=lambda data: data.resource.platform,
    ),
    PlexServerSensorDescription(
        key="connection",
        translation_key="connection",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=list(dict.fromkeys(CONNECTION_KINDS.values())),
        value_fn=lambda data: (
            CONNECTION_KINDS[tier(data.connection)] if data.connection else None
        ),
    ),
    PlexServerSensorDescription(
        key="remote_access",
        translation_key="remote_access",
        device_class=SensorDeviceClass.ENUM,
        entity_category=EntityCategory.DIAGNOSTIC,
        options=list(RemoteAccess),
        # A server tells only its owner.
        owned_only=True,
        value_fn=lambda data: data.account.remote_access if data.account else None,
    ),
    PlexServerSensorDescription(
        key="transient_token_expires",
        translation_key="transient_token_expires",
        device_class=SensorDeviceClass.TIMESTAMP,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda data: data.token.expires_at if data.token else None,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: PlexConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Set up the sensors of the account and its servers."""
    async_add_entities(
        PlexAccountSensor(entry.runtime_data, description)
        for description in ACCOUNT_SENSORS
    )
    async_add_server_entities(
        entry,
        async_add_entities,
        lambda server: [
            PlexServerSensor(server, description)
            for description in SERVER_SENSORS
            if server.data.resource.owned or not description.owned_only
        ],
    )


class PlexAccountSensor(PlexAccountEntity, SensorEntity):
    """A sensor of the account."""

    entity_description: PlexAccountSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return what plex.tv told of the account."""
        return self.entity_description.value_fn(self.coordinator.data.user)


class PlexServerSensor(PlexServerEntity, SensorEntity):
    """A sensor of a server."""

    entity_description: PlexServerSensorDescription

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return what is known of the server."""
        return self.entity_description.value_fn(self.coordinator.data)
