"""Three devices of one company, by the Python bindings, against a relay given as argument.

Usage: main.py URL CODE_OFFICE CODE_SALES CODE_CREW. The company runs the small policy of the tests and
has the store 一店. The last line begins with "ok"; anything unexpected raises.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import gendan
from gendan import FieldClient, FieldError

KEY = bytes(range(32))


class Ear(gendan.Listener):
    """Keeps what a watch hears, and ends the watch once an order has come."""

    def __init__(self, cancel):
        self.heard = []
        self.cancel = cancel

    def changed(self, docs, state):
        self.heard += docs
        if any(doc.startswith("order:") for doc in docs):
            self.cancel.cancel()


def refusal(call, code):
    """The error that the call must give."""
    try:
        call()
    except FieldError.Refused as error:
        assert error.code == code, error.code
        assert error.reason and error.reason_en and error.retryable is False
        return error
    raise AssertionError(f"{code} was expected")


def order(number):
    sofa = gendan.ItemWish(product="沙发", model="L3", quantity=1)
    fields = {"customer": "王女士", "phone": "13800000001", "delivery_date": "2026-12-01"}
    return gendan.OrderWish(number=number, store="一店", fields=fields, items=[sofa])


def value(case, key):
    return next(f.value for f in case.fields if f.key == key)


async def three(folder, url, codes):
    """Enrols and syncs the three devices."""
    clients = []
    for name, code in zip(("office", "sales", "crew"), codes):
        client = await FieldClient.enrol(str(folder / name), KEY, url, code)
        await client.sync(20_000, None)
        clients.append(client)
    return clients


async def offline_order(office, sales):
    """Sales takes an order without a network; the office hears of it while connected."""
    sales.open_order(order("PY1"))
    assert sales.sync_state().unsent == 1
    error = refusal(lambda: sales.step("PY1", gendan.StepWish(step="reviewed")), "role_missing")
    assert "领导" in error.reason
    cancel = gendan.Cancel()
    ear = Ear(cancel)
    watching = asyncio.create_task(office.watch(ear, cancel))
    await sales.sync(20_000, None)
    try:
        await asyncio.wait_for(watching, 20)
    except FieldError.Offline as stopped:
        assert stopped.code == "stopped", stopped.code
    assert office.orders()[0].number == "PY1"


async def delivered(office, sales, crew):
    """The office places it, the crew delivers with the customer's signature, all see it."""
    office.step("PY1", gendan.StepWish(step="reviewed"))
    office.clear("PY1", False, "2808", "transfer", [])
    words = gendan.EvidenceWish(proof=gendan.Proof.TEXT_MESSAGE, text="已向工厂下单")
    office.step("PY1", gendan.StepWish(step="placed", evidence=[words]))
    office.assign("PY1", ["C01"], "2026-12-01", "delivered", None, None)
    await office.sync(20_000, None)
    await crew.sync(20_000, None)
    photo = crew.attach("PY1", "image/jpeg", b"\xff\xd8" + bytes(100_000))
    proof = gendan.EvidenceWish(proof=gendan.Proof.PHOTO, blob=photo, media="image/jpeg")
    crew.step("PY1", gendan.StepWish(step="fetched", evidence=[proof]))
    strokes = [gendan.Stroke(points=[gendan.Point(x=10, y=20), gendan.Point(x=300, y=400)])]
    signed = gendan.SignatureWish(signer="王女士", strokes=strokes)
    crew.step("PY1", gendan.StepWish(step="delivered", signature=signed))
    state = await crew.sync(20_000, None)
    assert (state.unsent, state.blobs_pending, state.held) == (0, 0, 0), state
    await office.sync(20_000, None)
    assert any(s.step == "delivered" and s.signed for s in office.case("PY1").steps)


async def other_sides_edit(office, sales):
    """An edit after the seal is proposed, and in force once the office has approved it."""
    await sales.sync(20_000, None)
    sales.edit("PY1", {"delivery_date": "2026-12-09"})
    await sales.sync(20_000, None)
    await office.sync(20_000, None)
    seen = office.case("PY1")
    assert value(seen, "delivery_date") == "2026-12-01" and seen.proposed[0].proposed == "2026-12-09"
    office.approve("PY1", None)
    await office.sync(20_000, None)
    await sales.sync(20_000, None)
    assert value(sales.case("PY1"), "delivery_date") == "2026-12-09"
    assert (await office.check(20_000)).agree


async def errors(folder, url, code):
    """Errors by what an app does about them."""
    for call, expected in (
        (FieldClient.enrol(str(folder / "again"), KEY, url, code), FieldError.Refused),
        (FieldClient.enrol(str(folder / "away"), KEY, "http://127.0.0.1:1", code), FieldError.Offline),
    ):
        try:
            await call
            raise AssertionError("an error was expected")
        except expected as error:
            assert error.retryable is (expected is FieldError.Offline)
    try:
        FieldClient.open(str(folder / "never"), KEY)
        raise AssertionError("an error was expected")
    except FieldError.NotEnrolled as error:
        assert error.code == "not_enrolled"


async def main(url, codes):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        office, sales, crew = await three(folder, url, codes)
        await offline_order(office, sales)
        await delivered(office, sales, crew)
        await other_sides_edit(office, sales)
        await errors(folder, url, codes[0])
        del office, sales, crew
    print("ok: enrolled, worked offline, signed, synced, saw the other side, met typed errors")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:5]))
