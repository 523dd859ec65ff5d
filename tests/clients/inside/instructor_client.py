"""instructor, in the mode that the argument names."""

from __future__ import annotations

import anthropic  # noqa: F401 - instructor imports it for a partial answer: here once for all modes
import instructor
from asked import EXTRACT, MODEL, TEXT, Person, mode, tell
from openai import OpenAI

instructor.from_openai(OpenAI())  # likewise what it imports for that
MODE = mode()
client = instructor.from_openai(OpenAI(), mode=instructor.Mode[MODE.upper()])


def ask(prompt: str, **more):
    messages = [{"role": "user", "content": prompt}]
    return client.create(model=MODEL, messages=messages, max_retries=0, **more)


def text():
    return ask(TEXT, response_model=None).choices[0].message.content


def structured():
    return ask(EXTRACT, response_model=Person).model_dump()


def structured_stream():
    *_, last = client.create_partial(
        model=MODEL, messages=[{"role": "user", "content": EXTRACT}], response_model=Person
    )
    return last.model_dump()


def several():
    people = ask("Extract: Ada is 36, Bob is 25", response_model=list[Person])
    return [person.model_dump() for person in people]


tell(*[text] * (MODE != "responses_tools"), structured, structured_stream, several)
