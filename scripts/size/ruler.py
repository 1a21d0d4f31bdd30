"""Decodes pictures, and scores a file against the photograph that it was made of.

The reference is what an ideal program would have made: the photograph turned upright, in sRGB, and
shrunk in linear light with Lanczos in floating point. Nothing here is shared with the server, so
that a fault in the one does not hide a fault in the other.
"""

import functools
import hashlib
import io
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from PIL import Image, ImageCms, ImageOps
from ssimulacra2 import compute_ssimulacra2

# Raise this when anything below changes scores, so that old ones are forgotten.
RULER = ["1"] + [f"{name} {version(name)}" for name in ("ssimulacra2", "Pillow", "numpy", "scipy")]

SRGB = ImageCms.createProfile("sRGB")

# How many processes score at the same time. Each takes up to a gigabyte for the largest uploads.
PROCESSES = 2


def make_pool():
    """Processes that start afresh, because a copy of this one would wait for ever for locks that
    threads of the libraries hold.
    """
    return ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn"))


def linear(encoded):
    """What sRGB values from 0 to 1 mean in linear light."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encode(light):
    """The bytes of sRGB that come nearest to this linear light, from 0 to 1."""
    light = np.clip(light, 0.0, 1.0)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(encoded * 255.0).astype(np.uint8)


# The linear light of each of the 256 bytes.
LIGHT = linear(np.arange(256) / 255.0).astype(np.float32)


def decode(source):
    """The picture in a file (a path or an open file) as a browser shows it: upright, in sRGB, and
    on white where it is transparent.
    """
    with Image.open(source) as opened:
        # Chromium minds the orientation in the EXIF of JPEG and PNG, but not of WebP.
        image = opened.copy() if opened.format == "WEBP" else ImageOps.exif_transpose(opened)
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        # Gray with 16 bits, which Pillow itself would cut off at 255.
        image = Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGBA")
    if profile:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        try:
            profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            image = ImageCms.profileToProfile(image, profile, SRGB, outputMode=mode)
        except (ImageCms.PyCMSError, OSError):
            # A profile that is damaged or of another kind of colours. Browsers ignore it, too.
            pass
    if image.mode == "RGBA":
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def resize_ideally(light, size):
    """Resizes linear light (height by width by 3, from 0 to 1) to this width and height, and
    returns it as an image in sRGB.
    """
    height, width = light.shape[:2]
    if size == (width, height):
        return Image.fromarray(encode(light))
    planes = [
        np.asarray(Image.fromarray(light[..., channel]).resize(size, Image.Resampling.LANCZOS))
        for channel in range(3)
    ]
    return Image.fromarray(encode(np.stack(planes, axis=-1)))


@functools.lru_cache(maxsize=1)
def original_light(path):
    """The linear light of a photograph. Only the last one is kept, because they are large."""
    return LIGHT[np.asarray(decode(path))]


def score_images(reference, image):
    """The SSIMULACRA2 score of an image against another one of the same size: 100 where they are
    the same, 70 where a difference is hard to see, and below 0 where it is dreadful.
    """
    files = []
    for each in (reference, image):
        # Pillow writes and reads this format without losing or computing anything.
        files.append(io.BytesIO())
        each.save(files[-1], "PPM")
        files[-1].seek(0)
    return compute_ssimulacra2(*files)


def check_ruler():
    """Raises an `AssertionError` if the ruler itself is bent."""
    rows, columns = np.indices((256, 256))
    board = np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[..., None], 3, axis=-1)
    gray = np.asarray(resize_ideally(LIGHT[board], (64, 64)))
    # Half of the light is 188 in sRGB; who shrinks without minding that gets 127 or 128. At the
    # edges the filter is cut off.
    assert (gray[4:-4, 4:-4] == 188).all(), "a checkerboard does not shrink to half its light"
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None, None], 64, axis=1).repeat(3, axis=2)
    assert (encode(LIGHT[ramp]) == ramp).all(), "sRGB to linear light and back changes values"
    narrow = np.asarray(resize_ideally(LIGHT[ramp], (16, 256)))
    assert (narrow == ramp[:, :16]).all(), "plain areas change when they are shrunk"
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    assert score_images(noise, noise) == 100, "a picture differs from itself"


class Task(NamedTuple):
    """A file to be scored."""

    # The photograph that the file was made of.
    original: Path
    file: Path
    # The width and height to which the file is resized before, as a browser does it. `None` scores
    # the file as it is.
    drawn: Optional[tuple] = None


def score(task):
    """Scores a file."""
    image = decode(task.file)
    if task.drawn and task.drawn != image.size:
        image = image.resize(task.drawn, Image.Resampling.LANCZOS)
    reference = resize_ideally(original_light(task.original), image.size)
    return score_images(reference, image)


@functools.cache
def content_hash(path):
    """The SHA-256 of a file, in hexadecimal digits."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class Scores:
    """Scores files in several processes, and remembers the scores in a file."""

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "scores.jsonl"
        self.known = {}
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                try:
                    key, value = json.loads(line)
                except ValueError:
                    # The last line of a run that was interrupted.
                    continue
                self.known[key] = value

    def key(self, task):
        """By what a score is remembered: the bytes of both files, and never their names."""
        parts = [RULER, content_hash(task.original), content_hash(task.file), task.drawn]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def of(self, task):
        """The score of a file that has been scored by `compute`."""
        return self.known[self.key(task)]

    def compute(self, tasks, progress):
        """Scores those of these files whose score is not known. Calls `progress` with the number of
        scores that are there and the number of all.
        """
        missing = {key: task for task in tasks if (key := self.key(task)) not in self.known}
        total = len(missing)
        # Neighbours share the photograph, which then need not be decoded again.
        ordered = sorted(missing.items(), key=lambda item: str(item[1].original))
        with make_pool() as pool, self.path.open("a") as log:
            running = {pool.submit(score, task): (key, task) for key, task in ordered}
            try:
                for done, future in enumerate(as_completed(running), 1):
                    key, task = running[future]
                    self.known[key] = future.result()
                    log.write(json.dumps([key, self.known[key]]) + os.linesep)
                    log.flush()
                    progress(done, total)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
