"""What the libraries of a server hold, as its lists tell it."""

from dataclasses import dataclass
from enum import StrEnum
import re
from typing import Self

from .reading import Json, integer, objects, text

# What may be fetched of a server beside its lists, as its lists name it: nothing in it
# is encoded, and nothing leads elsewhere.
_PART = re.compile(r"/library/parts/\d{1,19}/\d{1,19}/file\.\w{1,8}", re.ASCII)
_PICTURE = re.compile(
    r"/(?:library/(?:metadata|sections|collections)|playlists)/\d{1,19}"
    r"/(?:thumb|art|composite|banner|poster)(?:/\d{1,19})?",
    re.ASCII,
)


class ItemType(StrEnum):
    """What an item is, in Plex's words; others are passed over."""

    MOVIE = "movie"
    SHOW = "show"
    SEASON = "season"
    EPISODE = "episode"
    ARTIST = "artist"
    ALBUM = "album"
    TRACK = "track"
    PHOTO = "photo"
    CLIP = "clip"
    COLLECTION = "collection"
    PLAYLIST = "playlist"


class SectionType(StrEnum):
    """What a library holds."""

    MOVIE = "movie"
    SHOW = "show"
    ARTIST = "artist"
    PHOTO = "photo"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file of an item, and what is in it as far as players have to know it.

    `key` is the path at the server, `is_whole` whether there is no further part.
    """

    key: str
    is_whole: bool
    container: str | None
    video_codec: str | None
    audio_codec: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A film, an episode, an album or whatever a list has.

    `section` is the key of its library, and `parent` that of what it belongs to, where
    the list tells it.
    `duration` is in seconds, `index` the number within what it belongs to. `files` are
    empty where the list does not tell, or there is nothing to play. `is_folder` says
    that it has children.
    """

    rating_key: str
    section: str | None
    type: ItemType
    title: str
    parent: str | None
    parent_title: str | None
    grandparent_title: str | None
    index: int | None
    parent_index: int | None
    year: int | None
    duration: float | None
    thumb: str | None
    files: tuple[MediaFile, ...]
    is_folder: bool

    @classmethod
    def from_data(cls, data: dict[str, Json]) -> Self | None:
        """Read an item, None if it is of no known type or can't be named."""
        kind = text(data, "type") or ""
        key = _key(data, "ratingKey")
        title = text(data, "title")
        if kind not in ItemType or key is None or title is None:
            return None
        files = tuple(_files(data))
        duration = integer(data, "duration")
        return cls(
            rating_key=key,
            section=_key(data, "librarySectionID"),
            type=ItemType(kind),
            title=title,
            parent=_key(data, "parentRatingKey"),
            parent_title=text(data, "parentTitle"),
            grandparent_title=text(data, "grandparentTitle"),
            index=integer(data, "index"),
            parent_index=integer(data, "parentIndex"),
            year=integer(data, "year"),
            duration=None if duration is None else duration / 1000,
            thumb=_first_path(data, "thumb", "composite", "parentThumb"),
            files=files,
            is_folder=ItemType(kind) in _FOLDERS
            or (kind == ItemType.PHOTO and not files),
        )


_FOLDERS = {
    ItemType.SHOW,
    ItemType.SEASON,
    ItemType.ARTIST,
    ItemType.ALBUM,
    ItemType.COLLECTION,
    ItemType.PLAYLIST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A library of a server."""

    key: str
    type: SectionType
    title: str

    @classmethod
    def from_data(cls, data: dict[str, Json]) -> Self | None:
        """Read a library, None if it is of no known type."""
        kind = text(data, "type") or ""
        key, title = _key(data, "key"), text(data, "title")
        if kind not in SectionType or key is None or title is None:
            return None
        return cls(key=key, type=SectionType(kind), title=title)


def _key(data: dict[str, Json], key: str) -> str | None:
    """Return a key as text, which is a number that drifts between the two."""
    value = integer(data, key)
    return None if value is None or value < 0 else str(value)


def part_path(path: str | None) -> str | None:
    """Return the path of a file, None for anything else."""
    return path if path and _PART.fullmatch(path) else None


def picture_path(path: str | None) -> str | None:
    """Return the path of a picture, None for anything else."""
    return path if path and _PICTURE.fullmatch(path) else None


def _first_path(data: dict[str, Json], *keys: str) -> str | None:
    """Return the first picture that there is."""
    # What a server makes of several pictures is listed with a size.
    paths = ((text(data, key) or "").partition("?")[0] for key in keys)
    return next(filter(picture_path, paths), None)


def _files(data: dict[str, Json]) -> list[MediaFile]:
    """Read the first file of each version of an item; where it is on a disk is not."""
    return [
        MediaFile(
            key=key,
            is_whole=len(parts) == 1,
            container=text(part, "container") or text(media, "container"),
            video_codec=text(media, "videoCodec"),
            audio_codec=text(media, "audioCodec"),
        )
        for media in objects(data.get("Media"))
        for parts in (objects(media.get("Part")),)
        for part in parts[:1]
        if (key := part_path(text(part, "key")))
    ]
