"""Reads FHIR R4 files: bundles and single resources (JSON) and bulk exports (NDJSON), plain or gz.

Every resource is validated by ``fhir.resources`` (R4B, whose resources used here are those of R4),
and every reference is followed: by full URL, by ``Type/id``, conditionally
(``Type?identifier=system|value``) and into contained resources. Messages name file, place,
resource, field and rule, and never show a value.

Source: https://hl7.org/fhir/R4/references.html and https://hl7.org/fhir/uv/bulkdata/.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from simulation.records.errors import DataError

_ENDINGS = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
_REPEATED = ("Organization", "Practitioner", "Location", "PractitionerRole")
"""Administrative resources, which every bundle of an export repeats."""


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Resource:
    """One resource and where it stands."""

    body: dict[str, Any]
    where: str
    """File and line or entry, then type and id, for messages."""
    url: str = ""
    """``fullUrl`` of its bundle entry."""

    @property
    def type(self) -> str:
        """Its ``resourceType``."""
        return str(self.body["resourceType"])

    @property
    def key(self) -> str:
        """``Type/id``; the place where it has no id."""
        return f"{self.type}/{self.body['id']}" if "id" in self.body else self.where


@dataclass(eq=False, repr=False)
class Resources:
    """All resources below a path, validated and indexed."""

    found: list[Resource] = field(default_factory=list[Resource])
    index: dict[str, Resource] = field(default_factory=dict[str, Resource])
    references: int = 0
    """References to other resources, all of which lead somewhere."""

    def counts(self) -> dict[str, int]:
        """Resources of each type as read, repetitions included, by name."""
        return dict(sorted(Counter(given.type for given in self.found).items()))

    def of(self, kind: str) -> Iterator[Resource]:
        """The resources of a type, each once."""
        seen: set[str] = set()
        for given in self.found:
            if given.type == kind and given.key not in seen:
                seen.add(given.key)
                yield given

    def resolve(self, reference: str) -> Resource | None:
        """The resource that a reference means; none when it is not here."""
        plain = reference.split("/_history/", maxsplit=1)[0]
        direct = self.index.get(plain)
        if direct is not None or "://" not in plain or "?" in plain:
            return direct
        return self.index.get("/".join(plain.split("/")[-2:]))


def read_resources(path: str) -> Resources:
    """Everything below a file or folder, in the order of file names.

    Raises:
        DataError: at the first file that cannot be read or parsed, resource that is not valid, id
            that occurs twice, or reference that leads nowhere.
    """
    root = Path(path).expanduser()
    files = [root] if root.is_file() else sorted(p for p in root.rglob("*") if _is_fhir(p))
    if not files:
        raise DataError(f"data: {root} holds no FHIR file ({', '.join(_ENDINGS)})")
    resources = Resources()
    for file in files:
        for given in _resources(file):
            _add(resources, given)
    for given in resources.found:
        _follow(resources, given)
    return resources


def _is_fhir(path: Path) -> bool:
    return path.is_file() and path.name.endswith(_ENDINGS)


def _resources(file: Path) -> Iterator[Resource]:
    """The resources of a file, validated."""
    text = _text(file)
    if ".ndjson" in file.name:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _valid(_parsed(line, file, number), f"{file.name} line {number}")
        return
    body = _parsed(text, file, None)
    if body.get("resourceType") != "Bundle":
        yield _valid(body, file.name)
        return
    entries = body.get("entry", [])
    if not isinstance(entries, list):
        raise DataError(f"data: {file.name}, Bundle, field entry: must be a list")
    for number, entry in enumerate(cast("list[object]", entries)):
        where = f"{file.name} entry {number}"
        given = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
        inner = given.get("resource")
        if not isinstance(inner, dict):
            raise DataError(f"data: {where}, field resource: must be a resource")
        url = given.get("fullUrl", "")
        yield _valid(cast("dict[str, Any]", inner), where, url if isinstance(url, str) else "")


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
        return (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"data: {file.name} line {line}: is not UTF-8 text (byte {error.start})"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"data: {file.name}: cannot be read ({error})") from error


def _parsed(text: str, file: Path, line: int | None) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        number = error.lineno if line is None else line
        raise DataError(
            f"data: {file.name} line {number}, column {error.colno}: no JSON ({error.msg})"
        ) from error
    except RecursionError as error:
        raise DataError(f"data: {file.name} line {line or 1}: nested too deeply") from error
    if not isinstance(body, dict):
        raise DataError(f"data: {file.name} line {line or 1}: must be a resource, an object")
    return cast("dict[str, Any]", body)


def _valid(body: dict[str, Any], place: str, url: str = "") -> Resource:
    kind, name = body.get("resourceType"), body.get("id", "without id")
    if not isinstance(kind, str):
        raise DataError(f"data: {place}, field resourceType: is missing or no text")
    where = f"{place}, {kind}/{name}"
    return Resource(validated(body, where), where, url)


def validated(body: dict[str, Any], where: str) -> dict[str, Any]:
    """The same resource.

    Raises:
        DataError: when it breaks a rule of FHIR R4; the message says where, field and rule.
    """
    try:
        from fhir.resources.R4B import get_fhir_model_class
    except ModuleNotFoundError as error:
        raise DataError(
            "data: fhir needs a library that is not here; pip install 'wardchain[fhir]'"
        ) from error
    try:
        model: Any = get_fhir_model_class(body["resourceType"])
    except (ValueError, KeyError, LookupError) as error:
        raise DataError(f"data: {where}, field resourceType: no resource of FHIR R4") from error
    empty = next(_nulls(body, ""), None)
    if empty is not None:
        raise DataError(f"data: {where}, field {empty}: must not be null; leave it out (FHIR R4)")
    try:
        model.model_validate(body)
    except ValueError as error:
        raise DataError(f"data: {where}, {_rule(error)} (FHIR R4)") from error
    return body


def _nulls(part: object, path: str) -> Iterator[str]:
    """Properties that are null, which JSON allows and FHIR does not (outside lists)."""
    if isinstance(part, dict):
        for name, value in cast("dict[str, object]", part).items():
            if value is None:
                yield f"{path}{name}"
            yield from _nulls(value, f"{path}{name}.")
    elif isinstance(part, list):
        for number, value in enumerate(cast("list[object]", part)):
            yield from _nulls(value, f"{path}{number}.")


def _rule(error: Any) -> str:
    """Field and rule of the first problem that the library found, without the value."""
    if not hasattr(error, "errors"):
        return "field unknown: is not valid"
    first = error.errors(include_input=False, include_url=False)[0]
    field_path = ".".join(str(step) for step in first["loc"]) or "whole"
    return f"field {field_path}: {first['msg'].splitlines()[0]}"


def _add(resources: Resources, given: Resource) -> None:
    earlier = resources.index.get(given.key)
    if earlier is not None and given.type not in _REPEATED and earlier.body != given.body:
        raise DataError(f"data: {given.where}, field id: is also at {earlier.where}")
    resources.found.append(given)
    names = [given.key, given.url]
    if "id" in given.body:
        names.append(f"urn:uuid:{given.body['id']}")
    identifiers = given.body.get("identifier", [])
    for each in identifiers if isinstance(identifiers, list) else [identifiers]:
        value = each.get("value", "")
        names.append(f"{given.type}?identifier={each.get('system', '')}|{value}")
    for name in names:
        if name:
            resources.index.setdefault(name, given)


def _follow(resources: Resources, given: Resource) -> None:
    """Every reference of a resource leads somewhere."""
    contained = given.body.get("contained", [])
    inside = {f"#{part.get('id')}" for part in contained} | {"#"}
    for path, reference in _references(given.body, ""):
        if reference in inside:
            continue
        resources.references += 1
        if resources.resolve(reference) is None:
            raise DataError(
                f"data: {given.where}, field {path}: the reference leads to no resource here; "
                "export what it refers to as well"
            )


def _references(part: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        for name, value in cast("dict[str, object]", part).items():
            if name == "reference" and isinstance(value, str):
                yield f"{path}reference", value
            else:
                yield from _references(value, f"{path}{name}.")
    elif isinstance(part, list):
        for number, value in enumerate(cast("list[object]", part)):
            yield from _references(value, f"{path}{number}.")
