"""The pictures that Plex has: avatars, QR codes and posters."""

import hashlib
from io import BytesIO
import zlib

from PIL import Image, ImageDraw, ImageFont

POSTER_SIZE = (100, 150)
QR_SIZE = 25
QR_CORNER = 7
QR_MARGIN = 2
QR_SCALE = 6


def draw_avatar(uuid: str, size: int = 32) -> bytes:
    """Draw a square in a colour that depends on who it is for."""
    red, green, blue, _ = zlib.crc32(uuid.encode()).to_bytes(4)
    return _png(Image.new("RGB", (size, size), (red, green, blue)))


def draw_poster(title: str, width: int, height: int) -> bytes:
    """Draw a poster in a colour that depends on the title, which it shows."""
    red, green, blue, _ = zlib.crc32(title.encode()).to_bytes(4)
    poster = Image.new("RGB", (width, height), (red // 2, green // 2, blue // 2))
    draw = ImageDraw.Draw(poster)
    font = ImageFont.load_default(width / 9)
    for line, word in enumerate(title.split()):
        draw.text((width / 12, height / 8 * (line + 1)), word, "white", font)
    buffer = BytesIO()
    poster.save(buffer, "JPEG")
    return buffer.getvalue()


def draw_qr_code(text: str) -> bytes:
    """Draw what looks like a QR code, and is another one for another text."""
    noise = hashlib.shake_256(text.encode()).digest(QR_SIZE * QR_SIZE)
    code = Image.frombytes("L", (QR_SIZE, QR_SIZE), noise)
    code = code.point(lambda value: 255 * (value > 127))
    draw = ImageDraw.Draw(code)
    far = QR_SIZE - QR_CORNER
    for x, y in ((0, 0), (far, 0), (0, far)):
        draw.rectangle((x - 1, y - 1, x + QR_CORNER, y + QR_CORNER), fill=255)
        draw.rectangle((x, y, x + QR_CORNER - 1, y + QR_CORNER - 1), fill=0)
        draw.rectangle((x + 1, y + 1, x + QR_CORNER - 2, y + QR_CORNER - 2), fill=255)
        draw.rectangle((x + 2, y + 2, x + QR_CORNER - 3, y + QR_CORNER - 3), fill=0)
    page = Image.new("L", (QR_SIZE + 2 * QR_MARGIN,) * 2, 255)
    page.paste(code, (QR_MARGIN, QR_MARGIN))
    side = page.width * QR_SCALE
    return _png(page.resize((side, side), Image.Resampling.NEAREST))


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
