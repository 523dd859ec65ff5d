"""What an answer about a login may cost: its size, its coding, its time. By name or by address, for
a pair of tokens or for the owner of one."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import urlsplit

import pytest
from tests.engine.login_worlds import EXPIRED, over
from tests.engine.test_personal_token import OWNER, PERSONAL
from tests.faulty import FaultyBackend, Script, endless, head, whole
from tests.logins import NOW, access_token
from tests.virtual_time import hurried

from codexapi_engine.bounds import TOKEN_TIMEOUT
from codexapi_engine.errors import CodexError
from codexapi_engine.http.in_process import in_process
from codexapi_engine.login.refresh import Login
from codexapi_engine.login.store import InMemory
from codexapi_engine.settings import Settings

PAIR = {"access_token": access_token(4e9), "refresh_token": "canary-refresh-new", **OWNER}
LOGINS = pytest.mark.parametrize("login", [EXPIRED, PERSONAL], ids=["a pair", "an owner"])


def deflated(size: int) -> bytes:
    """A small answer that is good, and has so many bytes when it is inflated."""
    return gzip.compress(json.dumps({**PAIR, "pad": " " * size}).encode())


ANSWERS: dict[str, Script] = {
    "endless": [head(200), endless(b"1000\r\n" + b" " * 4096 + b"\r\n")],
    "an endless head": [b"HTTP/1.1 200 OK\r\n", endless(b"x-more: " + b"x" * 4096 + b"\r\n")],
    "inflated": [whole(200, deflated(1 << 24), content_encoding="gzip")],
    "in a coding": [whole(200, deflated(0), content_encoding="gzip")],
}


@LOGINS
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_about_a_login_is_bounded_and_in_no_coding(
    answer: str, host: str, login: bytes
) -> None:
    async with FaultyBackend(otherwise=ANSWERS[answer]) as there:
        url = f"http://{host}:{urlsplit(there.url).port}"
        settings = Settings(token_url=url)
        ours = Login(
            InMemory(login), over(settings), token_url=url, accounts_url=url, clock=lambda: NOW
        )
        with pytest.raises(CodexError):
            await ours.fresh()
        assert len(there.requests) == 1


@LOGINS
@pytest.mark.parametrize("host", ["127.0.0.1:9", "accounts.example"])
def test_an_answer_about_a_login_has_one_deadline_for_the_whole(host: str, login: bytes) -> None:
    """It is never silent for long, and never over."""

    async def drip() -> AsyncGenerator[bytes, None]:
        while True:
            yield b" "
            await asyncio.sleep(1)

    async def handle(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], AsyncGenerator[bytes, None]]:
        return 200, {"content-type": "application/json"}, drip()

    async def story() -> None:
        url = f"https://{host}"
        ours = Login(
            InMemory(login), lambda url: in_process(handle),
            token_url=url, accounts_url=url, clock=lambda: NOW,
        )  # fmt: skip
        with pytest.raises(CodexError):
            await ours.fresh()
        assert asyncio.get_running_loop().time() == TOKEN_TIMEOUT

    hurried(story())
