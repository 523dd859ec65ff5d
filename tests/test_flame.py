"""The flame graph of `python -m benchmarks.flame`, from stacks as py-spy writes them."""

from __future__ import annotations

from xml.etree import ElementTree

from benchmarks.flame import WIDTH, picture, tree

LOOP = "MainThread;<module> (cli.py:3);Runner.run (asyncio/runners.py:118)"
HTTPX = "send (/x/python3.11/site-packages/httpx/_client.py:9)"
OURS = "open (/home/me/engine/codexapi_engine/client.py:4)"
STACKS = [
    f"{LOOP} 1",
    f"{LOOP};{OURS} 2",
    f"{LOOP};{OURS};{HTTPX} 5",
    "Thread;wait (threading.py:3) 90",
]
SVG = "{http://www.w3.org/2000/svg}"


def test_a_box_is_as_wide_as_its_share_of_the_event_loop() -> None:
    boxes = {}
    for box in ElementTree.fromstring(picture(tree(STACKS))).iter(f"{SVG}rect"):
        title = box.find(f"{SVG}title")
        if title is not None:
            boxes[title.text] = float(box.attrib["width"]) / WIDTH
    assert boxes == {
        "event loop, 100.0 %": 1,
        "open codexapi_engine/client.py, 87.5 %": 0.875,
        "send httpx/_client.py, 62.5 %": 0.625,
    }


def test_no_box_for_what_nobody_could_see() -> None:
    drawn = picture(tree([f"{LOOP};{OURS} 9999", f"{LOOP};f (g.py:1) 1"]))
    assert "client.py" in drawn
    assert "g.py" not in drawn
