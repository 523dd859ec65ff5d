"""The Files endpoints, and the file ids of requests in every dialect."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.drawn import picture
from tests.http_server import forms, raw
from tests.http_server.doors import MODEL, Door, door, responses
from tests.http_server.raw import JsonObject, Reply, get, post
from tests.http_server.test_stored_locked import locked, served
from tests.two_accounts import TwoAccounts

from codexapi_engine.bounds import MAX_FILE_BYTES

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

FILES, RESPONSES, CHAT, MESSAGES = (
    "/v1/files",
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/messages",
)
CONVERSATIONS = "/v1/conversations"
VERSION = "anthropic-version: 2023-06-01"
PDF = b"%PDF-1.4\n(Rainfall of May) Tj"
PDF_URL = "data:application/pdf;base64," + base64.b64encode(PDF).decode()
PNG = picture("png")
PNG_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_accounts() -> TwoAccounts:
    return TwoAccounts()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(shared_accounts: TwoAccounts) -> AsyncIterator[Door]:
    async with door(shared_accounts, store=shared_accounts.store) as opened:
        yield opened


@pytest.fixture
def backend(shared_accounts: TwoAccounts) -> TwoAccounts:
    shared_accounts.requests.clear()
    return shared_accounts


def upload(data: bytes = PDF, name: str = "may.pdf", **fields: str) -> bytes:
    fields = {"purpose": "user_data", **fields}
    parts = [forms.part(field, value) for field, value in fields.items()]
    return forms.post(FILES, *parts, forms.part("file", data, file=name))


async def made(server: Door, data: bytes = PDF, name: str = "may.pdf", **fields: str) -> JsonObject:
    reply = await server.reply(upload(data, name, **fields))
    assert reply.status == 200, reply
    return reply.json


def delete(path: str, *headers: str) -> bytes:
    return raw.head(f"DELETE {path}", "Host: 127.0.0.1", *headers)


def no_such(reply: Reply, name: str, param: str | None) -> None:
    error = reply.refused(404, None)
    assert error["message"] == f"No such File object: {name}"
    assert (error["type"], error["param"]) == ("invalid_request_error", param)


# The endpoints


async def test_a_file_is_made_read_and_deleted_in_the_official_forms(server: Door) -> None:
    file = await made(server)
    name = file["id"]
    assert name.startswith("file-")
    assert file == {
        "object": "file", "id": name, "purpose": "user_data", "filename": "may.pdf",
        "bytes": len(PDF), "created_at": file["created_at"], "expires_at": None,
        "status": "processed", "status_details": None,
    }  # fmt: skip
    assert (await server.reply(get(f"{FILES}/{name}"))).json == file
    content = await server.reply(get(f"{FILES}/{name}/content"))
    assert content.body == PDF
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["x-content-type-options"] == "nosniff"
    assert content.headers["content-disposition"] == "attachment; filename*=utf-8''may.pdf"
    gone = await server.reply(delete(f"{FILES}/{name}"))
    assert gone.json == {"id": name, "object": "file", "deleted": True}
    for request in (
        get(f"{FILES}/{name}"), get(f"{FILES}/{name}/content"), delete(f"{FILES}/{name}"),
    ):  # fmt: skip
        no_such(await server.reply(request), name, "id")


async def test_lists_have_an_order_a_limit_a_start_and_a_purpose(server: Door) -> None:
    names = [(await made(server, purpose=purpose))["id"] for purpose in ("vision", "assistants", "vision")]  # fmt: skip
    oldest_first = await listed(server, "?order=asc")
    assert oldest_first[-3:] == names
    assert await listed(server, "") == oldest_first[::-1]
    assert await listed(server, "?limit=2") == names[:0:-1]
    assert (await listed(server, f"?after={names[2]}"))[:2] == names[1::-1]
    assert await listed(server, "?purpose=vision&order=asc") == [names[0], names[2]]
    assert await listed(server, "?purpose=batch") == []


async def listed(server: Door, query: str) -> list[str]:
    page = (await server.reply(get(FILES + query))).json
    names = [file["id"] for file in page["data"]]
    ends = (names[0], names[-1]) if names else (None, None)
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", *ends)
    assert page["has_more"] is ("limit" in query)
    return names


@pytest.mark.parametrize("query", ["limit=0", "limit=10001", "limit=x", "order=up", "after=file-1"])
async def test_a_wrong_query_is_named(server: Door, query: str) -> None:
    reply = await server.reply(get(f"{FILES}?{query}"))
    assert reply.refused(400, "invalid_value")["param"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("parts", "param", "code"),
    [
        ([("purpose", "user_data")], "file", "missing_required_parameter"),
        ([("file", PDF)], "purpose", "missing_required_parameter"),
        ([("file", PDF), ("purpose", "batch")], "purpose", "invalid_value"),
        ([("file", PDF), ("purpose", "fine-tune")], "purpose", "invalid_value"),
        ([("file", PDF), ("purpose", "evals")], "purpose", "invalid_value"),
        ([("file", PDF), ("purpose", "?")], "purpose", "invalid_value"),
        ([("file", b""), ("purpose", "user_data")], "file", "invalid_file"),
        ([("file", "text"), ("purpose", "user_data")], "file", "invalid_type"),
        ([("file", PDF), ("purpose", "user_data"), ("expires_after[anchor]", "created_at")],
         "expires_after.seconds", "missing_required_parameter"),
        ([("file", PDF), ("purpose", "user_data"), ("expires_after[anchor]", "now"), ("expires_after[seconds]", "3600")],
         "expires_after.anchor", "invalid_value"),
        ([("file", PDF), ("purpose", "user_data"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3599")],
         "expires_after.seconds", "invalid_value"),
        ([("file", PDF), ("purpose", "user_data"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "2592001")],
         "expires_after.seconds", "invalid_value"),
        ([("file", PDF), ("purpose", "user_data"), ("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "long")],
         "expires_after.seconds", "invalid_type"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_an_upload_is_named(
    server: Door, parts: list[tuple[str, Any]], param: str, code: str
) -> None:
    form = [
        forms.part(name, value, file="a.pdf" if isinstance(value, bytes) else None)
        for name, value in parts
    ]
    reply = await server.reply(forms.post(FILES, *form))
    assert reply.refused(400, code)["param"] == param


async def test_a_purpose_that_the_backend_lacks_is_refused_by_name(server: Door) -> None:
    for purpose, words in (("batch", "no batches"), ("fine-tune", "no fine-tuning")):
        message = (await server.reply(upload(purpose=purpose))).error["message"]
        assert "'assistants', 'user_data', 'vision'" in message
        assert words in message


async def test_a_file_says_when_it_expires(server: Door) -> None:
    anchor, seconds = "expires_after[anchor]", "expires_after[seconds]"
    file = (await server.reply(upload(PDF, "a", **{anchor: "created_at", seconds: "3600"}))).json
    assert file["expires_at"] == file["created_at"] + 3_600


async def test_unknown_fields_are_named_and_refused_when_strict(
    server: Door, backend: TwoAccounts
) -> None:
    reply = await server.reply(upload(colour="red"))
    assert (reply.status, reply.headers["x-codexapi-ignored"]) == (200, "colour")
    async with door(backend, strict=True) as strict:
        refused = await strict.reply(upload(colour="red"))
    assert refused.refused(400, "unsupported_parameter")["param"] == "colour"


async def test_a_body_that_is_no_form_is_refused(server: Door) -> None:
    (await server.reply(post(FILES, {"purpose": "vision"}))).refused(415, "unsupported_media_type")
    cut = upload()[:-10].replace(b"Content-Length", b"X-Length")
    assert b"X-Length" in cut
    broken = raw.post(FILES, b"--nothing", forms.KIND)
    (await server.reply(broken)).refused(400, "invalid_form")


async def test_a_file_that_is_too_large_is_refused(server: Door) -> None:
    reply = await server.reply(upload(b"x" * (MAX_FILE_BYTES + 1)))
    error = reply.refused(413, "request_too_large")
    assert (error["param"], f"{MAX_FILE_BYTES >> 20} MiB" in error["message"]) == ("file", True)


# Whose they are


async def test_two_accounts_never_see_each_other_s_files(
    server: Door, backend: TwoAccounts
) -> None:
    mine = (await made(server))["id"]
    await backend.log_in("B")
    try:
        assert await listed(server, "") == []
        for request in (
            get(f"{FILES}/{mine}"), get(f"{FILES}/{mine}/content"), delete(f"{FILES}/{mine}"),
        ):  # fmt: skip
            no_such(await server.reply(request), mine, "id")
        asked = ask([user({"type": "input_file", "file_id": mine})])
        reply = await server.reply(post(RESPONSES, asked))
        no_such(reply, mine, "input[0].content[0].file_id")
        edit = {"prompt": "x", "images": [{"file_id": mine}]}
        no_such(await server.reply(post("/v1/images/edits", edit)), mine, "images[0].file_id")
        theirs = (await made(server))["id"]
        assert await listed(server, "") == [theirs]
    finally:
        await backend.log_in("A")
    assert mine in await listed(server, "")
    assert theirs not in await listed(server, "")


async def test_without_a_login_there_is_nobody_to_store_for(tmp_path: Path) -> None:
    from codexapi_engine.login.store import InMemory

    accounts = TwoAccounts()
    async with door(accounts, store=InMemory(b"")) as server:
        for request in (upload(), get(FILES)):
            assert (await server.reply(request)).status == 401


# File ids in requests


def user(*parts: JsonObject) -> JsonObject:
    return {"role": "user", "content": list(parts)}


def ask(items: list[JsonObject]) -> JsonObject:
    return {"model": MODEL, "input": items}


def asked_by(dialect: str, name: str, kind: str) -> tuple[str, JsonObject, str]:
    """A request with a file id: its path, its body, and how it names the id."""
    body: JsonObject
    part = {"type": f"input_{kind}", "file_id": name}
    if dialect == "responses":
        return RESPONSES, ask([user(part)]), "input[0].content[0].file_id"
    if dialect == "output":
        call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
        output = {"type": "function_call_output", "call_id": "c", "output": [part]}
        return RESPONSES, ask([user(), call, output]), "input[2].output[0].file_id"
    if dialect == "chat":
        body = {"model": MODEL, "messages": [user({"type": "file", "file": {"file_id": name}})]}
        return CHAT, body, "messages[0].content[0].file.file_id"
    if dialect == "parts of responses in chat":
        return CHAT, {"model": MODEL, "messages": [user(part)]}, "messages[0].content[0].file_id"
    if dialect == "mixed":
        return CHAT, ask([user(part)]), "input[0].content[0].file_id"
    source = {"type": "file", "file_id": name}
    block = {"type": "image" if kind == "image" else "document", "source": source}
    body = {"model": MODEL, "max_tokens": 9, "messages": [user(block)]}
    return MESSAGES, body, "messages.0.content.0.source.file_id"


every_dialect = pytest.mark.parametrize(
    "dialect",
    ["responses", "output", "chat", "parts of responses in chat", "mixed", "messages"],
)


def parts_of(body: JsonObject) -> list[JsonObject]:
    item = body["input"][-1]
    parts: list[JsonObject] = item.get("content") or item["output"]
    return parts


@every_dialect
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_file_goes_up_in_place_of_its_id(
    server: Door, backend: TwoAccounts, dialect: str, streamed: bool
) -> None:
    path, body, _ = asked_by(dialect, (await made(server))["id"], "file")
    reply = await server.reply(post(path, {**body, "stream": streamed}))
    assert reply.status == 200, reply
    whole = {"type": "input_file", "filename": "may.pdf", "file_data": PDF_URL}
    assert parts_of(backend.bodies[-1]) == [whole]


@pytest.mark.parametrize("dialect", ["responses", "output", "mixed", "messages"])
async def test_a_picture_goes_up_in_place_of_its_id(
    server: Door, backend: TwoAccounts, dialect: str
) -> None:
    name = (await made(server, PNG, "no-name", purpose="vision"))["id"]
    path, body, _ = asked_by(dialect, name, "image")
    assert (await server.reply(post(path, body))).status == 200
    assert parts_of(backend.bodies[-1]) == [{"type": "input_image", "image_url": PNG_URL}]


async def test_what_stands_beside_a_file_id_stays(server: Door, backend: TwoAccounts) -> None:
    picture_id, text_id = (await made(server, PNG))["id"], (await made(server, b"rain\n"))["id"]
    asked = ask(
        [
            user(
                {"type": "input_image", "file_id": picture_id, "detail": "low"},
                {"type": "input_file", "file_id": text_id, "filename": "b.txt"},
                {"type": "input_text", "text": "hi"},
            )
        ]
    )
    assert (await server.reply(post(RESPONSES, asked))).status == 200
    assert parts_of(backend.bodies[-1]) == [
        {"type": "input_image", "image_url": PNG_URL, "detail": "low"},
        {"type": "input_text", "text": '<file name="b.txt">\nrain\n\n</file>'},
        {"type": "input_text", "text": "hi"},
    ]


@every_dialect
async def test_an_id_that_no_file_has_is_named_by_its_field(
    server: Door, backend: TwoAccounts, dialect: str
) -> None:
    path, body, param = asked_by(dialect, "file-none", "file")
    reply = await server.reply(post(path, body))
    if path == MESSAGES:
        error = reply.json["error"]
        assert (reply.status, error["type"]) == (404, "not_found_error")
        assert error["message"] == f"{param}: No such File object: file-none"
    else:
        no_such(reply, "file-none", param)
    assert backend.bodies == []


@pytest.mark.parametrize("dialect", ["responses", "messages"])
async def test_a_file_that_is_no_picture_is_named_by_its_field(
    server: Door, backend: TwoAccounts, dialect: str
) -> None:
    path, body, param = asked_by(dialect, (await made(server))["id"], "image")
    reply = await server.reply(post(path, body))
    error = reply.json["error"]
    assert reply.status == 400
    assert param in (error.get("param"), error["message"].partition(": ")[0])
    assert "'may.pdf' is no picture" in error["message"]
    assert backend.bodies == []


async def test_the_files_of_a_request_are_bounded_however_often_they_are_named(
    server: Door, backend: TwoAccounts
) -> None:
    name = (await made(server, b"\xff" * (MAX_FILE_BYTES // 4)))["id"]
    part = {"type": "input_file", "file_id": name}
    reply = await server.reply(post(RESPONSES, ask([user(*[part] * 5)])))
    error = reply.refused(400, "file_too_large")
    assert error["param"] == "input[0].content[0].file_id"
    assert f"{MAX_FILE_BYTES >> 20} MiB" in error["message"]
    assert backend.bodies == []
    await server.reply(delete(f"{FILES}/{name}"))


async def test_a_chain_keeps_the_id_and_sends_the_file_each_time(
    server: Door, backend: TwoAccounts
) -> None:
    name = (await made(server))["id"]
    part = {"type": "input_file", "file_id": name}
    first = (await server.reply(post(RESPONSES, ask([user(part)])))).json
    items = (await server.reply(get(f"{RESPONSES}/{first['id']}/input_items"))).json
    assert items["data"][0]["content"] == [part]
    chain = responses("and now?", previous_response_id=first["id"])
    assert (await server.reply(post(RESPONSES, chain))).status == 200
    assert backend.bodies[-1]["input"][0]["content"][0]["file_data"] == PDF_URL
    await server.reply(delete(f"{FILES}/{name}"))
    no_such(await server.reply(post(RESPONSES, chain)), name, "previous_response_id")


async def test_a_conversation_takes_no_item_whose_file_is_unknown(
    server: Door, backend: TwoAccounts
) -> None:
    part = {"type": "input_file", "file_id": (await made(server))["id"]}
    conversation = (await server.reply(post(CONVERSATIONS, {"items": [user(part)]}))).json["id"]
    unknown = user({**part, "file_id": "file-none"})
    for path in (CONVERSATIONS, f"{CONVERSATIONS}/{conversation}/items"):
        reply = await server.reply(post(path, {"items": [user(part), unknown]}))
        no_such(reply, "file-none", "items[1].content[0].file_id")
    asked = responses("and now?", conversation=conversation)
    assert (await server.reply(post(RESPONSES, asked))).status == 200
    assert backend.bodies[-1]["input"][0]["content"][0]["file_data"] == PDF_URL


@pytest.mark.parametrize("dialect", ["responses", "messages"])
async def test_an_estimate_counts_what_the_file_says(server: Door, dialect: str) -> None:
    counts = []
    for words in (1, 1_000):
        name = (await made(server, b"rain " * words, "a.txt"))["id"]
        path, body, _ = asked_by(dialect, name, "file")
        path += "/input_tokens" if path == RESPONSES else "/count_tokens"
        counts.append((await server.reply(post(path, body))).json["input_tokens"])
    assert counts[1] > counts[0] + 500


async def test_a_picture_is_edited_by_its_id(server: Door, backend: TwoAccounts) -> None:
    name = (await made(server, PNG))["id"]
    body = {"prompt": "x", "images": [{"file_id": name}]}
    assert (await server.reply(post("/v1/images/edits", body))).status == 200
    assert base64.b64encode(PNG).decode() in backend.requests[-1].body.decode()


async def test_the_mask_of_a_tool_goes_up_in_place_of_its_id(
    server: Door, backend: TwoAccounts
) -> None:
    tool = {
        "type": "image_generation",
        "input_image_mask": {"file_id": (await made(server, PNG))["id"]},
    }
    assert (await server.reply(post(RESPONSES, responses("hi", tools=[tool])))).status == 200
    assert backend.bodies[-1]["tools"][0]["input_image_mask"] == {"image_url": PNG_URL}
    tool["input_image_mask"] = {"file_id": "file-none"}
    reply = await server.reply(post(RESPONSES, responses("hi", tools=[tool])))
    no_such(reply, "file-none", "tools[0].input_image_mask.file_id")


# Anthropic's form


async def test_anthropic_s_clients_get_their_own_form(server: Door) -> None:
    form = forms.form(
        forms.part("expires_in_seconds", "7200"), forms.part("file", PNG, file="a.png")
    )
    file = (await server.reply(raw.post(FILES, form, forms.KIND, VERSION))).json
    assert file["created_at"] < file["expires_at"]
    assert file == {
        "type": "file", "id": file["id"], "filename": "a.png", "mime_type": "image/png",
        "size_bytes": len(PNG), "created_at": file["created_at"],
        "expires_at": file["expires_at"], "downloadable": True,
    }  # fmt: skip
    path = f"{FILES}/{file['id']}"
    assert (await server.reply(get(path, VERSION))).json == file
    assert (await server.reply(get(f"{path}/content", VERSION))).body == PNG
    assert (await server.reply(get(path))).json["purpose"] == "user_data", "the same file"
    first = (await server.reply(get(f"{FILES}?limit=1", VERSION))).json
    assert (first["data"], first["has_more"]) == ([file], True)
    rest = (await server.reply(get(f"{FILES}?page={first['next_page']}", VERSION))).json
    assert file["id"] not in [other["id"] for other in rest["data"]]
    only = (await server.reply(get(f"{FILES}?ids[]={file['id']}&ids[]=file-none", VERSION))).json
    assert (only["data"], only["next_page"]) == ([file], None)
    gone = await server.reply(delete(path, VERSION))
    assert gone.json == {"id": file["id"], "type": "file_deleted"}
    missing = await server.reply(get(path, VERSION))
    assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize("seconds", ["3599", "7776001", "x"])
async def test_a_wrong_lifetime_is_named_in_anthropic_s_words(server: Door, seconds: str) -> None:
    form = forms.form(forms.part("expires_in_seconds", seconds), forms.part("file", PNG, file="a"))
    reply = await server.reply(raw.post(FILES, form, forms.KIND, VERSION))
    assert reply.status == 400
    assert reply.json["error"]["message"].startswith("expires_in_seconds: ")


# Where the state is


async def test_a_locked_state_file_refuses_an_upload_and_is_read_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    async with served(path, 0.01) as server:
        file = await made(server)
        with locked(path):
            reply = await server.reply(upload())
            assert "locked" in reply.refused(503, "state_unavailable")["message"]
            gone = await server.reply(delete(f"{FILES}/{file['id']}"))
            gone.refused(503, "state_unavailable")
            assert (await server.reply(get(f"{FILES}/{file['id']}/content"))).body == PDF
            assert await listed(server, "") == [file["id"]]
    async with served(path, 0.01) as again:
        assert await listed(again, "") == [file["id"]]
