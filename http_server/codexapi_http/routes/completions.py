"""Completions, the legacy dialect."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import completions
from codexapi_engine.protocol.choices import merged

from ..requests import codex_of, settings_of
from ..streaming import EventStreamResponse, Run
from .answer import answer_headers, collected_chunks, each_folded, json_response, with_model


async def completions_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/completions"""
    asked, ignored = completions.from_client(
        with_model(request, body), strict=settings_of(request).strict
    )
    # Each prompt has its choices side by side: the second choice of the first prompt is number 1.
    prompts = [prompt for prompt in completions.prompts(asked) for _ in range(asked.n or 1)]
    forms = [completions.form(asked, prompt) for prompt in prompts]
    runs = await codex_of(request).open_all(
        [completions.to_responses(asked, prompt) for prompt in prompts]
    )
    headers, created = answer_headers(runs[0], ignored), int(time.time())
    if asked.stream or asked.stop:
        shared = completions.together(
            asked, len(runs), created=created, include_usage=not asked.stream
        )
        translated = [
            Run(run, completions.Stream(form, shared, index=n))
            for n, (run, form) in enumerate(zip(runs, forms, strict=True))
        ]
        if asked.stream:
            return EventStreamResponse(*translated, headers=headers)
        # A run ends at its stop sequence, and then has no finished response.
        return json_response(completions.collected(await collected_chunks(translated)), headers)
    replies = [
        completions.from_response(response, form, created=created)
        for response, form in zip(await each_folded(runs), forms, strict=True)
    ]
    return json_response(merged(replies), headers)
