"""The scripts of a prompt, each played."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass

import pytest
from tests.engine.simulator.exchanges import (
    NOW,
    OUTPUT,
    RESPONSES,
    SEARCH,
    SEARCHES,
    Bed,
    JsonObject,
    ask,
    body,
    message_of,
    send,
    signed,
    user,
)

from codexapi_engine.protocol.responses import TERMINAL
from codexapi_engine.protocol.sse import Decoder, Event
from codexapi_engine.simulator import SCRIPTS, Simulator, listing
from codexapi_engine.simulator.refusals import FAILURES, REFUSALS
from codexapi_engine.simulator.scripts import read


@dataclass
class Played:
    """What a script must give; a test by the name of each field."""

    prompt: str
    last: str = "response.completed"  # "" for none
    has: tuple[str, ...] = ()
    text: str | None = None
    status: int = 200
    broken: bool = False
    assembles: bool = True  # to the items that the simulator ended


PLAYED: dict[str, Played] = {
    "say": Played("[[say A [b] c.]] and more", text="A [b] c."),
    "long": Played("[[long 5]]", text="1 2 3 4 5 "),
    "refuse": Played(
        "[[refuse No.]]", has=("response.refusal.delta", "response.refusal.done"), text="No."
    ),
    "reason": Played(
        "[[reason]]",
        has=("response.reasoning_summary_part.added", "response.reasoning_summary_part.done"),
    ),
    "commentary": Played("[[commentary]] [[say Yes.]]", text="Yes."),
    "two": Played("[[two]]", text="This is the second simulated message."),
    "surrogate": Played("[[surrogate]]", text="A simulated smile: 🙂."),
    "tool": Played('[[tool f {"a": [[1]]}]]', has=("response.function_call_arguments.done",)),
    "tools": Played("[[tools 3]]", has=("response.function_call_arguments.delta",)),
    "exact": Played("[[exact]] hello"),
    "heavy": Played("[[heavy 1]] hello"),
    "blocked": Played("[[blocked]] hello"),
    "late": Played("[[late 0]] [[say a]]", text="a"),
    "slow": Played("[[slow 0]] [[say a b c]]", text="a b c"),
    "silence": Played("[[silence 0]] [[say a]]", text="a"),
    "keepalive": Played("[[keepalive 2]]", has=("keepalive",)),
    "rate_limits": Played("[[rate_limits]]", has=("codex.rate_limits",)),
    "usage": Played("[[usage 80]]"),
    "no_deltas": Played("[[no_deltas]] [[say a b]]", text="a b"),
    "no_text_deltas": Played(
        "[[no_text_deltas]] [[say a b]]",
        has=("response.output_item.added", "response.output_text.done"),
        text="a b",
    ),
    "no_parts": Played("[[no_parts]] [[say a b]]", has=("response.output_item.added",), text="a b"),
    "unannounced": Played(
        "[[unannounced]] [[say a b]]", has=("response.output_text.delta",), text="a b"
    ),
    "long_ids": Played("[[long_ids]] [[say a b]]", text="a b"),
    "unnamed": Played("[[unnamed]] [[say a b]]", text="a b"),
    "crlf": Played("[[crlf]] [[say a b]]", text="a b"),
    "bytewise": Played("[[bytewise]] [[say é]]", text="é"),
    "unknown_event": Played("[[unknown_event]]", has=("response.simulated.unknown",)),
    "hold": Played("[[say a]]", text="a"),  # held open: a test of its own
    "incomplete": Played("[[incomplete]]", last="response.incomplete", text="Half a simulated ans"),
    "fail": Played("[[fail server_error]]", last="response.failed", has=("response.in_progress",)),
    "fail_first": Played("[[fail_first slow_down]]", last="response.failed"),
    "error": Played("[[error]]", last="error", has=("response.output_text.delta",)),
    "error_nested": Played("[[error_nested bio_policy]]", last="error"),
    "cut": Played("[[cut 3]]", last="", has=("response.output_text.delta",)),
    "drop": Played("[[drop 3]]", last="", has=("response.output_text.delta",), broken=True),
    "empty": Played("[[empty]]", last=""),
    "html": Played("[[html]]", last=""),
    "bad_json": Played("[[bad_json]] [[say a]]", assembles=False),
    "status": Played("[[status overloaded]]", last="", status=503),
    "times": Played("[[times 0]] [[empty]]"),
}


def test_every_script_is_played_here() -> None:
    assert set(PLAYED) == set(SCRIPTS)
    text = {name for name, told in PLAYED.items() if name not in read(told.prompt)}
    assert text == {"hold"}, (
        "it never ends, and has tests below; the reader takes the others for text"
    )


def test_listing_has_a_line_for_each_script() -> None:
    lines = listing().splitlines()
    assert [re.match(r"\[\[(\w+)", line) for line in lines[: len(SCRIPTS)]]
    for name, script in SCRIPTS.items():
        assert any(line.startswith(f"[[{name}") and script.does in line for line in lines)


@pytest.mark.parametrize("name", PLAYED)
async def test_script_plays_as_it_says(name: str) -> None:
    told = PLAYED[name]
    answer = await ask(told.prompt)
    assert (answer.status, answer.broken) == (told.status, told.broken)
    if told.status != 200:
        return
    kinds = [
        event.type
        for event in answer.events
        if event.raw.startswith(b"event") or b'data: {"type' in event.raw
    ]
    ends = [kind for kind in kinds if kind in TERMINAL]
    assert ends == ([told.last] if told.last else [])
    assert not ends or kinds[-1] == ends[0]
    assert set(told.has) <= set(kinds)
    if told.text is not None:
        assert answer.text == told.text


@pytest.mark.parametrize("code", [*FAILURES, "never_heard_of"])
@pytest.mark.parametrize(("script", "before"), [("fail", 2), ("fail_first", 0)])
async def test_a_run_fails_with_the_code_asked_for(code: str, script: str, before: int) -> None:
    answer = await ask(f"[[{script} {code}]]")
    assert len(answer.events) == before + 1
    failed = answer.events[-1].json
    assert failed["sequence_number"] == before
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"]["code"] == code
    if code in FAILURES:
        message = failed["response"]["error"]["message"]
        assert message == FAILURES[code][0].replace("req_simulated", answer.headers["x-request-id"])


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_status_is_answered_with_its_body(name: str) -> None:
    answer = await ask(f"[[status {name}]]")
    refusal = REFUSALS[name]
    assert answer.status == refusal.status
    if isinstance(refusal.body, str):
        assert answer.body.decode() == refusal.body
    elif name != "usage_limit_reached":
        assert answer.json == refusal.body
    assert set(refusal.headers) <= set(answer.headers)


async def test_a_used_up_plan_resets_in_the_future() -> None:
    answer = await ask("[[status usage_limit_reached]]")
    told = answer.json["error"]
    assert told["resets_at"] == NOW + told["resets_in_seconds"]
    assert answer.headers["x-codex-primary-reset-at"] == str(told["resets_at"])
    assert answer.headers["x-codex-primary-used-percent"] == "100"


async def test_a_status_can_pass_after_some_tries() -> None:
    simulator = Simulator()
    prompts = ["[[status server_error 2]] a"] * 3 + ["[[status server_error 2]] b"]
    assert [(await ask(prompt, by=simulator)).status for prompt in prompts] == [500, 500, 200, 500]


async def test_the_other_scripts_are_played_once_a_status_has_passed() -> None:
    simulator = Simulator()
    prompt = "[[status server_error 1]] [[say There.]]"
    answers = [await ask(prompt, by=simulator) for _ in range(2)]
    assert (answers[0].status, answers[1].text) == (500, "There.")


async def test_tries_are_counted_by_the_text_that_the_scripts_stand_in() -> None:
    """A client that compacts its chat puts a summary before the same question."""
    simulator = Simulator()
    question = {"type": "input_text", "text": "[[status server_error 1]] [[say There.]]"}
    assert (await ask(input=[user("Be brief.", question)], by=simulator)).status == 500
    again = await ask(input=[user("A summary of the chat.", question)], by=simulator)
    assert again.text == "There."


async def test_any_fault_can_pass_after_some_tries() -> None:
    simulator = Simulator()
    answers = [await ask("[[times 1]] [[drop 0]] hello", by=simulator) for _ in range(2)]
    assert [answer.broken for answer in answers] == [True, False]
    assert answers[1].types[-1] == "response.completed"


@pytest.mark.parametrize(
    ("script", "reason"),
    [("incomplete", "max_output_tokens"), ("incomplete content_filter", "content_filter")],
)
async def test_an_early_end_tells_its_reason(script: str, reason: str) -> None:
    ended = (await ask(f"[[{script}]]")).events[-1].json["response"]
    assert (ended["status"], ended["incomplete_details"]) == ("incomplete", {"reason": reason})


async def test_an_error_event_is_flat_or_nested() -> None:
    flat = (await ask("[[error slow_down]]")).events[-1].json
    nested = (await ask("[[error_nested slow_down]]")).events[-1].json
    assert flat["code"] == nested["error"]["code"] == "slow_down"
    assert flat["message"] == nested["error"]["message"]


@pytest.mark.parametrize(("script", "deltas"), [("cut", 0), ("cut", 3), ("drop", 0), ("drop", 3)])
async def test_a_stream_ends_after_as_many_deltas(script: str, deltas: int) -> None:
    answer = await ask(f"[[long 9]] [[{script} {deltas}]]")
    assert answer.types.count("response.output_text.delta") == deltas
    assert answer.types[:2] == ["response.created", "response.in_progress"]


async def test_a_web_page_and_nothing_are_200s_too() -> None:
    page, nothing = await ask("[[html]]"), await ask("[[empty]]")
    assert page.headers["content-type"] == "text/html"
    assert (page.status, nothing.status, nothing.body) == (200, 200, b"")


async def test_forms_of_the_stream() -> None:
    assert b"event:" not in (await ask("[[unnamed]]")).body
    assert re.sub(rb"\r\n", b"", (await ask("[[crlf]]")).body).count(b"\n") == 0
    assert {len(chunk) for chunk in (await ask("[[bytewise]]")).chunks} == {1}
    assert not any(kind.endswith(".delta") for kind in (await ask("[[no_deltas]]")).types)
    assert (await ask("[[usage 80]]")).headers["x-codex-primary-used-percent"] == "80"
    assert (await ask("[[keepalive 3]]")).types.count("keepalive") == 3


@pytest.mark.parametrize("prompt", ["[[say a b]] [[reason]]", "[[tool f {}]]"])
@pytest.mark.parametrize(
    ("script", "lacks"),
    [
        ("no_text_deltas", r"\.delta$"),
        ("no_parts", r"content_part|summary|output_text|arguments"),
        ("unannounced", r"\.added$"),
    ],
)
async def test_a_script_leaves_out_events_of_a_kind(script: str, lacks: str, prompt: str) -> None:
    whole, less = await ask(prompt), await ask(f"{prompt} [[{script}]]")
    left = [kind for kind in whole.types if not re.search(lacks, kind)]
    assert less.types == left != whole.types
    assert less.items == whole.items
    numbers = [event.json["sequence_number"] for event in less.events]
    assert numbers == list(range(len(numbers)))


async def test_long_ids_are_as_long_as_those_that_clients_report() -> None:
    simulator = Simulator()
    first = await ask("[[long_ids]] [[tool f {}]]", by=simulator)
    assert [len(item["id"]) for item in first.items] == [408, 408]
    call = first.items[1]
    assert len(call["call_id"]) == 83
    assert call["id"].startswith("fc_")
    output = {**OUTPUT, "call_id": call["call_id"]}
    again = await ask(by=simulator, input=[user("a"), *first.items, output])
    assert "string too long" in message_of(again)


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("POST", RESPONSES, body("[[late 30]] [[status overloaded]]")),
        ("POST", "/v1/images/generations", {"model": "m", "prompt": "[[late 30]] [[status overloaded]]"}),
        ("POST", SEARCHES, {**SEARCH, "commands": {"search_query": [{"q": "[[late 30]] [[status overloaded]]"}]}}),
    ],
)  # fmt: skip
async def test_a_status_can_be_late(method: str, target: str, sent: JsonObject) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    answer = await send(Simulator(sleep=sleep), method, target, sent)
    assert (answer.status, slept) == (503, [30])


async def test_a_cut_emoji_travels_as_two_escapes() -> None:
    data = (await ask("[[surrogate]]")).body
    assert b'"delta":"\\ud83d"' in data
    assert b'"delta":"\\ude42"' in data


async def test_one_event_is_no_json_and_the_others_are() -> None:
    decoder = Decoder()
    events = decoder.feed((await ask("[[bad_json]]")).body)
    broken = []
    for event in events:
        try:
            json.loads(event.data)
        except ValueError:
            broken.append(event)
    assert len(broken) == 1


async def test_a_prompt_that_only_looks_like_a_script_is_text() -> None:
    prompt = "[[Page]] [[1, 2]] [[ -f x ]] [[tool.ruff]] [[say"
    assert prompt in (await ask(prompt)).text


async def test_scripts_wait_with_the_sleep_they_are_given() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await ask("[[slow 3]] [[long 4]]", by=Simulator(sleep=sleep))
    assert slept == [3.0] * 4
    slept.clear()
    await ask("[[silence 9]] [[keepalive 2]]", by=Simulator(sleep=sleep))
    assert slept == [3.0] * 3


async def test_what_was_said_before_a_wait_has_been_sent() -> None:
    bed = Bed()
    simulator = Simulator(sleep=bed)
    prompt = body("[[silence 60]]")
    _, _, chunks = await simulator.handle(
        "POST", RESPONSES, signed(simulator), json.dumps(prompt).encode()
    )
    decoder, events = Decoder(), list[Event]()
    while len(events) < 2:
        events += decoder.feed(await anext(chunks))
    assert [event.type for event in events] == ["response.created", "response.in_progress"]
    waiting = asyncio.ensure_future(anext(chunks))
    await bed.asleep.wait()
    assert (simulator.open_streams, simulator.cancelled) == (1, 0)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert bed.left.is_set()
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_held_stream_ends_when_it_is_closed() -> None:
    simulator = Simulator()
    prompt = json.dumps(body("[[say a]] [[hold]]")).encode()
    _, _, chunks = await simulator.handle("POST", RESPONSES, signed(simulator), prompt)
    decoder, kinds = Decoder(), [""]
    while kinds[-1] != "response.completed":
        kinds += [event.type for event in decoder.feed(await anext(chunks))]
    assert simulator.open_streams == 1
    await chunks.aclose()
    assert (simulator.open_streams, simulator.cancelled) == (0, 1)


async def test_a_stream_that_was_read_to_its_end_was_not_cancelled() -> None:
    simulator = Simulator()
    await ask(by=simulator)
    await ask("[[drop 1]]", by=simulator)
    assert (simulator.runs, simulator.open_streams, simulator.cancelled) == (2, 0, 0)
