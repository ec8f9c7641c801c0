"""Real films and songs, which real players play."""

from functools import cache
from io import BytesIO
from math import pi, sin
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 640, 360
FRAMES_PER_SECOND = 10
SAMPLE_RATE = 44_100
SECONDS = 20
SEGMENT_SECONDS = 4


@cache
def film(container: str, video: str, audio: str) -> bytes:
    """Return a film in which a train goes from left to right once."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as output:
        _record(output, audio, video)
    return buffer.getvalue()


@cache
def song(container: str, audio: str) -> bytes:
    """Return a song of one tone."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=container) as output:
        _record(output, audio)
    return buffer.getvalue()


@cache
def stream() -> dict[str, bytes]:
    """Return the playlist and the segments of a film, by name."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        options = {
            "hls_time": str(SEGMENT_SECONDS),
            "hls_list_size": "0",
            "hls_segment_filename": str(path / "%05d.ts"),
        }
        whole = BytesIO(film("mp4", "libx264", "aac"))
        with (
            av.open(whole, "r") as source,
            av.open(
                str(path / "index.m3u8"), "w", format="hls", options=options
            ) as output,
        ):
            streams = {
                stream.index: output.add_stream_from_template(stream)
                for stream in source.streams
            }
            for packet in source.demux():
                # The last ones of a demuxer are empty.
                if packet.dts is not None:
                    packet.stream = streams[packet.stream_index]
                    output.mux(packet)
        return {file.name: file.read_bytes() for file in path.iterdir()}


def _record(output: OutputContainer, audio: str, video: str | None = None) -> None:
    """Record a tone, and pictures with it."""
    sound = output.add_stream(audio, rate=SAMPLE_RATE, layout="mono")
    assert isinstance(sound, AudioStream)
    pictures: VideoStream | None = None
    if video:
        made = output.add_stream(
            video, rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "g": "20"}
        )
        assert isinstance(made, VideoStream)
        pictures = made
        pictures.width, pictures.height = WIDTH, HEIGHT
        pictures.pix_fmt = "yuv420p"
    resampler = av.AudioResampler(sound.format, sound.layout, sound.rate)
    size = SAMPLE_RATE // FRAMES_PER_SECOND
    tone = [int(3000 * sin(2 * pi * 440 * at / SAMPLE_RATE)) for at in range(size)]
    content = pack(f"<{size}h", *tone)
    for number in range(SECONDS * FRAMES_PER_SECOND):
        if pictures:
            picture = _train(number / (SECONDS * FRAMES_PER_SECOND)).convert("RGBA")
            shown = av.VideoFrame.from_bytes(picture.tobytes(), WIDTH, HEIGHT, "rgba")
            output.mux(pictures.encode(shown))
        frame = av.AudioFrame(format="s16", layout="mono", samples=size)
        frame.planes[0].update(content)
        frame.sample_rate = SAMPLE_RATE
        frame.pts = number * size
        for resampled in resampler.resample(frame):
            output.mux(sound.encode(resampled))
    if pictures:
        output.mux(pictures.encode())
    output.mux(sound.encode())


def _train(share: float) -> Image.Image:
    """Draw a train that has come so far."""
    picture = _landscape().copy()
    draw = ImageDraw.Draw(picture)
    for wagon in range(4):
        x = share * (WIDTH + 400) - 100 * wagon
        draw.rounded_rectangle((x - 94, 282, x, 317), 6, (10, 10, 24))
        for window in range(5):
            left = x - 86 + 17 * window
            draw.rounded_rectangle((left, 289, left + 11, 300), 2, (255, 214, 120))
    return picture


@cache
def _landscape() -> Image.Image:
    """Draw hills and a full moon, twice as large at first as edges are smooth then."""
    size = 2 * WIDTH, 2 * HEIGHT
    dusk, night = Image.new("RGB", size, "#c4786e"), Image.new("RGB", size, "#101638")
    picture = Image.composite(dusk, night, Image.linear_gradient("L").resize(size))
    draw = ImageDraw.Draw(picture)
    for star in range(60):
        draw.circle((star * 422 % size[0], star * 194 % HEIGHT), 1.5, "#e6e6fa")
    draw.circle((1000, 160), 68, "#faecc8")
    for depth, colour in enumerate(("#46325a", "#2e2448", "#16142c")):
        top = 420 + 70 * depth
        ridge = [
            (x, top - 48 * sin(x / (180 + 60 * depth) + 2 * depth) - 20 * sin(x / 62))
            for x in range(0, size[0] + 16, 16)
        ]
        draw.polygon([(0, size[1]), *ridge, size], colour)
    draw.rectangle((0, 636, size[0], 644), "#080814")
    return picture.reduce(2)
