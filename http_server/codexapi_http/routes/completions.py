"""The legacy Completions endpoint."""

from __future__ import annotations

import time
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from codexapi_engine.errors import JsonObject
from codexapi_engine.protocol import completions
from codexapi_engine.protocol.chat.params import completions_param
from codexapi_engine.protocol.choices import merged

from ..pump import NOT_OPEN, Run, attach
from ..requests import codex_of, settings_of
from .answer import (
    answer_headers,
    collect_responses,
    collected_chunks,
    json_response,
    stream_response,
    with_caller_names,
    with_model,
)


@with_caller_names(completions_param)
async def completions_create(request: Request, body: JsonObject) -> Response:
    """POST /v1/completions"""
    params, ignored = completions.from_client(
        with_model(request, body), strict=settings_of(request).strict
    )
    # Each prompt has its choices side by side: the second choice of the first prompt is number 1.
    prompts = [prompt for prompt in completions.prompts(params) for _ in range(params.n or 1)]
    forms = [completions.form(params, prompt) for prompt in prompts]
    requests = [completions.to_responses(params, prompt) for prompt in prompts]
    open_runs, created = partial(codex_of(request).open_all, requests), int(time.time())
    shared = completions.shared_envelope(
        params, len(forms), created=created, include_usage=not params.stream
    )
    choices = [
        Run(NOT_OPEN, completions.CompletionStream(form, shared, index=n))
        for n, form in enumerate(forms)
    ]
    if params.stream:
        return stream_response(open_runs, *choices, ignored=ignored)
    runs = await open_runs()
    headers = answer_headers(runs[0], ignored)
    if params.stop:  # a run ends at its stop sequence, and then has no finished response
        attach(choices, runs)
        return json_response(completions.collected(await collected_chunks(choices)), headers)
    replies = [
        completions.from_response(response, form, created=created)
        for response, form in zip(await collect_responses(runs), forms, strict=True)
    ]
    return json_response(merged(replies), headers)
