"""What redaction keeps of a text, and that nothing else stays."""

from __future__ import annotations

import base64
import itertools
import json
import re
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire_files import NAMES, events, pieces, translated, wire

from codexapi_engine.errors import CodexError
from codexapi_engine.protocol import chat, images, responses
from codexapi_engine.protocol.redaction import Redaction, Standins
from codexapi_engine.protocol.redaction.filler import Filler
from codexapi_engine.protocol.redaction.letters import blank, representative
from codexapi_engine.simulator.png import png

KEY = b"a key of the test"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXTS, inside, max_size=4),
    max_leaves=12,
)  # fmt: skip


def redacted(data: bytes, cuts: Any = (), *, content: bool = False, media_type: str = "") -> bytes:
    body = Redaction.of(KEY, content=content).body(media_type)
    return b"".join([*(body.feed(piece) for piece in pieces(data, cuts)), body.finish()])


def in_json(value: object, *, content: bool = False) -> Any:
    return json.loads(redacted(json.dumps(value).encode(), content=content))


@given(TEXTS)
def test_filler_has_the_classes_and_the_length_of_the_text(text: str) -> None:
    filled = blank(text)
    assert len(filled) == len(text)
    assert len(filled.encode()) == len(text.encode())
    assert list(map(unicodedata.category, filled)) == list(map(unicodedata.category, text))
    assert blank(filled) == filled


@given(TEXTS.filter(lambda text: len(text) > 3))
def test_no_letter_of_a_text_is_in_its_filler(text: str) -> None:
    letters = {one for one in text if unicodedata.category(one)[0] in "LN"}
    kept = letters & set(blank(text))
    assert {representative(one) for one in kept} == kept, "a representative stands for itself"


@given(JSON, st.booleans())
def test_a_json_body_stays_one_of_the_same_length(value: Any, ascii_only: bool) -> None:
    data = json.dumps({"input": value}, ensure_ascii=ascii_only).encode()
    out = redacted(data)
    assert len(out) == len(data)
    assert _shape(json.loads(out)) == _shape(json.loads(data))


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return [_shape(each) for each in value.values()]
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return len(value.encode()) if isinstance(value, str) else value


@given(JSON, st.lists(st.integers(0, 400), max_size=8))
def test_arguments_are_json_and_their_deltas_are_the_whole(value: Any, cuts: list[int]) -> None:
    text = json.dumps({"arguments": value}, ensure_ascii=False)
    standins = Standins(KEY)
    whole = Filler(standins).text(text)
    assert json.loads(whole, object_pairs_hook=list)
    filler = Filler(standins)
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    parts = [filler.text(text[a:b]) for a, b in itertools.pairwise(places)]
    assert "".join(parts) == whole
    assert len(whole.encode()) == len(text.encode())


@given(st.dictionaries(st.text("abcxyz_019", min_size=1, max_size=8), st.integers(), max_size=9))
def test_different_names_have_different_stand_ins(value: dict[str, int]) -> None:
    text = json.dumps(value)
    assert len(json.loads(Filler(Standins(KEY)).text(text))) == len(value)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=6))
def test_any_bytes_pass_with_their_length_and_whatever_the_cuts(
    data: bytes, cuts: list[int]
) -> None:
    assert len(redacted(data, cuts)) == len(data)
    assert redacted(b"event: x\ndata: " + data, cuts) == redacted(b"event: x\ndata: " + data)


@pytest.mark.parametrize("name", NAMES)
def test_a_wire_stays_what_it_is(name: str) -> None:
    data = wire(name)
    out = redacted(data, range(0, len(data), 97))
    assert len(out) == len(data)
    for before, after in zip(events(data), events(out), strict=True):
        assert len(after.raw) == len(before.raw)
        known = not re.search("hologram|rotating", before.type)
        assert (after.type == before.type) is known
        assert not known or set(after.json) == set(before.json)


@pytest.mark.parametrize("name", NAMES)
def test_a_redacted_wire_becomes_what_the_wire_becomes(name: str) -> None:
    """Deltas, wholes and names agree with each other as they did."""
    form = chat.ReplyOptions("a-model", include_usage=True, reasoning=True)
    data = wire(name)
    (before, refused), (after, refused_too) = (
        translated(events(each), chat.ChatStream(form, created=1))
        for each in (data, redacted(data))
    )
    assert type(refused) is type(refused_too)
    assert len(after) == len(before)
    first, second = (_shape(responses_of(each)) for each in (data, redacted(data)))
    assert first == second


def responses_of(data: bytes) -> Any:
    assembler = responses.Assembler()
    for event in events(data):
        try:
            assembler.feed(event)
        except CodexError:
            break
    return assembler.output


def test_the_same_secret_is_the_same_stand_in_in_one_run_and_another_in_the_next() -> None:
    first, again = Standins(KEY), Standins(KEY)
    secret = "resp_68ab10ffcd2e4455aa"
    assert first.identifier(secret) == again.identifier(secret) != secret
    assert first.identifier(secret).startswith("resp_")
    assert Standins(b"another").identifier(secret) != first.identifier(secret)
    assert first.name("get_weather") == again.name("get_weather") != "get_weather"


def test_an_id_refers_to_the_same_thing_in_bodies_and_headers() -> None:
    redaction = Redaction.of(KEY)
    ((_, header),) = redaction.headers([("chatgpt-account-id", "acct-77-secret")])
    body = redaction.body()
    out = json.loads(body.feed(b'{"account_id": "acct-77-secret"}') + body.finish())
    assert out == {"account_id": header}


def test_a_schema_keeps_its_keywords_and_agrees_with_the_arguments() -> None:
    out = in_json(
        {
            "tools": [
                {
                    "type": "function", "name": "get_weather", "strict": True,
                    "parameters": {
                        "type": "object", "required": ["city"], "additionalProperties": False,
                        "properties": {"city": {"type": "string", "enum": ["Oslo"], "format": "date"}},
                    },
                }
            ],
            "input": [{"type": "function_call", "name": "get_weather", "arguments": '{"city":"Oslo"}'}],
        }
    )  # fmt: skip
    tool, call = out["tools"][0], out["input"][0]
    schema = tool["parameters"]
    (city,) = schema["properties"]
    assert city != "city"
    assert schema["required"] == [city]
    assert schema["properties"][city] == {"type": "string", "enum": ["Xxxx"], "format": "date"}
    assert (tool["name"], json.loads(call["arguments"])) == (call["name"], {city: "Xxxx"})


def test_words_of_the_wire_stay_and_other_strings_are_filled() -> None:
    value = {
        "model": "gpt-6.1-sol", "tool_choice": "auto", "reasoning": {"effort": "low"},
        "type": "response.hologram.delta", "subject": "Jane Doe", "version": "0.171.0",
        "status": "completed", "count": 12, "metadata": {"customer": "Jane", "age": 44},
        "role": "user", "text": "user",
    }  # fmt: skip
    out = in_json(value)
    kept = ("model", "tool_choice", "reasoning", "version", "status", "count", "role")
    assert {key: out[key] for key in kept} == {key: value[key] for key in kept}
    assert (out["type"], out["subject"], out["text"]) == (
        "response.xxxxxxxx.delta", "Xxxx Xxx", "xxxx",
    )  # fmt: skip
    ((customer, jane), (age, number)) = out["metadata"].items()
    assert customer != "customer"
    assert (len(age), jane, number) == (3, "Xxxx", 11)


def test_a_message_of_an_error_keeps_the_words_that_programs_read() -> None:
    message = "Rate limit reached for gpt-5.5 in organization org-Ab1: try again in 11s, Jane"
    out = in_json({"error": {"code": "rate_limit_exceeded", "message": message}})["error"]
    assert out["code"] == "rate_limit_exceeded"
    assert out["message"] == (
        "Rate limit reached for gpt-5.5 in organization xxx-Xx1: try again in 11s, Xxxx"
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_keeps_its_format_and_size_and_nothing_else(kind: str) -> None:
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "taken at Jane's home"
    Image.new("RGB", (37, 21), (1, 2, 3)).save(file, kind, exif=exif)
    data = file.getvalue()
    coded = base64.b64encode(data).decode()
    out = in_json({"result": coded, "image_url": f"data:image/png;base64,{coded}"})
    blanked = base64.b64decode(out["result"])
    assert len(blanked) == len(data)
    assert b"Jane" not in blanked
    before, after = images.header(data), images.header(blanked)
    assert before is not None
    assert after is not None
    assert (after.format, after.width, after.height) == (before.format, 37, 21)
    assert out["image_url"] == f"data:image/png;base64,{out['result']}"


def test_with_content_the_content_stays_and_secrets_go() -> None:
    secret = "sk-" + "proj-Ab12Cd34Ef56Gh78"
    value = {
        "id": "resp_12345678", "instructions": "Be brief.", "email": "jane@corp.example",
        "output": f"the key is {secret}", "encrypted_content": "gAAAAABsecret",
    }  # fmt: skip
    out = in_json(value, content=True)
    assert out["instructions"] == "Be brief."
    assert out["output"].startswith("the key is ")
    assert not {secret, value["id"], value["email"], value["encrypted_content"]} & {
        out["output"][11:], *out.values()
    }  # fmt: skip


def test_a_jwt_keeps_its_dates() -> None:
    def part(claims: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    claims = {"exp": 1795902606, "email": "jane@corp.example", "sub": "user-9911"}
    token = f"{part({'alg': 'none'})}.{part(claims)}.c2lnbmF0dXJl"
    out = in_json({"access_token": token})["access_token"]
    middle = out.split(".")[1]
    read = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    assert len(out) == len(token)
    assert read["exp"] == claims["exp"]
    assert read["email"] != claims["email"]
    assert read["sub"] != claims["sub"]


def test_lone_surrogates_in_deltas_make_the_pair_of_the_whole() -> None:
    data = (
        b'data: {"type":"response.output_text.delta","item_id":"a","delta":"x\\ud83d"}\n\n'
        b'data: {"type":"response.output_text.delta","item_id":"a","delta":"\\ude00y"}\n\n'
        b'data: {"type":"response.output_text.done","item_id":"a","text":"x\\ud83d\\ude00y"}\n\n'
    )
    *deltas, done = (json.loads(raw[6:]) for raw in redacted(data).split(b"\n\n")[:-1])
    text = json.loads(json.dumps("".join(one["delta"] for one in deltas)))
    assert text.encode("utf-16", "surrogatepass").decode("utf-16") == done["text"]


def test_letters_behind_backslashes_are_filled_too() -> None:
    out = redacted(b'{"text": "\\S\\E\\C\\n", "output": "{\\"k\\": \\"\\\\S\\\\E\\""}')
    assert b"S" not in out
    assert b"E" not in out
    assert b"\\n" in out


def test_a_name_of_megabytes_is_redacted_in_time() -> None:
    """A hash of all that stands before each letter would take many minutes."""
    (name,) = in_json({"metadata": {"a" * 4_000_000: 1}})["metadata"]
    assert len(name) == 4_000_000


def test_a_compressed_body_is_not_looked_into() -> None:
    body = Redaction.of(KEY).body("application/json", "gzip")
    assert body.feed(b"\x1f\x8bsecret") + body.finish() == bytes(8)


def test_a_form_and_a_web_page_are_filled() -> None:
    kind = "application/x-www-form-urlencoded"
    out = redacted(b"grant_type=refresh_token&refresh_token=rt_Ab12", media_type=kind)
    assert out.startswith(b"grant_type=refresh_token&refresh_token=")
    assert b"rt_Ab12" not in out
    assert redacted(b"<html><p>Jane</p>", media_type="text/html") == b"<html><x>Xxxx</x>"


def test_an_upload_keeps_the_names_of_its_fields_and_what_kind_of_sound_it_is() -> None:
    sound = b"RIFF" + bytes(40) + b"the words of Jane"
    data = (
        b'--cut\r\nContent-Disposition: form-data; name="file"; filename="jane.wav"\r\n\r\n'
        + sound + b'\r\n--cut\r\nContent-Disposition: form-data; name="x"\r\n\r\nauto\r\n--cut--\r\n'
    )  # fmt: skip
    out = redacted(data, media_type="multipart/form-data; boundary=cut")
    assert b'name="file"; filename="xxxx.xxx"' in out
    assert out.count(b"RIFF") == 1
    assert b"Jane" not in out
    assert b"\r\n\r\nauto\r\n--" in out


def test_the_pixels_of_a_png_are_one_chunk_that_ends() -> None:
    data = png(8, 8, "x", transparent=False)
    blanked = base64.b64decode(in_json({"result": base64.b64encode(data).decode()})["result"])
    assert blanked[37:41] == b"IDAT"
    assert int.from_bytes(blanked[33:37], "big") + 57 == len(data)
