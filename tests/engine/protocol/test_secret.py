from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback

import pytest

from codexapi_engine.protocol.secret import Secret

TEXT = "canary-text"
SECRET = Secret(TEXT)


def test_a_secret_is_printed_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("x").info("%s %r %s", SECRET, SECRET, {"in": [SECRET]})
    said = [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r:>20}", f"{SECRET:>20}", caplog.text]
    said += ["{}".format(SECRET), "%s" % SECRET, str([SECRET])]  # noqa: UP031, UP032
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        said += [str(error), "".join(traceback.format_exception(error))]
    assert not [text for text in said if TEXT in text]
    assert "***" in caplog.text


def test_a_secret_is_not_written_down() -> None:
    with pytest.raises(TypeError):
        json.dumps({"key": SECRET})
    with pytest.raises(TypeError):
        pickle.dumps(SECRET)


def test_a_secret_is_told_to_those_who_ask_for_it() -> None:
    assert SECRET.reveal() == TEXT
    assert copy.deepcopy([SECRET]) == [SECRET]


def test_secrets_are_compared_by_their_text_and_with_secrets_alone() -> None:
    assert Secret(TEXT) == SECRET
    assert Secret("other") != SECRET
    assert SECRET != TEXT
    assert {SECRET: 1}[Secret(TEXT)] == 1


def test_nothing_makes_no_secret() -> None:
    assert Secret.of(None) is None
    assert Secret.of("") is None
    assert Secret.of(TEXT) == SECRET
    assert Secret.of(SECRET) is SECRET
