"""Audio files: how long they are, where they are cut, and the form in which they go up."""

from __future__ import annotations

import io
import wave

import pytest
from tests.audio_files import RATE, flac, mp3, mp4, wav

from codexapi_engine.errors import InvalidRequest, UnexpectedAnswer
from codexapi_engine.protocol import audio, sse
from codexapi_engine.protocol.audio.duration import seconds
from codexapi_engine.protocol.audio.request import FORMATS, RULES, from_client
from codexapi_engine.protocol.rules import FieldRule

MODEL = {"model": "gpt-4o-transcribe"}


def frames(data: bytes) -> tuple[wave._wave_params, bytes]:
    with wave.open(io.BytesIO(data)) as file:
        return file.getparams(), file.readframes(file.getnframes())


# Cutting


@pytest.mark.parametrize("channels", [1, 2])
def test_pieces_are_cut_in_pauses_and_together_they_are_the_audio_file(channels: int) -> None:
    whole = wav([5] * 25, pause=80, channels=channels)
    cut = audio.pieces(whole, 10.0)
    sounds = [frames(piece)[1] for piece in cut]
    assert b"".join(sounds) == frames(whole)[1]
    assert len(cut) == 3
    for piece, sound in zip(cut, sounds, strict=True):
        params, _ = frames(piece)
        assert (params.nchannels, params.framerate) == (channels, RATE)
        assert params.nframes <= 10 * RATE
        if piece is not cut[0]:
            assert sound[: 60 * channels] == bytes(60 * channels), "it begins in a pause"


def test_an_audio_file_without_a_pause_is_cut_all_the_same() -> None:
    cut = audio.pieces(wav([5] * 25), 10.0)
    assert [round(frames(piece)[0].nframes / RATE) for piece in cut] == [10, 10, 5]


@pytest.mark.parametrize(
    "data",
    [
        wav([5] * 10),
        b"RIFF",
        b"RIFF\x00\x00\x00\x00WAVE",
        flac(600),
        wav([5] * 30).replace(b"\x10\x00data", b"\x08\x00data"),  # 8 bits
        wav([5] * 30)[:20] + b"\x03" + wav([5] * 30)[21:],  # floats
        b"",
    ],
)
def test_what_is_short_or_no_plain_wav_is_one_piece(data: bytes) -> None:
    assert audio.pieces(data, 10.0) == [data]


def test_a_wav_that_was_cut_off_has_the_seconds_that_are_there() -> None:
    whole = wav([5] * 20)
    endless = whole[:40] + b"\xff\xff\xff\xff" + whole[44:]
    assert seconds(endless) == 20
    assert len(audio.pieces(endless[: 44 + 15 * RATE * 2 + 1], 10.0)) == 2


def test_other_chunks_of_a_wav_are_passed_over() -> None:
    whole = wav([5] * 20)
    listed = whole[:36] + b"LIST\x03\x00\x00\x00abc\x00" + whole[36:]
    assert seconds(listed) == 20
    assert len(audio.pieces(listed, 15.0)) == 2


# How long


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (wav([1] * 7), 7),
        (flac(90.5), 90.5),
        (mp4(81), 81),
        (mp4(81, version=1), 81),
        (mp3(100), 100),
        (mp3(100, tag=300), 100),
        (b"OggS", None),
        (b"", None),
        (flac(90)[:20], None),
        (flac(90, rate=0), None),
        (mp4(81)[:40], None),
        (b"ID3", None),
        (b"\xff" * 9_000, None),
    ],
)
def test_how_long_an_audio_file_is(data: bytes, expected: float | None) -> None:
    assert seconds(data) == expected


def test_a_warning_stands_where_the_end_is_left_out() -> None:
    assert audio.warning(wav([1] * 80), split=False) is None
    assert audio.warning(wav([1] * 81), split=True) is None
    for data, split in ((wav([1] * 81), False), (flac(81), True), (mp3(81), False)):
        assert "has 81 s" in str(audio.warning(data, split=split))


# The form


@pytest.mark.parametrize(
    ("audio_file", "name", "media_type"),
    [
        (audio.AudioFile(b"x", "My voice.mp3"), "audio.mp3", "audio/mpeg"),
        (audio.AudioFile(b"x", 'a"b.WEBM'), "audio.webm", "audio/webm"),
        (audio.AudioFile(b"fLaC"), "audio.flac", "audio/flac"),
        (audio.AudioFile(mp4(1)), "audio.m4a", "audio/mp4"),
        (audio.AudioFile(b"OggS", "upload"), "audio.ogg", "audio/ogg"),
        (audio.AudioFile(b"?", "notes.txt"), "audio.wav", "audio/wav"),
    ],
)
def test_a_form_has_the_kind_of_the_audio_file_and_not_its_name(
    audio_file: audio.AudioFile, name: str, media_type: str
) -> None:
    made = audio.form(audio_file, None, "edge")
    assert made.media_type == "multipart/form-data; boundary=edge"
    assert made.content == (
        f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + audio_file.data
        + b"\r\n--edge--\r\n"
    )


def test_a_language_stands_beside_the_file() -> None:
    made = audio.form(audio.AudioFile(b"x"), "de", "edge").content
    assert made.endswith(b'form-data; name="language"\r\n\r\nde\r\n--edge--\r\n')


@pytest.mark.parametrize("answer", [{}, {"text": None}, {"text": 5}])
def test_an_answer_without_a_text_is_none(answer: dict[str, object]) -> None:
    with pytest.raises(UnexpectedAnswer):
        audio.from_backend(answer)


# What a client may send


@pytest.mark.parametrize(
    ("field", "rule"), [(name, rule) for name, rule in RULES.items() if name != "file"]
)
def test_each_field_has_its_rule(field: str, rule: FieldRule) -> None:
    value = {"model": "whisper-1", "response_format": "text", "stream": "true"}.get(field, "de")
    params, ignored = from_client({**MODEL, field: value})
    assert ignored == ((field,) if rule is FieldRule.IGNORED else ())
    if rule is FieldRule.IGNORED:
        with pytest.raises(InvalidRequest) as caught:
            from_client({**MODEL, field: value}, strict=True)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", field)
    assert params.streams is (field == "stream")
    assert params.splits is (field == "chunking_strategy")


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15",
        "whisper-1", "gpt-transcribe", "mine",
    ],
)  # fmt: skip
def test_every_name_of_a_transcription_model_is_taken(model: str) -> None:
    assert from_client({"model": model}, aliases=["mine"])[0].model == model


@pytest.mark.parametrize(
    ("fields", "param", "code", "words"),
    [
        ({}, "model", "missing_required_parameter", "model"),
        ({"model": ""}, "model", "invalid_value", "model"),
        ({"model": "gpt-6.1-sol"}, "model", "unsupported_value", "name gpt-4o-transcribe"),
        ({"model": "gpt-4o-transcribe-diarize"}, "model", "unsupported_value", "transcribes nothing"),
        ({**MODEL, "response_format": "srt"}, "response_format", "unsupported_value", "no times"),
        ({**MODEL, "response_format": "vtt"}, "response_format", "unsupported_value", "no times"),
        ({**MODEL, "response_format": "verbose_json"}, "response_format", "unsupported_value", "no times"),
        ({**MODEL, "response_format": "diarized_json"}, "response_format", "unsupported_value", "no speakers"),
        ({**MODEL, "language": 'de"\r\n'}, "language", "invalid_value", "language"),
        ({**MODEL, "stream": "maybe"}, "stream", "invalid_value", "stream"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fields: dict[str, str], param: str, code: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        from_client(fields)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert words in caught.value.message


def test_an_object_of_a_form_is_one_field() -> None:
    fields = {**MODEL, "chunking_strategy[type]": "server_vad", "chunking_strategy[threshold]": "1"}
    params, ignored = from_client(fields)
    assert (params.splits, ignored) == (True, ())


def test_the_supported_formats_are_these() -> None:
    for name in FORMATS:
        assert from_client({**MODEL, "response_format": name})[0].response_format == name


# The stream


def test_a_stream_has_a_delta_for_each_piece_and_a_whole_text_at_its_end() -> None:
    stream = audio.TranscriptStream()
    written = [
        *(part for text in ("Hello", " ", "world. ") for part in stream.feed(audio.piece_event(text))),
        *stream.close(),
    ]  # fmt: skip
    events = [event.json for event in sse.Decoder().feed(b"".join(written)) if event.json]
    assert events == [
        {"type": "transcript.text.delta", "delta": "Hello"},
        {"type": "transcript.text.delta", "delta": " world."},
        {"type": "transcript.text.done", "text": "Hello world."},
    ]
