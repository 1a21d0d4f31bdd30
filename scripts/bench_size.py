#!/usr/bin/env python3
"""Measures how large and how good the image files are that pages fetch.

    make bench-size FOLDER=photographs

Uploads every photograph of a folder to the built server, fetches all files that the server made,
and scores each with SSIMULACRA2 against the photograph, ideally shrunk. It prints three tables:

1. Every file by its name: bytes and scores; and the same of the first version of the product.
2. What Chromium fetches for the first view of the gallery and for the page of each picture, on a
   phone and on a desktop, beside what it fetched there in the first version.
3. The same photographs, shrunk by sharp and oximg with their own settings.

A score of 100 means no difference, 90 none that can be seen, 70 one that is hard to see. It judges
nothing, and nothing of the server's code is used to score.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

try:
    from PIL import Image, UnidentifiedImageError, features

    from size import first_version, others, ruler, server
    from size.others import say
except ModuleNotFoundError as error:
    sys.exit(
        f"{error}. Please run `make bench-size FOLDER=…`, which installs what is needed, or set"
        " PYTHONPATH to what `scripts/install_size_tools.sh` prints."
    )

# What is uploaded. Animations are left out, because SSIMULACRA2 scores single pictures.
FORMATS = ("JPEG", "PNG", "WEBP")

SCREENS = (
    {"name": "phone", "width": 390, "height": 844, "scale": 3},
    {"name": "desktop", "width": 1440, "height": 900, "scale": 2},
)

# What the files may weigh, in per cent of those of the first version, at no lower mean score. The
# cards of other pictures on the page of a picture, if there are any, have no target of their own.
TARGETS = {"gallery": 65, "picture": 70, "other cards": None}

# About how wide the files are that are compared with those of other programs.
MIDDLE_WIDTH = 1024


@dataclass
class File:
    """An image file that was made of a photograph."""

    name: str
    path: Path
    width: int = 0
    height: int = 0
    bytes: int = 0
    score: float = 0.0

    def __post_init__(self):
        self.bytes = self.path.stat().st_size
        with Image.open(self.path) as image:
            self.width, self.height = image.size


@dataclass
class Photo:
    """A photograph, and what was made of it."""

    path: Path
    width: int
    height: int
    # The address of its page.
    page: str
    # The server's files by their addresses.
    files: dict = field(default_factory=dict)
    # The files of the first version by their names.
    first: dict = field(default_factory=dict)


@dataclass
class Use:
    """A file as one image element of a page shows it."""

    page: str
    screen: str
    photo: Photo
    file: File
    # The width and height in device pixels at which the whole file is drawn.
    drawn: tuple
    # The score at that size.
    drawn_score: float = 0.0

    @property
    def task(self):
        """What is to be scored for `drawn_score`."""
        return ruler.Task(self.photo.path, self.file.path, self.drawn)

    @property
    def surplus(self):
        """How many pixels the file has for each that is drawn."""
        return self.file.width * self.file.height / (self.drawn[0] * self.drawn[1])


def main():
    """Measures, and prints what was measured."""
    options = read_options()
    cache = Path(os.environ.get("CATTO_CACHE") or Path.home() / ".cache/cattocdn") / "bench-size"
    cache.mkdir(parents=True, exist_ok=True)
    if not features.check("avif"):
        sys.exit("This Pillow cannot decode AVIF.")
    ruler.check_ruler()
    with tempfile.TemporaryDirectory(prefix="cattocdn-bench-size-") as folder:
        report = measure(options, cache, Path(folder))
    if options.json:
        json.dump(report, sys.stdout, indent=2)
        print()
    else:
        print_report(report)


def read_options():
    """Reads the command line, and checks what it names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the folder with the photographs")
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead")
    parser.add_argument("--no-others", action="store_true", help="leave out the third table")
    parser.add_argument(
        "--dist",
        type=Path,
        default=ROOT / "dist",
        help="the folder with the built server (default: that of `make build`)",
    )
    options = parser.parse_args()
    if not options.folder.is_dir():
        parser.error(f"{options.folder} is not a folder.")
    options.dist = options.dist.resolve()
    if not (options.dist / "cattocdn").is_file():
        parser.error(f"There is no server in {options.dist}. Please run `make build` first.")
    options.models = (ROOT / os.environ.get("CATTO_MODELS_DIR", "models")).resolve()
    if not (options.models / "manifest.json").is_file():
        parser.error(f"There are no models in {options.models}. Please run `make models` first.")
    return options


def measure(options, cache, folder):
    """Measures everything, and returns it as what `--json` prints."""
    paths = find_photographs(options.folder)
    with server.running(options.dist, options.models, folder) as origin:
        photos, refused = upload_all(origin, paths, folder)
        if not photos:
            sys.exit("None of the photographs was published.")
        say("opening pages in Chromium")
        elements = browse(origin, photos)
    say("making the files of the first version")
    with ruler.make_pool() as pool:
        folders = [make_folder(folder / f"first-{number}") for number in range(len(photos))]
        made = pool.map(first_version.make, [photo.path for photo in photos], folders)
        for photo, files in zip(photos, made):
            photo.first = {name: File(name, path) for name, path in files.items()}
    now, then = find_uses(photos, elements)
    rivals, notes = {}, []
    if not options.no_others:
        rivals, notes = ask_others(photos, cache, folder)

    owned = [
        (photo, file)
        for photo in photos
        for file in [*photo.files.values(), *photo.first.values()]
    ] + [pair for pairs in rivals.values() for pair in pairs]
    tasks = [ruler.Task(photo.path, file.path) for photo, file in owned]
    tasks += [use.task for use in now + then]
    say("scoring")
    scores = ruler.Scores(cache)
    scores.compute(tasks, show_progress)
    for photo, file in owned:
        file.score = scores.of(ruler.Task(photo.path, file.path))
    for use in now + then:
        use.drawn_score = scores.of(use.task)
    return {
        "photographs": [describe_photo(photo) for photo in photos],
        "refused": refused,
        "files": summarize_files(file for photo in photos for file in photo.files.values()),
        "first_version_files": summarize_files(
            file for photo in photos for file in photo.first.values()
        ),
        "views": summarize_views(now, then),
        "elements": [
            {"now": describe_use(use), "then": describe_use(first)}
            for use, first in zip(now, then)
        ],
        "others": {
            "rows": [
                {"program": program, **summarize([file for _, file in pairs])}
                for program, pairs in rivals.items()
            ],
            "notes": notes,
        },
    }


def find_photographs(folder):
    """The photographs in a folder, in the order of their names."""
    found = []
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        try:
            with Image.open(path) as image:
                is_photograph = image.format in FORMATS and getattr(image, "n_frames", 1) == 1
        except (UnidentifiedImageError, Image.DecompressionBombError):
            is_photograph = False
        if is_photograph:
            found.append(path)
        else:
            say(f"{path.name} is left out, because it is no JPEG, PNG or WebP of one picture")
    if not found:
        sys.exit(f"There is no photograph in {folder}.")
    return found


def upload_all(origin, paths, folder):
    """Uploads photographs and fetches their files. Returns those that were published, and why the
    others were not.
    """
    photos, refused = [], []
    for number, path in enumerate(paths):
        show_progress(number, len(paths), "uploading")
        try:
            answer = server.upload(origin, path)
        except server.Refused as error:
            say(f"{path.name} was not published: {error}")
            refused.append({"photograph": path.name, "reason": str(error)})
            continue
        width, height = ruler.decode(path).size
        photo = Photo(path, width, height, answer["url"])
        place = make_folder(folder / f"now-{number}")
        for name, url in answer["images"].items():
            server.download(url, place / name)
            photo.files[url] = File(name, place / name)
        photos.append(photo)
    show_progress(len(paths), len(paths), "uploading")
    return photos, refused


def browse(origin, photos):
    """Opens the gallery and the page of each photograph, and returns their image elements."""
    pages = [{"name": "gallery", "url": f"{origin}/"}]
    pages += [{"name": "picture", "url": photo.page} for photo in photos]
    try:
        return json.loads(
            others.run(
                ["node", str(ROOT / "scripts/size/browser.mjs")],
                input=json.dumps({"pages": pages, "screens": SCREENS}),
                stderr=None,
            )
        )
    except others.Unavailable as error:
        sys.exit(f"The pages could not be opened: {error}. Did `make test-setup` run?")


def find_uses(photos, elements):
    """Which file each image element shows, now and in the first version."""
    by_url = {url: (photo, file) for photo in photos for url, file in photo.files.items()}
    now, then = [], []
    for element in elements:
        photo, file = by_url[element["url"]]
        if element["bytes"] != file.bytes:
            sys.exit(f"Chromium got other bytes of {element['url']} than we did.")
        page, screen = element["page"], element["screen"]
        if page == "picture" and element["address"] != photo.page:
            page = "other cards"
        drawn = drawn_size(element, photo)
        now.append(Use(page, screen, photo, file, drawn))
        first = photo.first[first_version.fetched_on(page, screen)]
        then.append(Use(page, screen, photo, first, drawn))
    return now, then


def drawn_size(element, photo):
    """How large the whole photograph is drawn in an image element, in device pixels. Where the
    element shows only a part of it, this is more than the element.
    """
    width, height = element["width"], element["height"]
    scales = (width / photo.width, height / photo.height)
    if element["fit"] == "cover":
        width, height = (side * max(scales) for side in (photo.width, photo.height))
    elif element["fit"] in ("contain", "scale-down"):
        width, height = (side * min(scales) for side in (photo.width, photo.height))
    return max(1, round(width)), max(1, round(height))


def ask_others(photos, cache, folder):
    """Has other programs shrink the photographs to about `MIDDLE_WIDTH`: to the width of the
    server's file that comes nearest. Returns pairs of photograph and file by the name of the
    program, the server's own first, and what is to be said of programs or files that are missing.
    """
    names = {file.name for photo in photos for file in photo.files.values()}
    named_width = min(
        (int(name.split(".")[0]) for name in names), key=lambda width: abs(width - MIDDLE_WIDTH)
    )
    # Of a photograph that is not wider, the others would make files of another size.
    wide = [photo for photo in photos if photo.width > named_width]
    rivals, notes = {}, []
    for photo in wide:
        for file in photo.files.values():
            if file.name.startswith(f"{named_width}."):
                rivals.setdefault(f"ours, {file.name}", []).append((photo, file))
        if first := photo.first.get(f"{named_width}.webp"):
            rivals.setdefault(f"first version, {first.name}", []).append((photo, first))
    notes.append(f"{len(wide)} of {len(photos)} photographs are wider than {named_width} pixels.")
    notes.append(others.ABOUT_OXIMG)
    tasks = [(photo.path, named_width) for photo in wide]
    programs = {
        f"sharp {others.SHARP}": others.shrink_with_sharp,
        f"oximg {others.OXIMG}": others.shrink_with_oximg,
    }
    for program, shrink in programs.items():
        try:
            for kind, paths in shrink(cache, tasks, make_folder(folder / program)).items():
                name = f"{named_width}.{kind}"
                rivals[f"{program}, {name}"] = [
                    (photo, File(name, path)) for photo, path in zip(wide, paths)
                ]
        except others.Unavailable as error:
            notes.append(f"{program} is not measured: {error}.")
    return rivals, notes


def summarize_files(files):
    """What there is to say of the files of each name, narrowest first."""
    by_name = {}
    for file in files:
        by_name.setdefault(file.name, []).append(file)
    ordered = sorted(by_name, key=lambda name: (int(name.split(".")[0]), name))
    return [{"name": name, **summarize(by_name[name])} for name in ordered]


def summarize(files):
    """Number, mean size and scores of files."""
    scores = [file.score for file in files]
    return {
        "count": len(files),
        "mean_bytes": mean(file.bytes for file in files),
        "mean_score": mean(scores),
        "min_score": min(scores, default=0.0),
        "max_score": max(scores, default=0.0),
        "spread": statistics.pstdev(scores) if scores else 0.0,
    }


def summarize_views(now, then):
    """What each page fetches on each screen, now and in the first version."""
    views = []
    for page, target in TARGETS.items():
        for screen in SCREENS:
            pairs = [
                pair
                for pair in zip(now, then)
                if (pair[0].page, pair[0].screen) == (page, screen["name"])
            ]
            if not pairs:
                continue
            sides = {
                side: {
                    "bytes": sum(use.file.bytes for use in uses),
                    "mean_score": mean(use.file.score for use in uses),
                    "mean_drawn_score": mean(use.drawn_score for use in uses),
                    "mean_surplus": mean(use.surplus for use in uses),
                    "max_surplus": max(use.surplus for use in uses),
                    "min_surplus": min(use.surplus for use in uses),
                    "names": count(use.file.name for use in uses),
                }
                for side, uses in (
                    ("now", [pair[0] for pair in pairs]),
                    ("then", [pair[1] for pair in pairs]),
                )
            }
            percent = 100 * sides["now"]["bytes"] / sides["then"]["bytes"]
            views.append(
                {
                    "page": page,
                    "screen": screen,
                    "elements": len(pairs),
                    "percent": percent,
                    "target_percent": target,
                    **sides,
                }
            )
    return views


def describe_photo(photo):
    """A photograph and its files, as JSON has it."""
    return {
        "photograph": photo.path.name,
        "width": photo.width,
        "height": photo.height,
        "bytes": photo.path.stat().st_size,
        "files": [describe_file(file) for file in photo.files.values()],
        "first_version_files": [describe_file(file) for file in photo.first.values()],
    }


def describe_file(file):
    """A file, as JSON has it."""
    fields = ("name", "width", "height", "bytes", "score")
    return {name: getattr(file, name) for name in fields}


def describe_use(use):
    """An image element, as JSON has it."""
    return {
        "page": use.page,
        "screen": use.screen,
        "photograph": use.photo.path.name,
        "file": describe_file(use.file),
        "drawn": use.drawn,
        "drawn_score": use.drawn_score,
        "surplus": use.surplus,
    }


def print_report(report):
    """Prints the three tables."""
    print("1. Files")
    header = ["file", "number", "mean bytes", "score: mean", "least", "most", "deviation"]
    print_table(header, [summary_row(row["name"], row) for row in report["files"]])
    print("\n   The same of the first version")
    rows = [summary_row(row["name"], row) for row in report["first_version_files"]]
    print_table(header, rows)

    print("\n2. Pages: what Chromium fetches now, and what it fetched in the first version")
    rows = []
    for view in report["views"]:
        screen = view["screen"]
        size = f"{screen['width']}x{screen['height']}@{screen['scale']}x"
        for side in ("now", "then"):
            part = view[side]
            target = view["target_percent"] and f"<= {view['target_percent']} %"
            rows.append(
                [
                    f"{view['page']} {size}, {side}",
                    str(view["elements"]),
                    f"{part['bytes']:,}",
                    f"{view['percent']:.1f} %" if side == "now" else "",
                    (target or "") if side == "now" else "",
                    f"{part['mean_score']:.2f}",
                    f"{part['mean_drawn_score']:.2f}",
                    f"{part['mean_surplus']:.2f}",
                    f"{part['max_surplus']:.2f}",
                    f"{part['min_surplus']:.2f}",
                    ", ".join(f"{number} {name}" for name, number in part["names"].items()),
                ]
            )
    print_table(
        ["page", "images", "bytes", "now/then", "target", "score", "as drawn"]
        + ["pixels/needed: mean", "most", "least", "files"],
        rows,
    )
    print("   The target holds at no lower mean score. `As drawn` is the score once the file is")
    print("   resized to the device pixels of its place.")

    if report["others"]["rows"]:
        print_others(report["others"], header)
    for entry in report["refused"]:
        print(f"\n{entry['photograph']} was not published: {entry['reason']}")


def print_others(part, header):
    """Prints the third table."""
    print("\n3. The same photographs by other programs, with their own settings")
    rows = [summary_row(row["program"], row) for row in part["rows"]]
    print_table(["program and file", *header[1:]], rows)
    for words in part["notes"]:
        print(f"   {words}")


def summary_row(name, summary):
    """The cells of a table that say what `summarize` found."""
    scores = (summary[key] for key in ("mean_score", "min_score", "max_score", "spread"))
    cells = [str(summary["count"]), f"{summary['mean_bytes']:,.0f}"]
    return [name, *cells, *(f"{score:.2f}" for score in scores)]


def print_table(header, rows):
    """Prints a table whose first and last columns begin at the left if they hold words."""
    table = [header, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for row in table:
        cells = [row[0].ljust(widths[0])]
        for cell, width, title in list(zip(row, widths, header))[1:]:
            cells.append(cell.ljust(width) if title == "files" else cell.rjust(width))
        print(f"   {'  '.join(cells)}".rstrip())


def show_progress(done, total, what="scoring"):
    """Tells how far the work is: always on a terminal, else now and then."""
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\r    {what} {done} of {total}", end=end, file=sys.stderr, flush=True)
    elif done == total or done % 50 == 0:
        print(f"    {what} {done} of {total}", file=sys.stderr, flush=True)


def make_folder(path):
    """Makes a folder and returns its path."""
    path.mkdir()
    return path


def mean(values):
    """The mean, or 0 of nothing."""
    values = list(values)
    return statistics.fmean(values) if values else 0.0


def count(values):
    """How often each value occurs, the most frequent first."""
    values = list(values)
    return {value: values.count(value) for value in sorted(set(values), key=values.count)[::-1]}


if __name__ == "__main__":
    main()
