"""Answers of real shape: what models write, cut into deltas of 1 to 40 characters.

The same at every run. Each delta holds one MARK. The plain ones have no character that JSON escapes,
so that what escapes cost is a ratio to them.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

MARK = "~"
PLAIN, PLAIN_CALL = "plain", "plaincall"
"""A text, and a tool call whose arguments are the same text."""

ARGUMENTS = "arguments"
CALLS = frozenset({PLAIN_CALL, ARGUMENTS})
"""Deltas of a tool call; all others are deltas of a text."""

_PROSE = """The tide tables on the harbour wall are wrong by eleven minutes. Nobody minds: "it comes
when it comes", says the woman who sells eels.

Three things changed that year. The ferry stopped at six; the school got a second teacher; and the
old lamp, which everyone had called "the widow", was replaced by one that needs no keeper.

"And the boats?" asked the clerk.

"They steer by the church, as before."
"""
_CODE = '''def merge(left: list[dict[str, int]], right: list[dict[str, int]]) -> list[dict[str, int]]:
    """Joins two sorted lists, by the key "at"."""
    merged = []
    while left and right:
        source = left if left[0]["at"] <= right[0]["at"] else right
        merged.append(source.pop(0))
        if not merged[-1].get("name"):
            raise ValueError(f"row {len(merged)}: no \\"name\\" in {merged[-1]!r}\\n")
    return merged + left + right


if __name__ == "__main__":
\tprint(json.dumps(merge([{"at": 1, "name": "a"}], []), indent="\\t"))
'''
_MARKDOWN = """## What it costs

| server | first token | note |
|:---|---:|---|
| `proxy` | **0.4 ms** | "as is" |
| `queue` | 12 ms | see [the log](https://example.com/log?q="x") |
| *direct* | 0 ms | |

- run `make "all"`
- then:

```sh
curl -s "http://127.0.0.1:8080/v1/models" | jq ".data[].id"
```

> It depends.
"""
_CJK = """港の壁の潮汐表は十一分ずれている。誰も気にしない。「来るときに来る」と鰻を売る女は言う。
那一年有三件事变了：渡船六点停航，学校来了第二位老师，旧灯塔换成了无人看守的新灯。
배는 전처럼 교회를 보고 방향을 잡는다.
"""
_EMOJI = """Done ✅ — the build is green again 🎉🎉
Two tests were flaky 🐛→🦋, and the naïve café example wasn’t “wrong”, just slow 🐢
Next: 👩‍💻 review, 🚀 release, 🍰 for everyone in Zürich 🇨🇭
"""
_WORDS = (
    "the harbour clerk keeps a list of every boat that came and the hour at which it left again "
)

TEXTS = {
    PLAIN: _WORDS, "prose": _PROSE, "code": _CODE, "markdown": _MARKDOWN, "cjk": _CJK,
    "emoji": _EMOJI,
}  # fmt: skip
KINDS = (*TEXTS, PLAIN_CALL, ARGUMENTS)
ASCII = frozenset({"emoji", ARGUMENTS})
"""Written as JSON writers do that know ASCII alone, with `\\u`; the others as UTF-8."""

_OPEN = '"}]}'
_CALL = (
    ('{"pa~th":"', _OPEN),
    ("src/~", _OPEN),
    ("main~.py", _OPEN),
    ('","si~ze":', "0}]}"),
    ('12,"te~xt":"', _OPEN),
    ("say(~", _OPEN),
    (r"\"hel~lo\")\n", _OPEN),
    (r"    return {\"a~\": [1, 2]}\n", _OPEN),
    ('~"}', "]}"),
)
"""Deltas of one edit, and what closes the arguments after each of them."""


class Corpus(NamedTuple):
    """`begins` and `ends` make arguments whole, and have no mark."""

    deltas: tuple[str, ...]
    begins: str = ""
    ends: str = ""


def corpus(kind: str, count: int) -> Corpus:
    if kind == ARGUMENTS:
        return _arguments(count)
    if kind == PLAIN_CALL:
        return Corpus(corpus(PLAIN, count).deltas, '{"text":"', '"}')
    return Corpus(tuple(itertools.islice(_pieces(TEXTS[kind]), count)))


def base(kind: str) -> str | None:
    """The plain deltas that those of this kind are held against. None where they are plain."""
    if kind in (PLAIN, PLAIN_CALL):
        return None
    return PLAIN_CALL if kind in CALLS else PLAIN


def _pieces(text: str) -> Iterator[str]:
    """The text again and again, cut as a model's tokens and the backend's batches cut it."""
    draw, letters = random.Random(23), itertools.cycle(text)
    while True:
        # Most deltas are of one token, and a few of many.
        size = min(40, max(1, round(draw.lognormvariate(1.5, 0.8))))
        yield "".join(itertools.islice(letters, size - 1)) + MARK


def _arguments(count: int) -> Corpus:
    """Edits of a file, one after another."""
    parts = list(itertools.islice(itertools.cycle(_CALL), count))
    deltas = [
        f",{piece}" if place and not place % len(_CALL) else piece
        for place, (piece, _) in enumerate(parts)
    ]
    return Corpus(tuple(deltas), '{"edits":[', parts[-1][1])
