"""Makes the files that the first version of the product made of an upload, with Pillow.

That version shrank the bytes of sRGB as they are, not their light; first to at most 2048 pixels
wide, and then from there to each width.
"""

from PIL import Image

from size import ruler

MOST_WIDTH = 2048
MOST_HEIGHT = 4096
WEBP_WIDTHS = (320, 640, 1280, 2048)


def fetched_on(page, screen):
    """The name of the file that a browser fetched for a picture on one of the two screens that are
    measured: on the page `picture` as the picture itself, or else as a card.
    """
    if page != "picture":
        return "640.webp"
    return "1280.webp" if screen == "phone" else "2048.webp"


def make(original, folder):
    """Makes all files of a photograph in this folder, and returns their paths by name."""
    image = ruler.decode(original)
    width, height = image.size
    scale = min(1, MOST_WIDTH / width, MOST_HEIGHT / height)
    largest = shrink(image, max(1, round(width * scale)))
    files = {}
    for width in WEBP_WIDTHS:
        path = files[f"{width}.webp"] = folder / f"{width}.webp"
        image = shrink(largest, width)
        image.save(path, quality=80, method=4 if image.width <= 640 else 2)
    path = files["1280.jpg"] = folder / "1280.jpg"
    shrink(largest, 1280).save(path, quality=82)
    return files


def shrink(image, width):
    """Shrinks an image to this width if it is wider."""
    if image.width <= width:
        return image
    height = max(1, round(image.height * width / image.width))
    return image.resize((width, height), Image.Resampling.LANCZOS)
