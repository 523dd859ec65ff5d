"""Generates JSON for a JSON Schema, with values from the prompt where they are easy to find.

Modest on purpose: `pattern`, `not`, `if` and `dependent…` are ignored.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from ..errors import JsonObject
from . import prose
from .refusals import error

_DEEP = 6
"""Levels after which a schema that refers to itself is written as short as it allows."""

_SEVERAL = 4
"""Words in a list of words without a length: a prompt for a list wants several."""

_FORMATS: Mapping[str, str] = {
    "email": "simulated@example.com",
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "duration": "P1D",
    "uuid": "5eed5eed-0000-4000-8000-000000000000",
    "uri": "https://example.com/simulated",
    "url": "https://example.com/simulated",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_PLACE = re.compile(r"(?:^|_)(?:location|city|place|town|country|region|destination)(?:$|_)")


def example(
    schema: object,
    prompt: str = "",
    *,
    optional: bool = True,
    place: str | None = None,
    results: Sequence[str] = (),
) -> object:
    """A value that satisfies `schema`. Properties that are not required are left out without
    `optional`, unless the prompt tells of them. `place` overrules the one found in the prompt;
    `results` is what tools said, the newest last. Raises Refused for what is no schema."""
    root = schema if isinstance(schema, dict) else {}
    try:
        return _Writer(root, prompt, optional, place, results).value(root, "", 0)
    except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError):
        raise error(
            "Invalid schema: it is not a JSON Schema.", code="invalid_json_schema"
        ) from None


class _Writer:
    def __init__(
        self,
        root: JsonObject,
        prompt: str,
        optional: bool,
        place: str | None,
        results: Sequence[str],
    ) -> None:
        # set once
        self._root = root
        self._prompt = prompt
        self._optional = optional
        self._place = place or next(iter(prose.places(prompt)), None)
        self._people = prose.people(prompt)
        self._loud = any("uppercase" in result for result in results)  # a validator may ask for it
        # moves
        self._person = next(iter(self._people), None)  # of whom it is just now
        # each number is used once, those of the tools first
        self._numbers = itertools.chain.from_iterable(
            map(prose.numbers, [*reversed(results), prompt])
        )

    def value(self, schema: object, name: str, depth: int) -> object:
        if not isinstance(schema, dict):
            return "simulated"
        schema = self._resolved(schema, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._pick(schema["enum"])
        write = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda *_: True,
            "null": lambda *_: None,
        }[_type(schema, depth)]
        return write(schema, name, depth)

    def _resolved(self, schema: JsonObject, depth: int) -> JsonObject:
        """The schema with its references followed and one of its alternatives chosen."""
        for _ in range(32):
            if "$ref" in schema:
                rest = {key: part for key, part in schema.items() if key != "$ref"}
                schema = {**self._definition(str(schema["$ref"])), **rest}
            elif choices := schema.get("anyOf") or schema.get("oneOf"):
                rest = {key: part for key, part in schema.items() if key not in ("anyOf", "oneOf")}
                schema = _merged([rest, self._choice(choices, depth)])
            elif "allOf" in schema:
                rest = {key: part for key, part in schema.items() if key != "allOf"}
                schema = _merged([rest, *(self._resolved(part, depth) for part in schema["allOf"])])
            else:
                break
        return schema

    def _definition(self, pointer: str) -> JsonObject:
        found: object = self._root
        for part in pointer.removeprefix("#").split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def _choice(self, choices: list[JsonObject], depth: int) -> JsonObject:
        """The first that says something; deep down the one that ends soonest."""

        def rank(schema: JsonObject) -> int:
            if schema.get("type") == "null":
                return 0 if depth > _DEEP else 2
            return 1

        return min(choices, key=rank)

    def _pick(self, values: list[object]) -> object:
        prompt = self._prompt.lower()
        return next((value for value in values if str(value).lower() in prompt), values[0])

    def _object(self, schema: JsonObject, name: str, depth: int) -> object:
        properties: JsonObject = schema.get("properties") or {}
        required = schema.get("required") or list(properties)[: len(properties) == 1]
        made: JsonObject = {}
        for key, part in properties.items():
            if key in required or (self._optional and depth <= _DEEP) or self._value_of(key):
                made[key] = self.value(part, key, depth + 1)
        for key in required:
            if key not in made:
                made[key] = self.value(schema.get("additionalProperties"), key, depth + 1)
        return made

    def _array(self, schema: JsonObject, name: str, depth: int) -> object:
        first = schema.get("prefixItems") or []
        least = max(int(schema.get("minItems", 0)), len(first))
        most = schema.get("maxItems", math.inf)
        rest = schema.get("items", {})
        usual = 0 if depth > _DEEP else self._usual(schema, rest, depth)
        count = min(max(least, usual), max(most, least))
        items = [self.value(part, name, depth + 1) for part in first]
        for person in self._crowd(rest, depth)[: max(count - len(items), 0)]:
            self._person = person
            items.append(self.value(rest, name, depth + 1))
        values = iter(self._distinct(rest, name, depth) if schema.get("uniqueItems") else ())
        while len(items) < count:
            items.append(next(values, None) or self.value(rest, name, depth + 1))
        return items

    def _usual(self, schema: JsonObject, rest: object, depth: int) -> int:
        """How long a list is that may be longer."""
        if "minItems" in schema:
            return 1
        words = isinstance(rest, dict) and rest.get("type") == "string"
        count = prose.wanted(self._prompt) if depth < 2 else 1
        return len(self._crowd(rest, depth)) or (_SEVERAL if words else count)

    def _crowd(self, items: object, depth: int) -> Sequence[prose.Person]:
        """The people, if the prompt has several and the list is one of people."""
        shape = self._resolved(items, depth) if isinstance(items, dict) else {}
        of_people = "name" in (shape.get("properties") or {})
        return self._people if of_people and len(self._people) > 1 else ()

    def _distinct(self, schema: object, name: str, depth: int) -> Iterator[object]:
        """Values that differ: the members of an enum, or one value numbered."""
        shape = self._resolved(schema, depth) if isinstance(schema, dict) else {}
        if "enum" in shape:
            yield from shape["enum"]
            return
        value, count = self.value(shape, name, depth + 1), 0
        while isinstance(value, str | int | float):
            yield value + count if not isinstance(value, str) else f"{value} {count + 1}"
            count += 1

    def _string(self, schema: JsonObject, name: str, depth: int) -> object:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        simulated = f"simulated {name or 'text'}".replace("_", " ")
        if about := schema.get("description"):
            simulated = f"{simulated}: {about}"
        text = self._value_of(name) or simulated
        text = text.upper() if self._loud else text
        least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
        if len(text) < least:
            text += "." * (least - len(text))
        return text if most is None else text[: int(most)]

    def _integer(self, schema: JsonObject, name: str, depth: int) -> object:
        return int(self._within(schema, name, whole=True))

    def _number(self, schema: JsonObject, name: str, depth: int) -> object:
        value = self._within(schema, name, whole=False)
        return int(value) if value == int(value) else value

    def _within(self, schema: JsonObject, name: str, *, whole: bool) -> float:
        step = float(schema.get("multipleOf") or (1 if whole else 0))
        low, high = _bounds(schema, step or 0.5)
        stated = _as_number(self._value_of(name))
        wished = stated if stated is not None else next(self._numbers, 1.0)
        value = wished if low <= wished <= high else (low if low > -math.inf else min(1.0, high))
        if step and value % step:
            value = math.ceil(value / step) * step
            value = value if value <= high else math.floor(high / step) * step
        return value

    def _value_of(self, name: str) -> str | None:
        """What the prompt says of a property: `name: Ada, age: 36`, `John is 25 years old`."""
        low = name.lower()
        if self._person and low in ("age", "name", "first_name", "full_name", "person"):
            return self._person.age if low == "age" else self._person.name
        value = prose.value_of(name, self._prompt)
        return value or (self._place if _PLACE.search(low) else None)


def strict(schema: JsonObject) -> JsonObject:
    """A function's schema as the backend makes it where `strict` was not said: every property
    required, no others allowed."""
    made: JsonObject = {key: _strict(part) for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type", "object") == "object":
        made["required"] = list(schema["properties"])
        made["additionalProperties"] = False
    return made


def _strict(part: object) -> object:
    if isinstance(part, list):
        return [_strict(inner) for inner in part]
    return strict(part) if isinstance(part, dict) else part


def _type(schema: JsonObject, depth: int) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        names = [str(name) for name in kind]
        named = [name for name in names if name != "null"]
        kind = "null" if not named or (depth > _DEEP and "null" in names) else named[0]
    if kind in ("object", "array", "string", "integer", "number", "boolean", "null"):
        return str(kind)
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _merged(schemas: list[JsonObject]) -> JsonObject:
    whole: JsonObject = {}
    for schema in schemas:
        properties = {**(whole.get("properties") or {}), **(schema.get("properties") or {})}
        required = [*(whole.get("required") or []), *(schema.get("required") or [])]
        whole = {**whole, **schema}
        if properties:
            whole.update(properties=properties, required=required)
    return whole


def _bounds(schema: JsonObject, step: float) -> tuple[float, float]:
    low = float(schema.get("minimum", -math.inf))
    high = float(schema.get("maximum", math.inf))
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if isinstance(above, int | float) and not isinstance(above, bool):
        low = max(low, above + step)
    if isinstance(below, int | float) and not isinstance(below, bool):
        high = min(high, below - step)
    return low, high


def _as_number(text: str | None) -> float | None:
    match = re.match(r"-?\d+(?:\.\d+)?", text or "")
    return float(match[0]) if match else None
