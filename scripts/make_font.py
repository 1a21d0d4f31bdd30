"""Takes from Nunito what the pages use, and compares its widths with those of other fonts.

make_font.py PACKAGES OUTPUT
PACKAGES is the folder with the unpacked packages; `make_font.sh` fetches them.
"""

import hashlib
import io
import sys
from pathlib import Path

import uharfbuzz
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

SOURCE = "nunito/files/nunito-latin-wght-normal.woff2"
SOURCE_SHA256 = "ba344451eab25b217a165363b1982048a5e5830a0daf36577973955a04cac793"
# The most bytes that the font may have: every first visit pays for them.
MOST_BYTES = 25_000

# The weights that the style sheet uses.
LIGHTEST, BOLDEST = 400, 800

# ASCII, the letters of Western Europe, and the marks that the pages are written with.
CHARACTERS = [
    *range(0x20, 0x7F),
    *range(0xC0, 0x100),
    *map(ord, "\u00a0·–—‘’“”•…−"),
]
FEATURES = ["kern", "liga", "mark", "mkmk", "ccmp", "locl", "tnum"]

# Words as the pages have them, by which fonts are compared.
SAMPLE = (
    "Upload a cat, share the link. Drop pictures here, paste them, or click to choose some. JPEG, "
    "PNG, WebP or GIF, up to 20 MiB and 50 megapixels each; a progressive JPEG, a WebP or an "
    "animation may have fewer. Cats only, please, and nothing indecent. Every picture is checked "
    "before anybody can see it. We remove location, camera details and all other hidden data. "
    "After 7 days your picture is gone. What the models saw in the pictures that are here now, "
    "where they were sure. About and rules · API · Status · Report abuse"
)


def reopened(font: TTFont) -> TTFont:
    """The font as it reads back: a font whose weights were limited cannot be cut down at once."""
    file = io.BytesIO()
    font.flavor = None
    font.save(file)
    file.seek(0)
    return TTFont(file, recalcTimestamp=False)


def subset(source: Path) -> bytes:
    """The font with these weights and characters only."""
    font = TTFont(source, recalcTimestamp=False)
    weights = (LIGHTEST, LIGHTEST, BOLDEST)
    font = reopened(instantiateVariableFont(font, {"wght": weights}))
    options = Options(flavor="woff2", hinting=False, layout_features=FEATURES)
    # The names of the font and of its licence.
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    subsetter = Subsetter(options)
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    file = io.BytesIO()
    font.flavor = "woff2"
    font.save(file)
    return file.getvalue()


def width(font: TTFont) -> float:
    """How wide the sample is in a font, with its kerning, in parts of its size."""
    file = io.BytesIO()
    font.flavor = None
    font.save(file)
    shaper = uharfbuzz.Font(uharfbuzz.Face(file.getvalue()))
    buffer = uharfbuzz.Buffer()
    buffer.add_str(SAMPLE)
    buffer.guess_segment_properties()
    uharfbuzz.shape(shaper, buffer)
    advances = sum(glyph.x_advance for glyph in buffer.glyph_positions)
    return advances / font["head"].unitsPerEm


def main() -> None:
    packages, output = Path(sys.argv[1]), Path(sys.argv[2])
    source = packages / SOURCE
    if hashlib.sha256(source.read_bytes()).hexdigest() != SOURCE_SHA256:
        sys.exit(f"{source} is not the file that the font is made of.")
    made = subset(source)
    if len(made) > MOST_BYTES:
        sys.exit(f"The font has {len(made)} bytes, more than {MOST_BYTES}.")
    output.write_bytes(made)
    print(f"{output}: {len(made)} bytes")
    stand_ins = {
        "Arial": "arimo/files/arimo-latin-{}-normal.woff2",
        "Roboto": "roboto/files/roboto-latin-{}-normal.woff2",
        "DejaVu Sans": "dejavu-sans/files/dejavu-sans-latin-{}-normal.woff2",
    }
    for weight in (400, 700):
        own = TTFont(io.BytesIO(made))
        own = reopened(instantiateVariableFont(own, {"wght": weight}))
        line = own["hhea"]
        for name, path in stand_ins.items():
            scale = width(own) / width(TTFont(packages / path.format(weight)))
            size = own["head"].unitsPerEm * scale
            height = [line.ascent / size, -line.descent / size]
            print(
                f"{name} {weight}: size-adjust {scale:.1%}, "
                f"ascent-override {height[0]:.1%}, descent-override {height[1]:.1%}"
            )


if __name__ == "__main__":
    main()
