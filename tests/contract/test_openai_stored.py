"""What is kept, read with the official `openai` client from real `codexapi serve` processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseInputItemParam
from tests.processes import Running, server, simulator

MODEL = "gpt-6.1-sol"


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with simulator(tmp_path_factory.mktemp("login") / "codex") as running:
        yield running


@pytest.fixture(scope="module")
def url(backend: Running) -> Iterator[str]:
    with server("--quiet", env=backend.env) as door:
        yield door.url


def connected(url: str) -> OpenAI:
    """A client that checks every answer against its own types."""
    return OpenAI(base_url=url, api_key="unused", max_retries=0, _strict_response_validation=True)


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with connected(url) as client:
        yield client


def ended(client: OpenAI, response: Response) -> Response:
    for _ in range(20_000):
        if response.status not in ("queued", "in_progress"):
            break
        response = client.responses.retrieve(response.id)
    return response


# Responses.


def test_response_is_retrieved_and_deleted(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="[[say Kept.]]", metadata={"a": "b"})
    found = client.responses.retrieve(response.id)
    assert found == response
    assert found.output_text == "Kept."
    client.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError, match=f"Response with id '{response.id}' not found"):
        client.responses.retrieve(response.id)


def test_response_that_is_not_stored_is_not_found(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)


def test_chain_knows_what_was_said(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="[[say One.]]")
    second = client.responses.create(model=MODEL, input="and?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert second.usage is not None
    assert first.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model=MODEL, input="hi", previous_response_id="resp_gone")
    assert raised.value.code == "previous_response_not_found"
    assert raised.value.param == "previous_response_id"


def test_references_to_stored_items_are_understood(client: OpenAI) -> None:
    first = client.responses.create(model=MODEL, input="hi")
    items: list[ResponseInputItemParam] = [
        {"type": "item_reference", "id": item.id or ""} for item in first.output
    ]
    again = client.responses.create(
        model=MODEL, input=[*items, {"role": "user", "content": "[[say Understood.]]"}]
    )
    assert again.output_text == "Understood."
    assert len(client.responses.input_items.list(again.id).data) == len(items) + 1


def test_input_items_are_listed_over_pages(client: OpenAI) -> None:
    response = client.responses.create(
        model=MODEL, input=[{"role": "user", "content": str(number)} for number in range(5)]
    )
    found = list(client.responses.input_items.list(response.id, order="asc", limit=2))
    texts = [item.content[0].text for item in found if item.type == "message"]  # type: ignore[union-attr]
    assert texts == list("01234")


def test_stream_is_told_again_from_any_event_on(client: OpenAI) -> None:
    told = list(client.responses.create(model=MODEL, input="[[say One two.]]", stream=True))
    last = told[-1]
    assert last.type == "response.completed"
    again = client.responses.retrieve(last.response.id, stream=True, starting_after=4)
    assert list(again) == told[5:]


def test_response_runs_in_the_background(client: OpenAI) -> None:
    queued = client.responses.create(model=MODEL, input="[[say Later.]]", background=True)
    assert queued.status in ("queued", "in_progress")
    done = ended(client, queued)
    assert (done.id, done.status, done.output_text) == (queued.id, "completed", "Later.")
    assert client.responses.cancel(queued.id).status == "completed"


def test_response_in_the_background_is_left_followed_and_cancelled(client: OpenAI) -> None:
    with client.responses.create(
        model=MODEL, input="[[silence 600]]", background=True, stream=True
    ) as stream:
        events = iter(stream)
        first = next(events)
        assert first.type == "response.created"
        name = first.response.id
        assert next(event for event in events if event.type == "response.in_progress")
    assert client.responses.retrieve(name).status == "in_progress"
    with client.responses.retrieve(name, stream=True) as stream:
        assert next(iter(stream)) == first
    assert [client.responses.cancel(name).status for _ in range(2)] == ["cancelled"] * 2
    assert client.responses.retrieve(name).status == "cancelled"


def test_response_that_was_waited_for_cannot_be_cancelled(client: OpenAI) -> None:
    response = client.responses.create(model=MODEL, input="hi")
    with pytest.raises(openai.BadRequestError, match="Cannot cancel a synchronous response"):
        client.responses.cancel(response.id)


def test_compacted_conversation_goes_on(url: str) -> None:
    # Not strict: the client's own types know a user message in this place as the assistant's.
    with OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        compacted = client.responses.compact(
            model=MODEL, input=[{"role": "user", "content": "A long story."}]
        )
        assert [item.type for item in compacted.output] == ["message", "compaction"]
        assert compacted.usage.total_tokens > 0
        output = [item.to_dict(warnings=False) for item in compacted.output]
        response = client.responses.create(
            model=MODEL,
            input=[*output, {"role": "user", "content": "[[say And so on.]]"}],  # type: ignore[list-item]
        )
        assert response.output_text == "And so on."


def test_input_tokens_are_estimated(client: OpenAI) -> None:
    short = client.responses.input_tokens.count(model=MODEL, input="Hello there.")
    long = client.responses.input_tokens.count(model=MODEL, input="Hello there. " * 100)
    assert short.object == "response.input_tokens"
    assert 1 < short.input_tokens < 20 < long.input_tokens
    raw = client.responses.input_tokens.with_raw_response.count(model=MODEL, input="Hello")
    assert raw.headers["x-codexapi-estimate"] == "1"


# Conversations.


def test_conversation_is_made_changed_used_and_deleted(client: OpenAI) -> None:
    made = client.conversations.create(
        items=[{"type": "message", "role": "system", "content": "Be kind."}],
        metadata={"topic": "tests"},
    )
    assert client.conversations.retrieve(made.id) == made
    changed = client.conversations.update(made.id, metadata={"topic": "more tests"})
    assert changed.metadata == {"topic": "more tests"}
    response = client.responses.create(
        model=MODEL, input="[[say Hello you.]]", conversation=made.id
    )
    assert response.conversation is not None
    assert response.conversation.id == made.id
    items = list(client.conversations.items.list(made.id, order="asc", limit=2))
    assert [item.type for item in items] == ["message", "message", "reasoning", "message"]
    roles = [item.role for item in items if item.type == "message"]
    assert roles == ["system", "user", "assistant"]
    deleted = client.conversations.delete(made.id)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    with pytest.raises(openai.NotFoundError, match=f"Conversation with id '{made.id}' not found"):
        client.conversations.retrieve(made.id)


def test_items_of_a_conversation_are_added_retrieved_and_deleted(client: OpenAI) -> None:
    made = client.conversations.create()
    added = client.conversations.items.create(
        made.id, items=[{"role": "user", "content": "one"}, {"role": "user", "content": "two"}]
    )
    first, second = added.data
    assert (added.first_id, added.last_id) == (first.id, second.id)
    assert client.conversations.items.retrieve(first.id or "", conversation_id=made.id) == first
    left = client.conversations.items.delete(first.id or "", conversation_id=made.id)
    assert left.id == made.id
    assert list(client.conversations.items.list(made.id)) == [second]


# Chat completions.


def test_chat_completion_is_stored_listed_changed_and_deleted(client: OpenAI) -> None:
    made = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "[[say Kept.]]"}],
        store=True,
        metadata={"test": "stored"},
    )
    found = client.chat.completions.retrieve(made.id)
    assert found.choices == made.choices
    assert [c.id for c in client.chat.completions.list(metadata={"test": "stored"})] == [made.id]
    assert made.id not in [c.id for c in client.chat.completions.list(model="gpt-6-luna")]
    client.chat.completions.update(made.id, metadata={"test": "changed"})
    assert list(client.chat.completions.list(metadata={"test": "stored"})) == []
    assert client.chat.completions.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.retrieve(made.id)


def test_streamed_chat_completion_is_stored_with_its_messages(url: str) -> None:
    # Not strict: the client's own types know every message in this list as the assistant's.
    with OpenAI(base_url=url, api_key="unused", max_retries=0) as client:
        chunks = list(
            client.chat.completions.create(
                model=MODEL,
                messages=[
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "[[say Kept.]]"}]},
                ],
                store=True,
                stream=True,
            )
        )
        name = chunks[0].id
        assert client.chat.completions.retrieve(name).choices[0].message.content == "Kept."
        system, user = client.chat.completions.messages.list(name)
        assert (str(system.role), system.content) == ("system", "Be brief.")
        assert user.content is None
        assert user.content_parts is not None
        assert user.content_parts[0].type == "text"


# The file.


def test_file_keeps_all_over_a_restart_and_between_two_servers(
    backend: Running, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    flags = ("--quiet", "--state", str(path))
    with server(*flags, env=backend.env) as door, connected(door.url) as client:
        first = client.responses.create(model=MODEL, input="[[say One.]]")
        conversation = client.conversations.create(items=[{"role": "user", "content": "hi"}])
    with (
        server(*flags, env=backend.env) as one,
        server(*flags, env=backend.env) as two,
        connected(one.url) as here,
        connected(two.url) as there,
    ):
        assert here.responses.retrieve(first.id) == there.responses.retrieve(first.id) == first
        second = here.responses.create(
            model=MODEL, input="[[say Two.]]", previous_response_id=first.id
        )
        third = there.responses.create(model=MODEL, input="hi", previous_response_id=second.id)
        assert third.previous_response_id == second.id
        for client in (here, there):
            client.responses.create(model=MODEL, input="hi", conversation=conversation.id)
        found = list(here.conversations.items.list(conversation.id))
        assert len(found) == 7, "one item, and three of each server's run"
        running = here.responses.create(model=MODEL, input="[[silence 600]]", background=True)
        assert there.responses.cancel(running.id).status == "cancelled"
        assert here.responses.retrieve(running.id).status == "cancelled"
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_server_that_is_told_to_stop_leaves_no_response_running(
    backend: Running, tmp_path: Path
) -> None:
    flags = ("--quiet", "--state", str(tmp_path / "state.db"))
    with server(*flags, env=backend.env) as door, connected(door.url) as client:
        cut = client.responses.create(model=MODEL, input="[[silence 600]]", background=True)
        client.close()
        assert door.stop(15) == 143
    with server(*flags, env=backend.env) as door, connected(door.url) as client:
        found = client.responses.retrieve(cut.id)
    assert found.status == "failed"
    assert found.error is not None
    assert found.error.code == "server_error"
