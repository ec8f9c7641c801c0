"""What the servers of the demonstration have: films that play, and some more."""

from collections.abc import Iterator
from itertools import count

from .library import Entry, Library, Section
from .media_files import film, song, stream
from .media_server import MediaServer

FILMS = {
    "A train to nowhere": 1968,
    "Beyond the harbour": 1999,
    "Copper and rain": 2011,
    "Eleven winters": 1987,
    "Night of the lanterns": 1954,
    "Small machines": 2020,
    "The long way home": 2004,
}
DIRECT = ("h264", "aac")
PHOTOS = ("Beach", "Lighthouse")


def stock(server: MediaServer, films: dict[str, int] = FILMS) -> None:
    """Let a server have films, a series, music and photos."""
    keys = count(100)
    sections = [
        Section(1, "movie", "Films", list(_films(keys, films))),
        Section(2, "show", "Series", [_series(keys)]),
        Section(3, "artist", "Music", [_artist(keys)]),
        Section(4, "photo", "Photos", [_album(keys)]),
    ]
    first = sections[0].entries[:3]
    playlist = Entry(next(keys), "playlist", "Rainy days", children=list(first))
    server.library = Library(sections, [playlist], watching=first[1:])
    server.transcoder.made = stream()


def _films(keys: Iterator[int], titles: dict[str, int]) -> Iterator[Entry]:
    """Yield films, of which the last is nothing for players."""
    for title, year in titles.items():
        entry = Entry(next(keys), "movie", title, year=year, duration=20_000)
        if title == list(titles)[-1]:
            entry.files = [("film.mkv", film("matroska", "mpeg4", "ac3"))]
            entry.codecs = ("mpeg4", "ac3")
        else:
            entry.files = [("film.mp4", film("mp4", "libx264", "aac"))]
            entry.codecs = DIRECT
        yield entry


def _series(keys: Iterator[int]) -> Entry:
    """Return a series of two seasons."""
    series = Entry(next(keys), "show", "The lighthouse keepers", year=2018)
    for number, episodes in enumerate((["Arrival", "Fog"], ["Return"]), 1):
        season = Entry(next(keys), "season", f"Season {number}", index=number)
        series.add(season)
        for index, title in enumerate(episodes, 1):
            episode = Entry(next(keys), "episode", title, index=index, duration=20_000)
            episode.files = [("episode.mp4", film("mp4", "libx264", "aac"))]
            episode.codecs = DIRECT
            season.add(episode)
    return series


def _artist(keys: Iterator[int]) -> Entry:
    """Return an artist with an album."""
    artist = Entry(next(keys), "artist", "The Lanterns")
    album = artist.add(Entry(next(keys), "album", "Low tide", year=2015))
    for index, title in enumerate(("Undertow", "Salt", "Homeward"), 1):
        track = Entry(next(keys), "track", title, index=index, duration=20_000)
        track.files = [("track.mp3", song("mp3", "libmp3lame"))]
        track.codecs = (None, "mp3")
        album.add(track)
    return artist


def _album(keys: Iterator[int]) -> Entry:
    """Return an album of photos."""
    album = Entry(next(keys), "photo", "Summer")
    for title in PHOTOS:
        photo = Entry(next(keys), "photo", title, files=[("photo.jpg", b"\xff\xd8")])
        album.add(photo)
    return album
