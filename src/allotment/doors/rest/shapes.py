"""The shapes of requests and answers, as JSON Schema.

Invariant: a schema says what the reader of bodies and the rules of fields say, because it is made
from the same types and the same rules.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from allotment.doors.rest.forms import body_type, fields_of
from allotment.doors.rest.texts import element_of
from allotment.model.address import Address
from allotment.model.address_range import AddressRange
from allotment.model.answers import answer_type
from allotment.model.limits import BATCH_MAX, Bounds
from allotment.model.mac import Mac
from allotment.model.names import Rule
from allotment.model.prefix import Prefix
from allotment.model.routes import Route
from allotment.model.secret import Secret

Schema = dict[str, Any]  # Any: JSON

HOME: Final = "#/components/schemas/{name}"
_TEXTS: Final[dict[type, Schema]] = {
    Address: {
        "type": "string",
        "title": "Address",
        "description": "An IPv4 or IPv6 address in its one strict spelling.",
        "examples": ["10.1.0.2", "2001:db8::2"],
    },
    Prefix: {
        "type": "string",
        "title": "Prefix",
        "description": "An IPv4 or IPv6 prefix in CIDR notation, without host bits.",
        "examples": ["10.1.0.0/24", "2001:db8::/64"],
    },
    AddressRange: {
        "type": "string",
        "title": "Range",
        "description": "Two addresses, both inclusive, joined by a hyphen; or one address.",
        "examples": ["10.1.0.10-10.1.0.99"],
    },
    Mac: {
        "type": "string",
        "title": "MAC",
        "description": "A MAC address: six pairs of hexadecimal digits.",
        "examples": ["02:00:5e:10:00:01"],
    },
    Secret: {
        "type": "string",
        "title": "Secret",
        "description": "Shown once, in this answer only.",
        "examples": ["***"],
    },
}


def answer_of(route: Route) -> Any:  # Any: a type expression
    """What a route answers with."""
    answer = answer_type(route.request)
    return get_type_hints(answer)[route.part] if route.part else answer


def schemas(types: list[Any]) -> tuple[list[Schema], dict[str, Schema]]:
    """The schemas of types, and the named ones that they refer to."""
    found, named = msgspec.json.schema_components(types, schema_hook=_text, ref_template=HOME)
    return list(found), named


def schema_of(hint: Any) -> Schema:  # Any: an annotation
    """The schema of one field that refers to nothing, with the field's rules."""
    (found,), named = schemas([_plain(hint)])
    while "$ref" in found:
        found = named[found["$ref"].rpartition("/")[2]]
    found = dict(found)
    rule_in(found, hint)
    return found


def body_schemas(routes: list[Route]) -> dict[str, Schema]:
    """The schemas of all bodies, and of what is in them, by name."""
    bodies = {route: body_type(route) for route in routes if route.has_body}
    _, named = schemas(list(bodies.values()))
    for route, body in bodies.items():
        schema = named[body.__name__]
        schema["description"] = (route.request.__doc__ or "").strip()
        for field in fields_of(route):
            if field.name in schema.get("properties", {}):
                rule_in(schema["properties"][field.name], field.hint)
    return named


def rule_in(schema: Schema, hint: Any) -> None:  # Any: an annotation
    """Write the rules of a field into its schema."""
    element = element_of(hint)
    if element is not None:
        for part in _parts(schema, "array"):
            part["maxItems"] = BATCH_MAX
            rule_in(part.get("items", {}), element)
        return
    for rule in _rules(hint):
        _write(rule, schema)


def _write(rule: object, schema: Schema) -> None:
    if isinstance(rule, Rule):
        for part in _parts(schema, "string"):
            part |= {"minLength": rule.length_min, "maxLength": rule.length_max}
            part["description"] = _told(rule)
    elif isinstance(rule, Bounds):
        for part in _parts(schema, "integer"):
            part |= {"minimum": rule.least, "maximum": rule.most}


def _told(rule: Rule) -> str:
    said = f"A{'n' if rule.name[0] in 'aeiou' else ''} {rule.name}"
    broken = "; ".join(text for _, text in rule.faults)
    return f"{said}. Refused: {broken}." if broken else f"{said}."


def _parts(schema: Schema, kind: str) -> list[Schema]:
    if schema.get("type") == kind:
        return [schema]
    return [part for part in schema.get("anyOf", []) if part.get("type") == kind]


def _rules(hint: Any) -> list[object]:  # Any: an annotation
    if get_origin(hint) is Annotated:
        kind, *rules = get_args(hint)
        return [*rules, *_rules(kind)]
    return [rule for part in get_args(hint) for rule in _rules(part)]


def _plain(hint: Any) -> Any:  # Any: an annotation
    """A field's type without unset, which only the fields of structs may be."""
    left = [part for part in get_args(hint) if part is not msgspec.UnsetType]
    if msgspec.UnsetType not in get_args(hint):
        return hint
    joined = left[0]
    for part in left[1:]:
        joined = joined | part
    return joined


def _text(kind: type) -> Schema:
    schema = _TEXTS.get(kind)
    if schema is None:
        raise NotImplementedError(f"{kind.__name__} has no schema")
    return dict(schema)
