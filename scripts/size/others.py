"""Shrinks the same photographs with other programs, for comparison, with their own settings."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SHARP = "0.35.5"
OXIMG = "0.18.1"
ABOUT_OXIMG = (
    "oximg writes WebP and JPEG here. Its AVIF needs SVT-AV1 4.1 or newer, which is not installed"
    " for this."
)
# How long building oximg may take, in seconds.
BUILD_PATIENCE = 1800


class Unavailable(Exception):
    """The program cannot be had on this machine. The message says why."""


def shrink_with_sharp(cache, tasks, folder):
    """Shrinks photographs to widths with sharp. `tasks` are pairs of path and width. Returns the
    paths of the files by format, each in the order of the tasks.
    """
    home = cache / f"sharp-{SHARP}"
    if not home.exists():
        say(f"installing sharp {SHARP}")
        with tempfile.TemporaryDirectory(dir=cache, prefix="sharp-") as work:
            (Path(work) / "package.json").write_text('{ "private": true }')
            packages = ["--no-audit", "--no-fund", "--save-exact", f"sharp@{SHARP}"]
            run(["npm", "install", "--silent", *packages], cwd=work)
            put_in_place(work, home)
    say(f"shrinking with sharp {SHARP}")
    wanted = [
        {"original": str(original), "width": width, "out": str(folder / f"sharp-{number}")}
        for number, (original, width) in enumerate(tasks)
    ]
    script = Path(__file__).parent / "sharp.mjs"
    run(["node", str(script), str(home)], input=json.dumps(wanted), stderr=None)
    return {
        kind: [Path(f"{task['out']}.{kind}") for task in wanted] for kind in ("webp", "avif")
    }


def shrink_with_oximg(cache, tasks, folder):
    """The same with oximg, which is built on the first use."""
    home = cache / f"oximg-{OXIMG}"
    if not home.exists():
        say(f"building oximg {OXIMG} (once; some minutes)")
        with tempfile.TemporaryDirectory(dir=cache, prefix="oximg-") as work:
            build_oximg(Path(work))
            # The work of the compiler is not kept.
            put_in_place(Path(work) / "root", home)
    say(f"shrinking with oximg {OXIMG}")
    program = str(home / "bin" / "oximg")
    files = {"webp": [], "jpg": []}
    for number, (original, width) in enumerate(tasks):
        for kind, made in files.items():
            made.append(folder / f"oximg-{number}.{kind}")
            run([program, "resize", str(original), str(width), "0", str(made[-1])])
    return files


def build_oximg(work):
    """Builds oximg into the folder `root` in this one."""
    environment = dict(os.environ)
    if not shutil.which("cmake"):
        import cmake

        environment["PATH"] += os.pathsep + cmake.CMAKE_BIN_DIR
    places = ["--root", str(work / "root"), "--target-dir", str(work / "target")]
    command = ["cargo", "install", "--quiet", "--locked", "--bin", "oximg", *places]
    # The checkout says which version of Rust to use.
    checkout = Path(__file__).resolve().parents[2]
    run([*command, f"oximg@{OXIMG}"], cwd=checkout, env=environment, timeout=BUILD_PATIENCE)


def put_in_place(work, home):
    """Moves a folder to its place, unless another run has put one there meanwhile."""
    try:
        os.rename(work, home)
    except OSError:
        if not home.exists():
            raise
    # A temporary folder must be there when it is cleaned up.
    os.makedirs(work, exist_ok=True)


def run(command, **options):
    """Runs a program and returns what it prints. Raises `Unavailable` with its last words if it
    fails.
    """
    options = {"stderr": subprocess.PIPE, "text": True, **options}
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} took longer than {error.timeout:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or "").strip().splitlines() or [f"exit code {error.returncode}"]
        raise Unavailable(f"{command[0]} failed: {' / '.join(lines[-3:])}") from None


def say(words):
    """Tells what happens, in the way of `scripts/step`."""
    print(f"==> {words}", file=sys.stderr, flush=True)
