"""What is said of a Neutron beside the book, and what the oracle is told of it.

Invariant: each Neutron differs from the book in one thing, and a cell's verdict is that thing's:
what somebody does not see of the book is not told to them, and not mended by them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from access.book import Book
from access.oracle import Policy
from access.scenes import Mend, Scene
from access.terms import ALL, Request, Thing
from allotment import Address, AddressRange, Prefix
from allotment.model import commands as c
from neutron_cloud import Cloud

NETWORK = "0f0e0d0c-0000-4000-8000-000000000001"
OPENS = Request("CreateAddressScope", at=(ALL,), batched=True)
Change = Callable[[Cloud], object]


class Words(NamedTuple):
    """A line about a Neutron, and which of the things it tells is looked at: kind, and subject."""

    words: list[str]
    told: tuple[str, str]


class Twins(NamedTuple):
    """What a Neutron has and the book has too, by the names of the book."""

    cloud: Cloud
    pool: str
    spare_pool: str
    subnet: str
    spare_subnet: str
    address: str
    port: str


def of_neutron(name: str) -> str:
    """Neutron's id of something of the book."""
    return name.removeprefix("neutron-pool-").removeprefix("neutron-subnet-")


def twins(book: Book) -> Twins:
    """A Neutron and the part of the book that says the same, made once."""
    if "neutron" in book.kept:
        found: Twins = book.kept["neutron"]
        return found
    cloud = Cloud(book.folder / "neutron.db")
    pool, spare = cloud.pool("10.1.160.0/20"), cloud.pool("10.1.176.0/24")
    subnet = cloud.subnet(
        "10.1.160.0/24", "10.1.160.2-10.1.160.254", gateway="10.1.160.1", pool=pool
    )
    other = cloud.subnet(
        "10.1.161.0/24", "10.1.161.2-10.1.161.254", gateway="10.1.161.1", pool=pool
    )
    port = cloud.port(subnet, "10.1.160.9")
    pools = [f"neutron-pool-{one}" for one in (pool, spare)]
    subnets = [f"neutron-subnet-{one}" for one in (subnet, other)]
    made = Twins(cloud, *pools, *subnets, "held by Neutron", port)
    book.pool(made.pool, "pool", "10.1.160.0/20")
    book.pool(made.spare_pool, "pool", "10.1.176.0/24")
    book.subnet(made.subnet, made.pool, "10.1.160.0/24")
    book.subnet(made.spare_subnet, made.pool, "10.1.161.0/24")
    hold(book, made)
    book.kept["neutron"] = made
    return made


def hold(book: Book, made: Twins) -> None:
    """The address of Neutron's port, held in the book."""
    address = Address("10.1.160.9")
    command = c.AllocateAddress(
        subnet=book.ids[made.subnet], address=address, identifier=f"port:{made.port}:{address}"
    )
    held = book.do(command)
    book.tree[made.address] = Thing("address", made.subnet)
    book.ids[made.address] = str(held.id)


def lines(book: Book) -> Iterator[Scene]:
    """What is asked of `neutron reconcile` and `import neutron`."""
    made = twins(book)
    yield told_of(book, made)
    yield from mended(book, made)
    yield from brought_in(book, made)


def conf(book: Book, made: Twins, label: str, change: Change) -> str:
    """The configuration of a Neutron that differs from the book in one thing."""
    stem = label.replace(" ", "-")
    path = book.folder / f"{stem}.db"
    shutil.copyfile(made.cloud.path, path)
    there = Cloud.at(path)
    change(there)
    kept = [of_neutron(made.pool), of_neutron(made.spare_pool), NETWORK]
    scopes = ",".join(f"{one}:scope" for one in kept)
    written = path.with_suffix(".conf")
    written.write_text(
        f"[database]\nconnection = {there.url}\n[allotment]\nscopes = {scopes}\n", "utf-8"
    )
    return str(written)


def told_of(book: Book, made: Twins) -> Scene:
    """A Neutron that has lost everything: told is what of it is seen in the book."""

    def lose(cloud: Cloud) -> None:
        for table in ("subnetpools", "subnetpoolprefixes", "subnets", "ipallocations"):
            cloud.do(f"DELETE FROM {table}")

    words = ["neutron", "reconcile", conf(book, made, "lost", lose), "--young", "0"]

    def shows(_: Book, policy: Policy) -> set[str]:
        return {one for one in policy.visible("pool", "subnet") if one.startswith("neutron-")}

    about = Request("ListSubnets")
    return Scene("reconcile", lambda: Words(words, ("", "")), about, shows=shows)


def mended(book: Book, made: Twins) -> Iterator[Scene]:
    """One difference of each kind that can be mended."""
    pool, subnet = of_neutron(made.pool), of_neutron(made.subnet)
    ids = book.ids

    def scene(told: tuple[str, str], change: Change, about: Any, mend: Mend) -> Scene:
        words = ["neutron", "reconcile", conf(book, made, told[0], change), "--young", "0"]
        # As with a batch, whoever may not even look is told nothing else.
        asked = about._replace(batched=True) if isinstance(about, Request) else about
        return Scene(f"of {told[0]}", lambda: Words([*words, "--repair"], told), asked, mend)

    yield scene(
        ("address-left", "10.1.160.9 "),
        lambda cloud: cloud.do("DELETE FROM ipallocations"),
        Request("ReleaseAddress", (made.subnet,), at=(), held=(made.address,)),
        lambda _: hold(book, made),
    )
    yield scene(
        ("address-missing", "10.1.160.10 "),
        lambda cloud: cloud.port(subnet, "10.1.160.10"),
        Request("AllocateAddress", (made.subnet,)),
        lambda _: book.do(
            c.ReleaseAddress(subnet=ids[made.subnet], address=Address("10.1.160.10"))
        ),
    )
    yield scene(
        ("address-of-another", "10.1.160.9 "),
        lambda cloud: cloud.do("UPDATE ipallocations SET port_id = ?", cloud.port(subnet)),
        Request("UpdateAllocation", (made.subnet,), at=(), held=(made.address,)),
        lambda _: book.do(
            c.UpdateAllocation(
                subnet=ids[made.subnet],
                address=Address("10.1.160.9"),
                identifier=f"port:{made.port}:10.1.160.9",
            )
        ),
    )
    yield scene(
        ("subnet-left", "subnet "),
        lambda cloud: cloud.do("DELETE FROM subnets WHERE id = ?", of_neutron(made.spare_subnet)),
        Request("DeleteSubnet", (made.spare_subnet,), whole=True),
        lambda _: book.subnet(made.spare_subnet, made.pool, "10.1.161.0/24"),
    )
    yield scene(
        ("subnet-missing", "subnet NEW"),
        lambda cloud: new_subnet(cloud, "10.1.180.0/24"),
        opened,
        lambda _: book.do(c.DeleteSubnet(subnet="10.1.180.0/24", scope="scope")),
    )
    yield scene(
        ("subnet-differs", "subnet "),
        lambda cloud: cloud.do(
            "UPDATE ipallocationpools SET last_ip = '10.1.160.99' WHERE subnet_id = ?", subnet
        ),
        Request("UpdateAllocationPools", (made.subnet,)),
        lambda _: book.do(
            c.UpdateAllocationPools(
                subnet=ids[made.subnet], ranges=(AddressRange("10.1.160.2-10.1.160.254"),)
            )
        ),
    )
    yield scene(
        ("pool-left", "subnet pool "),
        lambda cloud: cloud.do("DELETE FROM subnetpools WHERE id = ?", of_neutron(made.spare_pool)),
        Request("DeleteSubnetPool", (made.spare_pool,)),
        lambda _: book.pool(made.spare_pool, "pool", "10.1.176.0/24"),
    )
    yield scene(
        ("pool-differs", "subnet pool "),
        lambda cloud: cloud.do("INSERT INTO subnetpoolprefixes VALUES (?, '10.1.177.0/24')", pool),
        Request("UpdateSubnetPool", (made.pool,), at=(made.pool, "pool")),
        lambda _: book.do(
            c.UpdateSubnetPool(pool=ids[made.pool], prefixes=(Prefix("10.1.160.0/20"),))
        ),
    )


def brought_in(book: Book, made: Twins) -> Iterator[Scene]:
    """A scope, a subnet and an address that Neutron has and the book has not."""
    subnet = of_neutron(made.subnet)

    def scene(told: tuple[str, str], change: Change, about: Any, gone: c.Command[Any]) -> Scene:
        words = ["import", "neutron", conf(book, made, f"new {told[0]}", change)]
        return Scene(
            f"of a new {told[0]}", lambda: Words(words, told), about, lambda _: book.do(gone)
        )

    yield scene(
        ("address scope", "NEW"),
        lambda cloud: cloud.do("INSERT INTO address_scopes VALUES ('NEW', 'new', 'admin', 4)"),
        OPENS,
        c.DeleteAddressScope(scope="neutron-scope-NEW"),
    )
    within = Request("CreateSubnet", at=("pool",), within="scope", batched=True)
    yield scene(
        ("subnet", "NEW"),
        lambda cloud: new_subnet(cloud, "10.1.181.0/24"),
        within,
        c.DeleteSubnet(subnet="10.1.181.0/24", scope="scope"),
    )

    def address(policy: Policy) -> Request:
        if policy.sees(made.subnet):
            return Request("AllocateAddress", (made.subnet,))
        return within._replace(at=(made.pool,))  # its subnet would have to be entered first

    yield scene(
        ("address", "10.1.160.11 "),
        lambda cloud: cloud.port(subnet, "10.1.160.11"),
        address,
        c.ReleaseAddress(subnet=book.ids[made.subnet], address=Address("10.1.160.11")),
    )


def new_subnet(cloud: Cloud, prefix: str) -> None:
    """A subnet of no subnet pool, in a network that has its place in the book."""
    made = cloud.subnet(prefix, network=NETWORK)
    cloud.do("UPDATE subnets SET id = 'NEW' WHERE id = ?", made)


def opened(policy: Policy) -> Request:
    """A subnet is entered in a scope; one that is not seen would have to be opened."""
    if policy.may_name("scope") or policy.judge(OPENS) == "allowed":
        return Request("CreateSubnet", at=("pool",), within="scope", batched=True)
    return OPENS
