"""A Django fixture of NetBox, object by object.

Invariant: what is not a fixture is refused whole; one object that is not understood is refused
alone, and its row says why.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any, BinaryIO, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from allotment.doors.exchange.report import Report, Row
from allotment.errors import InvalidValue

BYTES_MAX: Final = 512 << 20
_WANTED: Final = "a Django fixture is a JSON list, as 'manage.py dumpdata ipam tenancy' writes it"

Link = Any  # Any: an object's key, nothing, or the list of a natural key
F = TypeVar("F", bound="Described")


class Described(Struct, kw_only=True):
    """What all objects have; unknown fields are ignored, for NetBox adds some in every release."""

    description: str | None = ""
    comments: str | None = ""
    custom_field_data: Any = None


class Vrf(Described, kw_only=True):
    """A routing table of its own."""

    name: str
    rd: str | None = None
    tenant: Link = None
    enforce_unique: bool = True
    import_targets: list[Any] | None = None
    export_targets: list[Any] | None = None


class Tenant(Described, kw_only=True):
    """Who things belong to."""

    name: str
    group: Link = None


class Aggregate(Described, kw_only=True):
    """A block got from a registry, in the global table."""

    prefix: str
    rir: Link = None
    tenant: Link = None
    date_added: str | None = None


class NetBoxPrefix(Described, kw_only=True):
    """A prefix of any status; `site` until NetBox 4.1, `scope_type` and `scope_id` since 4.2."""

    prefix: str
    vrf: Link = None
    tenant: Link = None
    site: Link = None
    scope_type: Link = None
    scope_id: Link = None
    vlan: Link = None
    role: Link = None
    status: str = "active"
    is_pool: bool = False
    mark_utilized: bool = False


class IpRange(Described, kw_only=True):
    """A run of addresses; its ends carry the mask of their subnet."""

    start_address: str
    end_address: str
    vrf: Link = None
    tenant: Link = None
    role: Link = None
    status: str = "active"
    mark_populated: bool = False
    mark_utilized: bool = False


class IpAddress(Described, kw_only=True):
    """One address with its mask."""

    address: str
    vrf: Link = None
    tenant: Link = None
    status: str = "active"
    role: str | None = ""
    assigned_object_type: Link = None
    assigned_object_id: Link = None
    nat_inside: Link = None
    dns_name: str | None = ""


class Slugged(Described, kw_only=True):
    """A role, registry, site or tag: what matters is its slug."""

    slug: str | None = ""
    name: str | None = ""


class Vlan(Described, kw_only=True):
    """A VLAN by its number."""

    vid: int


class TaggedItem(Struct, kw_only=True):
    """A tag on an object; `content_type` is app and model when dumped with natural keys."""

    content_type: Any
    object_id: Any
    tag: Link


class _FixtureObject(Struct, kw_only=True):
    model: str
    fields: dict[str, Any]
    pk: int | str | UnsetType | None = UNSET


class Item(Struct, Generic[F], kw_only=True):
    """One object of the fixture with its row."""

    row: Row
    key: str
    fields: F


MODELS: Final[dict[str, type[Struct]]] = {
    "ipam.vrf": Vrf,
    "tenancy.tenant": Tenant,
    "ipam.aggregate": Aggregate,
    "ipam.prefix": NetBoxPrefix,
    "ipam.iprange": IpRange,
    "ipam.ipaddress": IpAddress,
    "ipam.role": Slugged,
    "ipam.rir": Slugged,
    "ipam.vlan": Vlan,
    "dcim.site": Slugged,
    "dcim.region": Slugged,
    "dcim.sitegroup": Slugged,
    "dcim.location": Slugged,
    "extras.tag": Slugged,
    "extras.taggeditem": TaggedItem,
}
_KEY: Final = re.compile(r"\A[A-Za-z0-9#._:-]{1,40}\Z")
_LABELS: Final = ("prefix", "address", "start_address", "name", "asn", "slug")


class Fixture:
    """The objects of a fixture by model and key, each with its row in the report."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self._items: defaultdict[str, dict[str, Item[Any]]] = defaultdict(dict)

    def of(self, model: str) -> list[Item[Any]]:  # Any: fields of the model's type
        """The objects of a model, in the order of the file."""
        return list(self._items[model].values())

    def get(self, model: str, link: Link) -> Item[Any] | None:  # Any: as above
        """The object that a link means, if it is in the file."""
        return self._items[model].get(str(link)) if isinstance(link, int | str) else None

    def models(self) -> list[str]:
        """The models there are."""
        return list(self._items)

    def add(self, place: int, raw: msgspec.Raw) -> None:
        """Read one object; if it is not understood, its row is refused."""
        try:
            found = msgspec.json.decode(raw, type=_FixtureObject)
        except msgspec.ValidationError as error:
            row = self.report.row("(unknown)", f"object {place}", "")
            self._refuse(row, "object", f"it is not one of a Django fixture: {error}")
            return
        key = f"#{place}" if found.pk in (None, UNSET) else str(found.pk)
        row = self.report.row(found.model, f"{found.model} {key}", _label(found.fields))
        try:
            fields = msgspec.convert(found.fields, MODELS.get(found.model, Struct))
        except msgspec.ValidationError as error:
            self._refuse(row, "object", f"it is no {found.model} of NetBox: {error}")
            return
        if not _KEY.match(key):
            self._refuse(row, "pk", "a key is a number, or a short word")
            return
        if key in self._items[found.model]:
            self._refuse(row, "pk", "another object of the file has it")
            return
        self._items[found.model][key] = Item(row=row, key=key, fields=fields)

    def _refuse(self, row: Row, field: str, rule: str) -> None:
        self.report.refuse(row, InvalidValue(field, row.source, rule))


def _label(fields: dict[str, Any]) -> str:  # Any: JSON values are of any type
    return next((str(fields[name])[:200] for name in _LABELS if fields.get(name)), "")


def read_fixture(stream: BinaryIO, report: Report) -> Fixture:
    """All objects of a fixture.

    Raises:
        InvalidValue: it is too large, or no fixture at all.
    """
    raw = stream.read(BYTES_MAX + 1)
    if len(raw) > BYTES_MAX:
        raise InvalidValue("file", report.file, f"it is larger than {BYTES_MAX:,} bytes")
    try:
        objects = msgspec.json.decode(raw, type=list[msgspec.Raw])
        fixture = Fixture(report)
        for place, one in enumerate(objects, 1):
            fixture.add(place, one)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue("file", report.file, f"{_WANTED}; this is none: {error}") from error
    return fixture
