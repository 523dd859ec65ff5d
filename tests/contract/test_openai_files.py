"""Stored files, by the official clients, unmodified, against a real `codexapi serve` process."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI
from tests.processes import server, simulator

MODEL = "gpt-6.1-sol"
PDF = b"%PDF-1.4\n1 0 obj stream BT (Attention is all you need) Tj ET endstream endobj"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("files")
    state = str(folder / "state.db")
    with (
        simulator(folder / "codex") as backend,
        server("--quiet", "--state", state, env=backend.env) as door,
    ):
        yield door.url


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(
        base_url=url, api_key="unused", max_retries=0, _strict_response_validation=True
    ) as client:
        yield client


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.pdf"
    path.write_bytes(PDF)
    return path


@pytest.fixture
def opened(paper: Path) -> Iterator[BinaryIO]:
    with paper.open("rb") as file:
        yield file


def test_the_documented_example_of_a_pdf_works_as_it_stands(
    client: OpenAI, opened: BinaryIO
) -> None:
    file = client.files.create(file=opened, purpose="user_data")
    response = client.responses.create(
        model=MODEL,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_file", "file_id": file.id},
                    {"type": "input_text", "text": "What is the first dragon in the book?"},
                ],
            }
        ],
    )
    assert "paper.pdf (“Attention is all you need”)" in response.output_text


def test_the_documented_example_of_a_pdf_in_chat_works_as_it_stands(
    client: OpenAI, opened: BinaryIO
) -> None:
    file = client.files.create(file=opened, purpose="user_data")
    completion = client.chat.completions.create(
        model=MODEL,
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "file", "file": {"file_id": file.id}},
                    {"type": "text", "text": "What is the first dragon in the book?"},
                ],
            }
        ],
    )
    assert "paper.pdf" in str(completion.choices[0].message.content)


def test_every_method_of_the_client_works(client: OpenAI, paper: Path) -> None:
    made = [
        client.files.create(
            file=paper,
            purpose="assistants",
            expires_after={"anchor": "created_at", "seconds": 3_600},
        )
        for _ in "123"
    ]
    assert [file.id for file in client.files.list(purpose="assistants", limit=1)] == [
        file.id for file in reversed(made)
    ], "page by page"
    file = client.files.retrieve(made[0].id)
    assert file == made[0]
    assert (file.filename, file.bytes, file.status) == ("paper.pdf", len(PDF), "processed")
    assert file.expires_at == file.created_at + 3_600
    assert client.files.content(file.id).read() == PDF
    assert client.files.wait_for_processing(file.id) == file
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match=f"No such File object: {file.id}"):
        client.files.retrieve(file.id)
    with pytest.raises(openai.BadRequestError, match="no fine-tuning"):
        client.files.create(file=paper, purpose="fine-tune")


def test_the_documented_line_of_curl_works_as_it_stands(url: str, paper: Path) -> None:
    command = [
        "curl", "--silent", f"{url}/files", "-H", "Authorization: Bearer $OPENAI_API_KEY",
        "-F", "purpose=user_data", "-F", f"file=@{paper}",
        "-F", "expires_after[anchor]=created_at", "-F", "expires_after[seconds]=2592000",
    ]  # fmt: skip
    answered = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert re.search(r'"id":"file-\w+".*"filename":"paper.pdf"', answered.stdout)


def test_anthropic_s_client_uploads_names_lists_and_deletes(url: str, paper: Path) -> None:
    base = url.removesuffix("/v1")
    with Anthropic(base_url=base, api_key="unused", max_retries=0) as client:
        file = client.files.upload(file=paper)
        assert (file.filename, file.mime_type) == ("paper.pdf", "application/pdf")
        assert client.files.retrieve_metadata(file.id) == file
        assert file.id in [listed.id for listed in client.files.list(limit=1)]
        assert client.files.download(file.id).read() == PDF
        message = client.messages.create(
            model="claude-opus-5-5",
            max_tokens=100,
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "source": {"type": "file", "file_id": file.id}},
                        {"type": "text", "text": "What is in it?"},
                    ],
                }
            ],
        )
        assert "paper.pdf" in message.content[-1].to_json()
        assert client.files.delete(file.id).type == "file_deleted"
