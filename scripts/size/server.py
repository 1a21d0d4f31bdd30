"""Starts the built server on an empty data folder, uploads pictures and fetches their files."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

# How long the server may take to start, in seconds.
PATIENCE = 60


class Refused(Exception):
    """The server does not publish a picture. The message says why."""


@contextmanager
def running(dist, models, folder):
    """Runs the server of the folder `dist` with its data in `folder`, and gives its origin."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "CATTO_LISTEN": f"127.0.0.1:{port}",
        "CATTO_PUBLIC_URL": origin,
        "CATTO_DATA_DIR": str(folder / "data"),
        "CATTO_MODELS_DIR": str(models),
        "CATTO_UPLOADS_PER_HOUR": "1000000",
        "CATTO_UPLOADS_PER_DAY": "1000000",
        "RUST_LOG": "warn",
    }
    # It does not run in the checkout, so that no settings of the developer's are used.
    command = [str(dist / "cattocdn"), "serve"]
    server = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        wait_for(server, origin)
        yield origin
    finally:
        server.terminate()
        server.wait()


def wait_for(server, origin):
    """Waits until the server answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        if server.poll() is not None:
            raise SystemExit("The server did not start; it says above why.")
        try:
            urllib.request.urlopen(f"{origin}/healthz").close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"The server did not answer within {PATIENCE} s.") from None
            time.sleep(0.1)


def upload(origin, path):
    """Uploads a picture, waits until it is published, and returns what the API says of it."""
    request = urllib.request.Request(
        f"{origin}/api/v1/pictures?wait=25",
        data=path.read_bytes(),
        headers={"Content-Type": "application/octet-stream"},
    )
    answer = ask(request)
    while "images" not in answer:
        if answer.get("state") == "rejected" or "status_url" not in answer:
            raise Refused(json.dumps(answer))
        time.sleep(0.2)
        answer = {"status_url": answer["status_url"], **ask(answer["status_url"])}
    return answer


def ask(request):
    """Asks for JSON."""
    try:
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            text = json.loads(text)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            pass
        raise Refused(f"{error.code}: {text}") from None


def download(url, path):
    """Fetches a file."""
    with urllib.request.urlopen(url) as answer:
        path.write_bytes(answer.read())
