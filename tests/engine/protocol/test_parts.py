"""Pictures and files in messages and outputs, and the word "json" in them, in every dialect."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.drawn import picture
from tests.engine.protocol.dialects import DIALECTS, HI, from_chat, responses_call

from codexapi_engine.errors import InvalidRequest
from codexapi_engine.protocol import JsonObject
from codexapi_engine.protocol.images import data_url

every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
JPEG = data_url("image/jpeg", picture("jpeg"))
WRONG = [
    JPEG.replace("image/jpeg", "image/jpg"),
    JPEG.replace("image/jpeg", "application/octet-stream"),
    JPEG.replace("base64,", "base64,\n"),
]
BMP = data_url("image/bmp", picture("bmp"))


def image(dialect: str, url: str) -> JsonObject:
    if dialect == "chat":
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "input_image", "image_url": url}


def file(dialect: str, **fields: str) -> JsonObject:
    if dialect == "chat":
        return {"type": "file", "file": fields}
    return {"type": "input_file", **fields}


def saying(dialect: str, *parts: JsonObject) -> list[JsonObject]:
    """The parts of a user's message, as the backend gets them."""
    message = {"role": "user", "content": list(parts)}
    field = "messages" if dialect == "chat" else "input"
    sent: list[JsonObject] = DIALECTS[dialect](**{field: [message]})["input"][0]["content"]
    return sent


def answering(dialect: str, *parts: JsonObject) -> list[JsonObject]:
    """The parts of a tool's output, as the backend gets them."""
    call, output = responses_call("c1")
    if dialect != "chat":
        sent = DIALECTS[dialect](input=[HI, call, {**output, "output": list(parts)}])
    else:
        calls = [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        answer = {"role": "tool", "tool_call_id": "c1", "content": list(parts)}
        sent = from_chat(messages=[HI, {"role": "assistant", "tool_calls": calls}, answer])
    result: list[JsonObject] = sent["input"][2]["output"]
    return result


@every_dialect
@pytest.mark.parametrize("place", [saying, answering])
@pytest.mark.parametrize("url", [*WRONG, JPEG])
def test_a_picture_goes_up_as_what_it_is(dialect: str, place: Any, url: str) -> None:
    (part,) = place(dialect, image(dialect, url))
    assert part == {"type": "input_image", "image_url": JPEG}


@every_dialect
@pytest.mark.parametrize("place", [saying, answering])
def test_a_picture_that_no_model_reads_is_refused_by_its_place(dialect: str, place: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        place(dialect, image(dialect, BMP))
    assert caught.value.code == "invalid_image_format"
    assert "image_url" in str(caught.value.param)


@every_dialect
def test_an_address_is_for_the_backend_to_fetch(dialect: str) -> None:
    (part,) = saying(dialect, image(dialect, "https://example.org/a.bmp"))
    assert part["image_url"] == "https://example.org/a.bmp"


@every_dialect
@pytest.mark.parametrize("place", [saying, answering])
@pytest.mark.parametrize("kind", ["input_image", "input_file"])
def test_a_file_id_passes_and_what_is_null_beside_it_does_not(
    dialect: str, place: Any, kind: str
) -> None:
    nulls: JsonObject = {"image_url": None} if kind == "input_image" else {"file_data": None}
    part = {"type": kind, "file_id": "file-1"}
    assert place(dialect, {**part, **nulls}) == [part]


TEXT = "a: 1\nß\n"
CODED = base64.b64encode(TEXT.encode()).decode()


@every_dialect
@pytest.mark.parametrize(
    "data",
    [
        CODED,
        f"data:application/yaml;base64,{CODED}",
        f"data:application/javascript;base64,{CODED}",
        f"data:application/octet-stream;base64,{CODED}",
        f"data:text/plain;charset=utf-8;base64,{CODED}",
        f"data:;base64,{CODED}",
        CODED[:4] + "\n" + CODED[4:],
    ],
)
@pytest.mark.parametrize("name", ["main.py", "a.toml", "a.unknown", "a.pdf"])
def test_a_file_of_text_goes_as_text(dialect: str, data: str, name: str) -> None:
    (part,) = saying(dialect, file(dialect, file_data=data, filename=name))
    assert part == {"type": "input_text", "text": f'<file name="{name}">\n{TEXT}\n</file>'}


PDF = base64.b64encode(b"%PDF-1.7\n\xff\x00").decode()
ZIP = base64.b64encode(b"PK\x03\x04\xff\x00").decode()


@every_dialect
@pytest.mark.parametrize(
    ("data", "name", "label"),
    [
        (PDF, "a.pdf", "application/pdf"),
        (PDF, "noname", "application/pdf"),
        (f"data:application/octet-stream;base64,{PDF}", "a.pdf", "application/pdf"),
        (f"data:application/x-pdf;base64,{PDF[:8]}\n{PDF[8:]}", "a.pdf", "application/pdf"),
        (ZIP, "a.docx", "application/octet-stream"),
        (f"data:application/vnd.ms-excel;base64,{ZIP}", "a.xls", "application/vnd.ms-excel"),
        (f"data:application/pdf;base64,{ZIP}", "a.pdf", "application/pdf"),
    ],
)
def test_other_files_go_as_files_and_only_a_pdf_is_called_one(
    dialect: str, data: str, name: str, label: str
) -> None:
    (part,) = saying(dialect, file(dialect, file_data=data, filename=name))
    coded = PDF if PDF[:8] in data else ZIP
    assert part == {
        "type": "input_file", "filename": name, "file_data": f"data:{label};base64,{coded}",
    }  # fmt: skip


@every_dialect
@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("?", "a.pdf"),
        ("data:application/pdf,x", "a.pdf"),
        ("/w==", "a.py"),
        ("data:text/plain;base64,/w==", "a"),
        ("data:application/octet-stream;base64,/w==", "a.yaml"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_by_name(
    dialect: str, data: str, name: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        saying(dialect, file(dialect, file_data=data, filename=name))
    assert caught.value.code == "invalid_file_data"
    assert str(caught.value.param).endswith(".file_data")


# The word that `json_object` needs


def asks_for_json(dialect: str, *content: JsonObject, items: list[JsonObject] | None = None) -> Any:
    message = {"role": "user", "content": list(content) or "go"}
    if dialect == "chat":
        form = {"type": "json_object"}
        return from_chat(messages=[message, *(items or [])], response_format=form)["input"]
    text = {"format": {"type": "json_object"}}
    return DIALECTS[dialect](input=[message, *(items or [])], text=text)["input"]


def is_added(items: list[JsonObject]) -> bool:
    return bool(items[0]["content"] == [{"type": "input_text", "text": "Respond in JSON."}])


@every_dialect
def test_json_in_base64_is_no_word(dialect: str) -> None:
    url = data_url("image/png", b"\x89PNG\r\n\x1a\n\0" + base64.b64decode("json" * 9))
    assert "json" in url
    assert is_added(asks_for_json(dialect, image(dialect, url)))


@every_dialect
def test_json_in_a_name_or_an_id_is_no_word(dialect: str) -> None:
    part = file(dialect, file_data=PDF, filename="data.json.pdf")
    assert is_added(asks_for_json(dialect, part))


@every_dialect
def test_json_in_a_call_or_an_output_is_no_word(dialect: str) -> None:
    turn: list[JsonObject] = [
        {"type": "function_call", "call_id": "json", "name": "get_json", "arguments": '{"json":1}'},
        {"type": "function_call_output", "call_id": "json", "output": "json"},
    ]
    if dialect == "chat":
        call = {"name": "get_json", "arguments": '{"json":1}'}
        turn = [
            {"role": "assistant", "tool_calls": [{"id": "json", "type": "function", "function": call}]},
            {"role": "tool", "tool_call_id": "json", "content": "json"},
        ]  # fmt: skip
    assert is_added(asks_for_json(dialect, items=turn))


@every_dialect
@pytest.mark.parametrize("role", ["user", "assistant", "developer", "system"])
def test_json_in_what_anybody_says_is_the_word(dialect: str, role: str) -> None:
    said = {"role": role, "content": "as jSON"}
    assert not is_added(asks_for_json(dialect, items=[said]))
