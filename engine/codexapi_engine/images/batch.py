"""Several pictures of one request: two at a time, and those that succeed are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..bounds import IMAGES_AT_ONCE
from ..errors import CodexError
from ..protocol.images import Images, merge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """The pictures that succeeded, at least one, as `finish` made them, and the other failures;
    both in the order of the request."""

    images: list[T]
    failures: list[BaseException]
    answer: Images  # usage and the like of them all, without the pictures

    def errors(self) -> list[CodexError]:
        """The failures, for a caller whose `finish` raises CodexError alone. Raises any other."""
        for failure in self.failures:
            if not isinstance(failure, CodexError):
                raise failure
        return [failure for failure in self.failures if isinstance(failure, CodexError)]


async def draw_many(
    draw: Callable[[], Awaitable[Images]],
    n: int,
    finish: Callable[[int, Images], Awaitable[T]],
) -> Batch[T]:
    """Calls `draw` n times, and `finish` with each picture and its index as soon as it is drawn.
    Raises the first failure if there is no picture."""
    limit = asyncio.Semaphore(IMAGES_AT_ONCE)

    async def one(index: int) -> tuple[T, Images]:
        async with limit:
            answer = await draw()
        # Outside of the limit: the next picture is drawn while this one is saved.
        return await finish(index, answer), answer._replace(images=())

    # A failure does not cancel the others: each picture is paid for, and clients would repeat a
    # request that failed for all of them.
    results = await asyncio.gather(*map(one, range(n)), return_exceptions=True)
    pairs = [result for result in results if not isinstance(result, BaseException)]
    failures = [result for result in results if isinstance(result, BaseException)]
    if not pairs:
        results.clear()  # else this frame, and the traceback of what it raises, refer to each other
        raise failures.pop(0)
    return Batch(
        [finished for finished, _ in pairs],
        failures,
        merge([answer for _, answer in pairs]),
    )
