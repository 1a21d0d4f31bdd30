"""The clients and readers from PyPI, as scripts/clients.mjs runs them.

Each test prints a line; the first failure ends the script.
"""

import asyncio
import os
from pathlib import Path

import requests

FIXTURES = Path(os.environ["CATTO_FIXTURES"])
CAT = str(FIXTURES / "tabby.jpg")
COFFEE = str(FIXTURES / "coffee.png")
REFUSAL = "saw no cat"
SECRET = "a-secret-of-25-characters"


def shows(link):
    """Checks that a link leads to a picture."""
    answer = requests.get(link)
    assert answer.status_code == 200, (link, answer.text)
    assert answer.headers["content-type"].startswith("image/"), link


def is_gone(link):
    """Checks that the picture of a link was deleted."""
    answer = requests.get(link)
    assert answer.status_code == 410, (link, answer.status_code)


def confirm(delete_url):
    """Opens the link with which a person deletes a picture, and confirms."""
    assert requests.get(delete_url).status_code == 200
    assert requests.post(delete_url).status_code == 200


def refusal(call):
    """The error with which a call fails."""
    try:
        done = call()
    except Exception as error:  # Each client has exceptions of its own.
        return str(error)
    raise AssertionError(f"it was not refused: {done}")


def imgur_python():
    from imgur_python import Imgur

    client = Imgur({"client_id": "any"})
    uploaded = client.image_upload(CAT, "a title", "a description")
    data = uploaded["response"]["data"]
    shows(data["link"])
    assert client.image_get(data["id"])["response"]["data"]["link"] == data["link"]
    assert client.image_delete(data["deletehash"])["response"]["success"]
    is_gone(data["link"])
    # It passes on no more of a refusal than its status.
    assert "422" in refusal(lambda: client.image_upload(COFFEE, "", ""))


def imgbb_sdk():
    from imgbb_sdk import imgbb_upload

    for image in (CAT, Path(CAT).read_bytes()):
        data = imgbb_upload(key="any", image=image, name="a cat", expiration=600)["data"]
        shows(data["url"])
        confirm(data["delete_url"])
        is_gone(data["url"])
    assert REFUSAL in refusal(lambda: imgbb_upload(key="any", image=COFFEE))
    url = "https://catto.test/cat.jpg"
    assert "fetches no pictures" in refusal(lambda: imgbb_upload(key="any", image=url))


def imgbbpy():
    import imgbbpy

    client = imgbbpy.SyncClient("any")
    image = client.upload(file=CAT)
    shows(image.url)
    confirm(image.delete_url)
    is_gone(image.url)
    assert REFUSAL in refusal(lambda: client.upload(file=COFFEE))

    async def in_an_event_loop():
        client = imgbbpy.AsyncClient("any")
        try:
            return await client.upload(file=CAT)
        finally:
            await client.close()

    image = asyncio.run(in_an_event_loop())
    shows(image.url)
    confirm(image.delete_url)


def litterbox_api():
    from litterbox_api.models.litterbox_client import LitterboxClient

    async def upload(file):
        # Its own patience is 5 s.
        async with LitterboxClient(timeout=30) as client:
            with open(file, "rb") as opened:
                return str(await client.upload(opened, expiry_time=1))

    shows(asyncio.run(upload(CAT)))
    assert REFUSAL in refusal(lambda: asyncio.run(upload(COFFEE)))


def catboxpy():
    from catboxpy.catbox import CatboxClient
    from catboxpy.litterbox import LitterboxClient

    client = CatboxClient(userhash=SECRET)
    link = client.upload(CAT)
    shows(link)
    stranger = CatboxClient(userhash="the-secret-of-a-stranger")
    assert "may not do that" in stranger.delete_file(link.rsplit("/")[-1])
    shows(link)
    assert "successfully deleted" in client.delete_file(link.rsplit("/")[-1])
    is_gone(link)
    assert REFUSAL in refusal(lambda: client.upload(COFFEE))
    url = "https://catto.test/cat.jpg"
    assert "fetches no pictures" in refusal(lambda: client.upload(url))

    shows(LitterboxClient().upload_file(CAT, "1h"))
    assert "422" in refusal(lambda: LitterboxClient().upload_file(COFFEE, "1h"))


def published():
    """Uploads a cat for a reader to find, and gives the answer."""
    url = "https://catto.test/api/v1/pictures"
    answer = requests.post(url, data=Path(CAT).read_bytes())
    assert answer.status_code == 201, answer.text
    return answer.json()


def feedparser():
    import feedparser

    picture = published()
    for feed in ("feed.xml", "feed.xml?q=cat", "tags/cat/feed.xml"):
        read = feedparser.parse(requests.get(f"https://catto.test/{feed}").content)
        assert not read.bozo, read.get("bozo_exception")
        assert read.version == "atom10"
        newest = read.entries[0]
        assert (newest.id, newest.link) == (picture["url"], picture["url"])
        shows(newest.enclosures[0].href)
    # The same feed is not sent again.
    first = requests.get("https://catto.test/feed.xml")
    again = {"If-None-Match": first.headers["etag"]}
    assert requests.get("https://catto.test/feed.xml", headers=again).status_code == 304
    confirm(picture["delete_url"])
    read = feedparser.parse(requests.get("https://catto.test/feed.xml").content)
    assert picture["url"] not in [entry.id for entry in read.entries]


def micawber():
    from micawber import Provider
    from micawber.exceptions import ProviderException

    provider = Provider("https://catto.test/oembed")
    picture = published()
    photo = provider.request(picture["url"], maxwidth=400)
    assert photo["type"] == "photo" and photo["width"] <= 400, photo
    shows(photo["url"])
    confirm(picture["delete_url"])
    try:
        provider.request(picture["url"])
    except ProviderException:
        return
    raise AssertionError("what is gone was embedded")


for test in (imgur_python, imgbb_sdk, imgbbpy, litterbox_api, catboxpy):
    test()
    print(f"ok: {test.__name__.replace('_', '-')} uploads, is told of a refusal, deletes", flush=True)
for test in (feedparser, micawber):
    test()
    print(f"ok: {test.__name__} reads", flush=True)
