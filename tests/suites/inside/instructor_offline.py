"""A pytest plugin: what instructor's tests would fetch from its repository comes from its source
distribution, where it lies too.

Runs inside the suite's own interpreter; `tests/suites/instructor.py` loads it.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import requests
from instructor.v2.core import remote

ASSETS = Path("tests/assets")
PICTURE = ASSETS / "image.jpg"
KINDS = {
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".pdf": "application/pdf",
    ".wav": "audio/wav",
}


class Assets(requests.adapters.BaseAdapter):
    """Answers with the file that has the name at the end of the URL, and with a picture for those
    that are elsewhere."""

    def send(self, request, **_):
        path = ASSETS / PurePosixPath(request.url).name
        if path.suffix == ".jpeg":
            path = PICTURE
        response = requests.Response()
        response.request, response.url = request, request.url
        response.status_code = 200 if path.exists() else 404
        response.raw = io.BytesIO(path.read_bytes() if path.exists() else b"")
        response.headers["Content-Type"] = KINDS.get(path.suffix, "")
        return response

    def close(self) -> None:
        pass


def session() -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", Assets())
    return made


def pytest_configure() -> None:
    remote._new_session = session
    remote._validate_public_url = remote._validate_connected_peer = lambda _: None
    requests.get = lambda url, **more: session().get(url, **more)
