"""A control database that was put back gives no number again: what this host has seen issued is missed."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admin import DECLARED, Caller, api
from databases import SqliteDatabase
from msgspec.structs import replace

from control.invoices.seen import SeenInvoices
from control.store.store import Store
from headgate.declared import DeclaredBilling
from tests.control.usage_of_rows import asked_of, row

OCTOBER = {"month": "2026-10"}
REASON = {"reason": "the disk of control was lost"}


class Bookkeeping:
    """A database that is copied and put back, and hosts on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = SqliteDatabase(folder / "control.db")
        self._opened: Any = None

    def admin(self, *tenants: str, prefix: str = "INV-", host: str = "one") -> Caller:
        declared = replace(DECLARED, billing=DeclaredBilling(prefix=prefix))
        rows = [row(tenant, price_nano=10**9) for tenant in tenants]
        seen = SeenInvoices(self._folder / host / "last-invoice.json")
        return Caller(api(self.store(), declared, ask_usage=asked_of(rows), seen_invoices=seen))

    def store(self) -> Store:
        if self._opened is None:
            self._opened = self._database.engine()
            self._store = Store(self._opened.__enter__())
        return self._store

    def note(self, host: str) -> None:
        """As each host does once a minute."""
        SeenInvoices(self._folder / host / "last-invoice.json").note(self.store())

    def close(self) -> None:
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
            self._opened = None

    def copy(self, name: str) -> None:
        self.close()
        shutil.copyfile(self._database.path, self._folder / name)

    def put_back(self, name: str) -> None:
        self.close()
        for left in self._folder.glob("control.db*"):
            left.unlink()
        shutil.copyfile(self._folder / name, self._database.path)


@pytest.fixture
def books(tmp_path: Path, template: Path) -> Iterator[Bookkeeping]:
    shutil.copyfile(template, tmp_path / "control.db")
    made = Bookkeeping(tmp_path)
    yield made
    made.close()


async def billed(admin: Caller) -> list[str]:
    answer = await admin.post("/invoices", OCTOBER)
    assert answer.status_code == 200, answer.text
    return [one["invoice"]["number"] for one in answer.json()["data"] if one["status"] == "issued"]


async def refused(admin: Caller) -> str:
    answer = await admin.post("/invoices", OCTOBER)
    assert (answer.status_code, answer.json()["code"]) == (409, "invoices_went_back"), answer.text
    return str(answer.json()["detail"])


async def test_numbers_that_were_given_are_not_given_again(books: Bookkeeping) -> None:
    assert await billed(books.admin("acme")) == ["INV-000001"]
    books.copy("older")
    assert await billed(books.admin("acme", "other")) == ["INV-000002"]
    books.put_back("older")
    admin = books.admin("acme", "third")
    assert "the database lacks INV-000002" in await refused(admin)
    note = await admin.post("/invoices/INV-000001/credit-note", {"reason": "late"})
    assert (note.status_code, note.json()["code"]) == (409, "invoices_went_back")
    assert (await admin.get("/invoices")).json()["data"][0]["number"] == "INV-000001", "it was not issued"

    same = await admin.post("/lost-invoices", REASON)
    assert (same.status_code, same.json()["code"]) == (409, "invoices_went_back")
    assert "set another billing.prefix first" in same.json()["detail"]
    anew = books.admin("acme", "third", prefix="B-")
    await refused(anew)
    accepted = await anew.post("/lost-invoices", REASON)
    assert (accepted.status_code, accepted.json()["last"]) == (201, "INV-000002")
    assert await billed(anew) == ["B-000002"]
    (entry,) = (await anew.get("/audit?action=invoice.lost")).json()["data"]
    assert (entry["object_id"], entry["after"]["reason"]) == ("INV-000002", REASON["reason"])
    nothing = await anew.post("/lost-invoices", REASON)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "exists")


async def test_each_host_knows_what_it_has_seen_and_what_was_said_to_be_lost(books: Bookkeeping) -> None:
    await billed(books.admin("acme"))
    books.copy("older")
    await billed(books.admin("acme", "other", "third"))
    books.note("two")
    books.put_back("older")
    books.note("two")
    await refused(books.admin("acme", "new", host="two"))
    assert (await books.admin(prefix="B-").post("/lost-invoices", REASON)).status_code == 201
    old = await refused(books.admin("acme", "new", host="two"))
    assert "INV-000002 was given before" in old, "its gateway.yaml has the prefix of before"
    assert await billed(books.admin("acme", "new", prefix="B-", host="two")) == ["B-000002"]


async def test_a_second_loss_is_noticed_whatever_was_issued_meanwhile(books: Bookkeeping) -> None:
    await billed(books.admin("acme"))
    books.copy("older")
    await billed(books.admin("acme", "other"))
    books.put_back("older")
    unseen = books.admin("acme", "third", host="new host")
    assert await billed(unseen) == ["INV-000002"], "a host that has seen nothing knows nothing"
    assert "the database lacks INV-000002" in await refused(books.admin("acme", "third", "fourth"))


async def test_another_database_is_no_copy_of_this_one(books: Bookkeeping) -> None:
    books.copy("empty")
    await billed(books.admin("acme"))
    books.put_back("empty")
    assert "is another one" in await refused(books.admin("acme"))


async def test_a_newer_copy_is_enough(books: Bookkeeping) -> None:
    await billed(books.admin("acme"))
    books.copy("newest")
    books.copy("same")
    books.put_back("newest")
    assert await billed(books.admin("acme", "other")) == ["INV-000002"]


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b'{"seq": 1, "number": "INV-000001", "sha256": "?"}', None], ids=str
)
async def test_a_file_that_can_not_be_read_stops_invoices_until_it_is_moved_away(
    books: Bookkeeping, tmp_path: Path, content: bytes | None
) -> None:
    """None: there is a folder in its place."""
    await billed(books.admin("acme"))
    file = tmp_path / "one" / "last-invoice.json"
    noted = file.read_bytes()
    file.unlink()
    file.mkdir() if content is None else file.write_bytes(content)
    admin = books.admin("acme", "other")
    assert "can't be read" in (why := await refused(admin))
    assert "move it away" in why
    lost = await admin.post("/lost-invoices", REASON)
    assert (lost.status_code, lost.json()["code"], lost.json()["detail"]) == (409, "invoices_went_back", why)
    books.note("one")
    file.rename(file.with_name("aside"))
    books.note("one")
    assert file.read_bytes() == noted
    assert await billed(admin) == ["INV-000002"]
