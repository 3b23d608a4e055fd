"""The page behind the link in a text, over HTTP and on real PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from strike_adapters.memory import FakeTelephone
from strike_adapters.postgres.people import save_link
from strike_app.bootstrap import Strike
from strike_app.demo.seed import NOC_ID
from strike_domain.actors import Actor, Role, Side
from strike_domain.callouts import EcoOrder
from strike_domain.eco import EcoStatus
from strike_domain.pager_run import CallOutcome, PagerRun, TextState
from strike_domain.ports import Link, LinkStatus
from strike_domain.ringer import Ringer
from strike_domain.texter import Texter
from tests.integration.served import OSP_ID, PLACE, Served

OLIVIA = Actor(name="user:olivia", tenant_id=NOC_ID, side=Side.NOC, role=Role.OPERATOR)
OWN = {"Sec-Fetch-Site": "same-origin"}
PUBLIC = "https://strike.example/in"


@dataclass
class Texted:
    """The phone of the first contact rings, and has got a text."""

    served: Served
    strike: Strike
    telephone: FakeTelephone
    ringer: Ringer
    eco_id: UUID
    run_id: UUID

    @property
    def path(self) -> str:
        """Of the newest text's link, as the server sees it behind its proxy."""
        address = self.telephone.texts[-1].body.split()[-1]
        assert address.startswith(f"{PUBLIC}/j/")
        return address.removeprefix(PUBLIC)

    async def get(self, path: str = "", **headers: str) -> tuple[int, str]:
        url = f"{self.served.url}{path or self.path}"
        async with self.served.session.get(url, headers=headers) as answer:
            return answer.status, await answer.text()

    async def press(self, do: str, path: str = "", headers: Any = None) -> int:
        url = f"{self.served.url}{path or self.path}"
        headers = OWN if headers is None else headers
        async with self.served.session.post(
            url, data={"do": do}, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status

    def work(self) -> PagerRun:
        return self.ringer.work_on(self.run_id)

    def position(self) -> int:
        return self.strike.log.position()


@pytest.fixture
def texted(served: Served, strike: Strike) -> Texted:
    for one in strike.directory.lists_of(OSP_ID):
        numbers = frozenset(person.phone for person in one.contacts)
        strike.directory.save_list(one.model_copy(update={"texted": numbers}))
    order = EcoOrder(osp_id=OSP_ID, location=PLACE, job_type="FNOL", description="Cut <b>cable</b>")
    eco = strike.callouts().create_eco(order, OLIVIA).aggregate
    run_id = strike.paging().dispatch(eco.id, OLIVIA).aggregate.latest_run_id
    assert run_id
    telephone = FakeTelephone(strike.clock)
    texter = Texter(strike.log, telephone, strike.links(), strike.clock)
    ringer = Ringer(strike.log, telephone, strike.clock, texter=texter)
    ringer.work_on(run_id)
    return Texted(served, strike, telephone, ringer, eco.id, run_id)


async def test_looking_shows_the_job_and_changes_nothing(texted: Texted) -> None:
    before = texted.position()
    status, page = await texted.get()
    assert status == 200
    assert "Cut &lt;b&gt;cable&lt;/b&gt;" in page
    assert 'href="geo:40.01000,-105.27000?q=40.01000,-105.27000"' in page
    assert "+1303" not in page
    async with texted.served.session.head(f"{texted.served.url}{texted.path}") as answer:
        assert answer.status == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
    assert texted.position() == before


async def test_accepting_stops_the_phone_and_goes_on_to_the_work(texted: Texted) -> None:
    assert await texted.press("accept") == 303
    run = texted.work()
    (call,) = run.calls.values()
    assert (call.outcome, call.text) == (CallOutcome.ACCEPTED, TextState.SENT)
    assert texted.telephone.ended == [call.sid]
    _, page = await texted.get()
    assert "The job is yours" in page and "I am on my way" in page
    before = texted.position()
    assert await texted.press("accept") == 303
    assert texted.position() == before
    await texted.press("on_my_way")
    await texted.press("done")
    eco = texted.strike.log.eco(texted.eco_id)
    # The demo's contractor has Render: its field tasks decide how far the work is.
    assert eco.status is EcoStatus.OPEN
    _, page = await texted.get()
    assert "The field tasks have the last word" in page and "<button" not in page


async def test_declining_rings_the_next_and_who_is_late_sees_who_has_it(texted: Texted) -> None:
    first = texted.path
    assert await texted.press("decline") == 303
    run = texted.work()
    assert [one.outcome for one in run.calls.values()] == [CallOutcome.DECLINED, None]
    assert texted.path != first
    await texted.press("accept")
    status, page = await texted.get(first)
    second = list(texted.work().calls.values())[1].contact.name
    assert f"{second} already has this job" in page and "40.01" not in page
    assert await texted.press("accept", first) == 303
    accepted_by = texted.work().accepted_by
    assert accepted_by and accepted_by.name == second


async def test_a_link_that_was_changed_or_is_of_another_run_is_unknown(texted: Texted) -> None:
    good = texted.path
    changed = good[:-1] + ("A" if good[-1] != "A" else "E")
    other_run = f"/j/{'B' * 51}"
    before = texted.position()
    for path in (changed, other_run, "/j/short"):
        assert (await texted.get(path))[0] == 404
        assert await texted.press("accept", path) == 404
    assert texted.position() == before


async def test_a_page_of_another_site_cannot_press(texted: Texted) -> None:
    before = texted.position()
    for headers in ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {}):
        assert await texted.press("accept", headers=headers) == 403
    assert await texted.press("everything") == 400
    assert texted.position() == before


async def test_a_link_ends_after_a_week(texted: Texted, monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Any = texted.served.services.clock
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=7))
    assert (await texted.get())[0] == 410
    assert await texted.press("accept") == 410
    assert texted.work().accepted_by is None


async def test_suspending_the_companies_link_does_not_end_what_was_begun(texted: Texted) -> None:
    suspended = Link(noc_id=NOC_ID, osp_id=OSP_ID, status=LinkStatus.SUSPENDED)
    save_link(texted.strike.directory.pool, suspended)
    assert await texted.press("accept") == 303
    assert texted.work().accepted_by is not None


async def test_guessing_is_put_off_and_a_known_link_still_works(texted: Texted) -> None:
    assert (await texted.get())[0] == 200
    wrong = f"/j/{'A' * 51}"
    seen = {(await texted.get(wrong))[0] for _ in range(40)}
    assert seen == {404, 429}
    assert (await texted.get())[0] == 200


async def test_who_opens_a_wrong_link_is_told_in_their_language(texted: Texted) -> None:
    _, page = await texted.get("/j/" + "A" * 51, **{"Accept-Language": "es-MX"})
    assert '<html lang="es"' in page and "Este enlace no es válido" in page


async def test_a_text_that_was_not_delivered_is_told(texted: Texted) -> None:
    call = next(iter(texted.work().calls.values()))
    path = f"/twilio/text/{texted.run_id}/{call.id}"
    sent = {"MessageSid": "SM1", "MessageStatus": "delivered"}
    assert (await texted.served.webhook(path, sent)).status == 204
    failed = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert (await texted.served.webhook(path, failed, token="another")).status == 403
    assert texted.work().call(call.id).text is TextState.SENT
    assert (await texted.served.webhook(path, failed)).status == 204
    assert texted.work().call(call.id).text is TextState.FAILED


async def test_no_cookie_is_set_and_none_is_needed(texted: Texted) -> None:
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.get(f"{texted.served.url}{texted.path}") as answer,
    ):
        assert answer.status == 200 and not answer.cookies
