"""Runs blocking or slow work on a thread, so that the event loop stays free."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")


async def aside(much: bool, work: Callable[..., T], *args: Any, **options: Any) -> T:
    """The result of `work`. With `much`, it runs on a thread: other requests go on. One at a
    time, since each takes much memory."""
    if not much:
        return work(*args, **options)
    import asyncio  # `history` does without

    # The thread refers to its call, and would to what it returns, until it runs once more: a box can
    # be emptied before.
    box: list[Any] = [partial(copy_context().run, partial(work, *args, **options))]

    def call() -> None:
        box.append(box.pop()())

    await asyncio.get_running_loop().run_in_executor(_thread(), call)
    return box.pop()  # type: ignore[no-any-return]


@cache
def _thread() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1, "codexapi aside")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_thread.cache_clear)  # a copy of the process lacks it
