"""What the libraries of a media server hold, and how it lists that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .replies import Data

ADDED_AT = 1731349749
# How a list is told to be one of albums.
ALBUMS = "9"
# A player takes a text for no file.
FILE = b"\0There is nothing to see."


@dataclass(eq=False)
class Entry:
    """An item, with what belongs to it."""

    key: int
    type: str
    title: str
    year: int | None = None
    index: int | None = None
    disc: int | None = None
    duration: int | None = None
    """Milliseconds."""
    files: list[tuple[str, bytes]] = field(default_factory=list)
    """The name and the content of each version."""
    codecs: tuple[str | None, str | None] = (None, None)
    """Those of the pictures and of the sound."""
    is_split: bool = False
    """Whether each version has a second part."""
    is_single: bool = False
    """Whether it is not listed among what belongs to its artist."""
    has_thumb: bool = True
    children: list[Entry] = field(default_factory=list)
    parent: Entry | None = None

    def add(self, child: Entry) -> Entry:
        """Take something in, and return it."""
        child.parent = self
        self.children.append(child)
        return child

    def walk(self) -> Iterator[Entry]:
        """Yield this and all that belongs to it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def part_path(self, number: int) -> str:
        """Return where the file of a version is."""
        suffix = self.files[number][0].rpartition(".")[2]
        return f"/library/parts/{10 * self.key + number}/1700000000/file.{suffix}"

    def data(self) -> Data:
        """Return what a list tells."""
        path = f"/library/metadata/{self.key}"
        below = f"{path}/children"
        if self.type == "playlist":
            below = f"/playlists/{self.key}/items"
        data: Data = {
            "ratingKey": str(self.key),
            "key": below if self.children else path,
            "guid": f"plex://{self.type}/{self.key:024x}",
            "type": self.type,
            "title": self.title,
            "addedAt": ADDED_AT,
        }
        if self.has_thumb:
            data["thumb"] = f"{path}/thumb/{ADDED_AT}"
            data["art"] = f"{path}/art/{ADDED_AT}"
        for name in ("year", "index", "duration"):
            if (value := getattr(self, name)) is not None:
                data[name] = value
        if self.parent:
            data["parentTitle"] = self.parent.title
            data["parentRatingKey"] = str(self.parent.key)
            if (index := self.disc or self.parent.index) is not None:
                data["parentIndex"] = index
            if self.parent.parent:
                data["grandparentTitle"] = self.parent.parent.title
        if self.children:
            data["leafCount"] = len(self.children)
        if self.files:
            data["Media"] = [self._media(number) for number in range(len(self.files))]
        return data

    def _media(self, number: int) -> Data:
        name, content = self.files[number]
        container = name.rpartition(".")[2]
        video, audio = self.codecs
        media: Data = {"id": 10 * self.key + number, "container": container}
        if video:
            media["videoCodec"] = video
        if audio:
            media["audioCodec"] = audio
        part: Data = {
            "id": 10 * self.key + number,
            "key": self.part_path(number),
            "file": f"/data/secret-disk/{name}",
            "size": len(content),
            "container": container,
        }
        media["Part"] = [part, part | {"id": 1}] if self.is_split else [part]
        return media


@dataclass(eq=False)
class Section:
    """A library."""

    key: int
    type: str
    title: str
    entries: list[Entry] = field(default_factory=list)
    by_character: bool = True
    """Whether it can be listed by what titles begin with."""

    def data(self) -> Data:
        """Return what the list of libraries tells."""
        return {
            "key": str(self.key),
            "type": self.type,
            "title": self.title,
            "agent": f"tv.plex.agents.{self.type}",
            "language": "en",
            "uuid": f"section-{self.key}",
            "composite": f"/library/sections/{self.key}/composite/{ADDED_AT}",
            "Location": [{"id": self.key, "path": "/data/secret-disk"}],
        }


@dataclass(eq=False)
class Library:
    """All libraries and playlists of a server."""

    sections: list[Section] = field(default_factory=lambda: [_films()])
    playlists: list[Entry] = field(default_factory=list)
    watching: list[Entry] = field(default_factory=list)

    def entries(self) -> Iterator[Entry]:
        """Yield all items of all libraries."""
        for section in self.sections:
            for entry in section.entries:
                yield from entry.walk()

    def find(self, key: str) -> Entry | None:
        """Return an item by its rating key."""
        known = (*self.entries(), *self.playlists)
        return next((entry for entry in known if str(entry.key) == key), None)

    def listed(self, section: Section, kind: str, artist: str) -> list[Entry]:
        """Return what a library lists: its entries, or all albums of an artist."""
        if kind != ALBUMS:
            return section.entries
        return [
            entry
            for entry in self.entries()
            if entry.type == "album"
            and str(entry.parent and entry.parent.key) == artist
        ]

    def section_of(self, entry: Entry) -> Data:
        """Return in which library something is, unless it is a playlist."""
        for section in self.sections:
            if any(entry in each.walk() for each in section.entries):
                return {"librarySectionID": section.key}
        return {}

    def section(self, key: str) -> Section | None:
        """Return a library by its key."""
        return next((each for each in self.sections if str(each.key) == key), None)

    def find_file(self, path: str) -> bytes | None:
        """Return what is in a file."""
        for entry in self.entries():
            for number, (_, content) in enumerate(entry.files):
                if entry.part_path(number) == path:
                    return content
        return None


def _films() -> Section:
    """Return a library of one film."""
    film = Entry(42, "movie", "Metropolis", year=1927, duration=9_180_000)
    film.files.append(("metropolis.mp4", FILE))
    film.codecs = ("h264", "aac")
    return Section(1, "movie", "Films", [film])


def page(entries: Sequence[Entry], start: int, size: int | None) -> Data:
    """Return some of the items of a list."""
    some = entries[start:] if size is None else entries[start : start + size]
    return {
        "size": len(some),
        "totalSize": len(entries),
        "offset": start,
        "Metadata": [entry.data() for entry in some],
    }


def first_characters(section: Section) -> Data:
    """Return with what the titles begin."""
    counts: dict[str, int] = {}
    for entry in section.entries:
        counts[initial(entry)] = counts.get(initial(entry), 0) + 1
    return {
        "size": len(counts),
        "Directory": [
            {"key": "%23" if letter == "#" else letter, "title": letter, "size": count}
            for letter, count in sorted(counts.items())
        ],
    }


def initial(entry: Entry) -> str:
    """Return the letter below which an item stands."""
    letter = entry.title[0].upper()
    return letter if letter.isalpha() else "#"
