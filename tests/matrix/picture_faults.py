"""The table for pictures: whole answers of the backend, and runs of its hosted tool.

Knows nothing of the doors.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.drawn import picture
from tests.faulty import FIN, HOLD, LAST_CHUNK, RST, Exchange, FaultyBackend, chunk, head, play
from tests.faulty import stream as streaming
from tests.faulty import whole as answering
from tests.http_server.raw import JsonObject
from tests.matrix.faults import (
    AFTERWARDS,
    BACKEND,
    CUT_OFF,
    FAULTS,
    GONE,
    GOOD,
    PROTOCOL,
    RESPONSE,
    SHORT,
    SILENT,
    WEB_PAGE,
    Broken,
    Fault,
    Refused,
    Whole,
    encoded,
    event,
    refusal,
)

from codexapi_engine import client

PICTURE = picture()
BASE64 = base64.b64encode(PICTURE).decode()
DATA_URL = f"data:image/png;base64,{BASE64}"
DRAWN = "the picture"
"""What stands for a picture that came whole, where a chat has its text."""

MADE = {"created": 5, "data": [{"b64_json": BASE64}], "quality": "low", "size": "1024x1024"}
MADE_BYTES = answering(200, MADE)
EMPTY = Refused(502, "upstream_empty_response")
SHARED = [
    "http_401_once", "http_401_always", "http_403_html", "http_403_json", "http_429_usage",
    "http_429_transient", "http_429_still", "http_429_later", "http_400", "http_413", "http_500",
    "http_502", "http_503", "http_504", "http_500_once", "http_302", "http_200_html",
    "rst_before", "fin_before", "rst_once", "garbage", "endless_head", "stall_before", "half_head",
]  # fmt: skip
"""Faults that know nothing of what was asked."""


def moderated() -> JsonObject:
    return {"error": {"code": "moderation_blocked", "message": "Not this.", "type": "x"}}


WHOLE_FAULTS: dict[str, Fault] = {
    "ok": Fault([[MADE_BYTES]], Whole(DRAWN)),
    **{name: FAULTS[name] for name in SHARED},
    # Where the endpoint is missing, the hosted tool is asked; here that is missing too.
    "http_404": Fault(refusal(404), Refused(404, None), 6, attempts=2),
    "moderated": Fault(refusal(400, moderated()), Refused(400, "moderation_blocked"), 1,
                       told=["Not this."]),
    "other_json": Fault(refusal(200, {"id": "resp_1"}), EMPTY, BACKEND),
    "no_object": Fault(refusal(200, b"[]", content_type="application/json"), PROTOCOL, BACKEND),
    "bad_json": Fault(refusal(200, b'{"data": nonsense', content_type="application/json"),
                      PROTOCOL, BACKEND),
    "no_base64": Fault(refusal(200, {"data": [{"b64_json": "canary!"}]}), PROTOCOL, BACKEND),
    "no_picture": Fault(refusal(200, {"data": [{"b64_json": "aGVsbG8="}]}), PROTOCOL, BACKEND),
    "wrong_shape": Fault(refusal(200, {"data": {"b64_json": [1]}}), EMPTY, BACKEND),
    "fin_mid": Fault([[MADE_BYTES[:-40], FIN]], GONE, BACKEND),
    "rst_mid": Fault([[MADE_BYTES[:-40], RST]], GONE, BACKEND),
    "stall_mid": Fault([[MADE_BYTES[:-40], HOLD]], SILENT, BACKEND, settings={"wait": SHORT}),
    "gzipped": Fault(refusal(200, gzip.compress(json.dumps(MADE).encode()),
                             content_encoding="gzip"), PROTOCOL, BACKEND),
    "bad_gzip": Fault(refusal(200, MADE, content_encoding="gzip"), PROTOCOL, BACKEND),
}  # fmt: skip
for stalled in ("stall_before", "half_head"):
    WHOLE_FAULTS[stalled] = Fault(
        WHOLE_FAULTS[stalled].scripts, SILENT, BACKEND, settings={"wait": SHORT}
    )

CALL = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": BASE64}
PARTIAL = event(
    "response.image_generation_call.partial_image",
    item_id="ig_1", output_index=0, partial_image_index=0, partial_image_b64=BASE64,
)  # fmt: skip
BEGUN = [event("response.created", response={**RESPONSE, "status": "in_progress"}), PARTIAL]
END = event("response.completed", response={**RESPONSE, "status": "completed", "output": []})
DONE = event("response.output_item.done", output_index=0, item=CALL)
SPOKEN = {"type": "message", "content": [{"type": "output_text", "text": "I may not."}]}


def run(*told: JsonObject, then: tuple[Any, ...] = (LAST_CHUNK,)) -> list[Any]:
    return [[head(), *map(chunk, encoded([*BEGUN, *told])), *then]]


TOOL_FAULTS: dict[str, Fault] = {
    "ok": Fault(run(DONE, END), Whole(DRAWN)),
    "held_open": Fault(run(DONE, END, then=(HOLD,)), Whole(DRAWN)),
    "http_400": FAULTS["http_400"],
    "http_429_usage": FAULTS["http_429_usage"],
    "http_500": FAULTS["http_500"],
    "http_200_html": Fault(refusal(200, WEB_PAGE, content_type="text/html"), PROTOCOL),
    "rst_before": FAULTS["rst_before"],
    "empty_stream": FAULTS["empty_stream"],
    "failed_first": FAULTS["failed_first"],
    "rst_mid": Fault(run(then=(RST,)), CUT_OFF),
    "fin_mid": Fault(run(DONE, then=(FIN,)), CUT_OFF),
    "truncated": Fault(run(DONE), CUT_OFF),
    "stall_mid": Fault(run(then=(HOLD,)), Broken(504, "upstream_timeout"),
                       settings={"wait": SHORT}),
    "bad_json": Fault(run(then=(chunk(b"event: a\ndata: {nonsense\n\n"), LAST_CHUNK)),
                      Broken(502, "upstream_protocol_error")),
    "failed": Fault(run(event("response.failed", response={
        "error": {"code": "server_error", "message": "No luck."}})), Broken(502, "server_error")),
    "error_event": Fault(run(event("error", error={"code": "slow_down", "message": "Wait."})),
                         Broken(503, "slow_down")),
    "refused": Fault(run(event("response.output_item.done", output_index=0, item=SPOKEN), END),
                     Broken(400, "image_generation_refused"), told=["I may not."]),
    "no_picture": Fault(run(END), Broken(502, "upstream_empty_response")),
}  # fmt: skip


def faulty(fault: Fault) -> FaultyBackend:
    scripts = list(fault.scripts)

    async def answer(exchange: Exchange) -> None:
        path, body = exchange.request.target, exchange.request.body
        if path == "/oauth/token":
            await play(TOKENS, exchange)
        elif AFTERWARDS.encode() in body:
            good = streaming(*encoded([*BEGUN, DONE, END]))
            await exchange.send(good if path == "/responses" else MADE_BYTES)
        else:
            script = scripts.pop(0) if len(scripts) > 1 else scripts[0]
            await play([MADE_BYTES] if script == GOOD else script, exchange)

    return FaultyBackend(otherwise=[answer])


TOKENS = [answering(200, {"access_token": "canary-access-next", "refresh_token": "canary-next"})]


def attempts(backend: FaultyBackend) -> int:
    return sum(
        request.target != "/oauth/token" and AFTERWARDS.encode() not in request.body
        for request in backend.requests
    )


@contextmanager
def waiting(fault: Fault) -> Iterator[None]:
    """As long as the backend may be silent over a picture: else that is ten minutes."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "IMAGE_IDLE_TIMEOUT", fault.settings.get("wait", 60.0))
        yield
