"""The port `Registry`, by the commands of `Administration`: in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from strike_adapters.embedded import embedded_postgres
from strike_adapters.postgres.directory import open_pool
from strike_adapters.postgres.prepare import prepare
from strike_adapters.postgres.registry import PostgresRegistry
from strike_adapters.secrets import SecretBox
from strike_domain import (
    Actor,
    Conflict,
    Contact,
    Forbidden,
    InvalidTransition,
    Link,
    LinkStatus,
    ManualClock,
    NotFound,
    PagerList,
    PagingPolicy,
    Rejected,
    Role,
    Side,
    StrikeError,
    Tenant,
)
from strike_domain.access import Action
from strike_domain.actors import Scope
from strike_domain.administration import Administration, token_digest
from strike_domain.memory_registry import MemoryRegistry
from strike_domain.outside import RenderTerms, TwilioTerms
from strike_domain.registry import Audit, Registry
from tests.unit.given import ANA, BEN

SID = "AC" + "1" * 32
TOKEN = SecretStr("the-token-of-the-subaccount")


class Company:
    """Two companies of each side, their admins, and the commands."""

    def __init__(self, registry: Registry, audits: Callable[[], list[Audit]]) -> None:
        self.registry, self.audits = registry, audits
        self.clock = ManualClock()
        self.do = Administration(registry, self.clock)
        boss = Actor.system("setup")
        self.noc = self.admin(self.do.add_tenant(f"NOC {uuid4()}", Side.NOC, boss))
        self.other_noc = self.admin(self.do.add_tenant(f"NOC {uuid4()}", Side.NOC, boss))
        self.osp = self.admin(self.do.add_tenant(f"OSP {uuid4()}", Side.OSP, boss))
        self.other_osp = self.admin(self.do.add_tenant(f"OSP {uuid4()}", Side.OSP, boss))

    @staticmethod
    def admin(tenant: Tenant) -> Actor:
        name = f"user:admin@{tenant.name.split()[0].lower()}.example"
        return Actor(name=name, tenant_id=tenant.id, side=tenant.side, role=Role.ADMIN)

    def linked(self) -> Link:
        self.do.propose_link(id_of(self.osp), self.noc)
        return self.do.accept_link(id_of(self.noc), self.osp)

    def link(self) -> Link | None:
        with self.registry.acting_for(None) as records:
            return records.link(id_of(self.noc), id_of(self.osp))

    def last_audit(self) -> Audit:
        return self.audits()[-1]


def id_of(actor: Actor) -> UUID:
    assert actor.tenant_id
    return actor.tenant_id


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with embedded_postgres(tmp_path_factory.mktemp("registry")) as server:
        prepare(server.url())
        yield server.url()


@pytest.fixture(params=["memory", "PostgreSQL"])
def company(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Company]:
    if request.param == "memory":
        memory = MemoryRegistry()
        yield Company(memory, lambda: memory.kept.audits)
        return
    with open_pool(request.getfixturevalue("url")) as pool:

        def audits() -> list[Audit]:
            query = "SELECT * FROM directory_audits ORDER BY id"
            with pool.connection() as connection:
                return [Audit(**row) for row in connection.execute(query).fetchall()]

        yield Company(PostgresRegistry(pool, SecretBox(bytes(32))), audits)


def refused(code: str, command: Callable[[], object]) -> StrikeError:
    with pytest.raises(StrikeError) as caught:
        command()
    assert caught.value.code == code
    return caught.value


# Links -------------------------------------------------------------------------------------


def test_a_noc_proposes_and_the_contractor_accepts(company: Company) -> None:
    proposed = company.do.propose_link(id_of(company.osp), company.noc, PagingPolicy.MANUAL)
    assert proposed.status is LinkStatus.PENDING and proposed.paging_policy is PagingPolicy.MANUAL
    accepted = company.do.accept_link(id_of(company.noc), company.osp)
    assert company.link() == accepted and accepted.status is LinkStatus.ACTIVE


def test_a_noc_cannot_accept_for_the_contractor(company: Company) -> None:
    company.do.propose_link(id_of(company.osp), company.noc)
    refused("WRONG_SIDE", lambda: company.do.accept_link(id_of(company.noc), company.noc))
    refused("NOT_FOUND", lambda: company.do.accept_link(id_of(company.noc), company.other_osp))
    assert (link := company.link()) and link.status is LinkStatus.PENDING


@pytest.mark.parametrize("by", ["noc", "osp"])
def test_only_the_side_that_suspended_a_link_resumes_it(company: Company, by: str) -> None:
    company.linked()
    ends = {"noc": company.noc, "osp": company.osp}
    one, other = ends.pop(by), ends.popitem()[1]
    suspended = company.do.suspend_link(id_of(other), one)
    assert suspended.status is LinkStatus.SUSPENDED and suspended.suspended_by is one.side
    refused("INVALID_TRANSITION", lambda: company.do.resume_link(id_of(one), other))
    assert company.do.resume_link(id_of(other), one).status is LinkStatus.ACTIVE


def test_a_proposal_can_be_taken_back_or_turned_down_and_made_again(company: Company) -> None:
    company.do.propose_link(id_of(company.osp), company.noc)
    company.do.withdraw_link(id_of(company.osp), company.noc)
    assert company.link() is None
    company.do.propose_link(id_of(company.osp), company.noc)
    company.do.decline_link(id_of(company.noc), company.osp)
    assert company.link() is None
    refused("NOT_FOUND", lambda: company.do.accept_link(id_of(company.noc), company.osp))


def test_every_other_transition_of_a_link_is_refused(company: Company) -> None:
    noc, osp, do = company.noc, company.osp, company.do
    do.propose_link(id_of(osp), noc)
    refused("INVALID_TRANSITION", lambda: do.propose_link(id_of(osp), noc))
    refused("INVALID_TRANSITION", lambda: do.suspend_link(id_of(osp), noc))
    refused("INVALID_TRANSITION", lambda: do.resume_link(id_of(osp), noc))
    do.accept_link(id_of(noc), osp)
    refused("INVALID_TRANSITION", lambda: do.accept_link(id_of(noc), osp))
    refused("INVALID_TRANSITION", lambda: do.withdraw_link(id_of(osp), noc))
    refused("INVALID_TRANSITION", lambda: do.decline_link(id_of(noc), osp))
    do.suspend_link(id_of(noc), osp)
    refused("INVALID_TRANSITION", lambda: do.suspend_link(id_of(osp), noc))
    refused("INVALID_TRANSITION", lambda: do.accept_link(id_of(noc), osp))


def test_a_company_that_is_no_contractor_and_one_that_is_none_look_the_same(
    company: Company,
) -> None:
    one = refused(
        "NOT_FOUND", lambda: company.do.propose_link(id_of(company.other_noc), company.noc)
    )
    other = refused("NOT_FOUND", lambda: company.do.propose_link(uuid4(), company.noc))
    assert str(one) == str(other)


# Members -----------------------------------------------------------------------------------


def test_one_person_has_a_role_in_each_of_many_tenants(company: Company) -> None:
    first = company.do.set_member("Ana@Both.example ", "Ana", Role.VIEWER, company.noc)
    second = company.do.set_member("ana@both.example", "Somebody else", Role.ADMIN, company.osp)
    assert first.user_id == second.user_id and second.name == "Ana"
    assert (first.role, second.role) == (Role.VIEWER, Role.ADMIN)


def test_the_last_admin_stays(company: Company) -> None:
    email = f"{uuid4()}@noc.example"
    admin = company.do.set_member(email, "Olivia", Role.ADMIN, company.noc)
    refused("LAST_ADMIN", lambda: company.do.remove_member(admin.user_id, company.noc))
    refused("LAST_ADMIN", lambda: company.do.set_member(email, "", Role.VIEWER, company.noc))
    company.do.set_member(f"{uuid4()}@noc.example", "Otto", Role.ADMIN, company.noc)
    assert company.do.remove_member(admin.user_id, company.noc).email == email


def test_somebody_elses_member_cannot_be_removed(company: Company) -> None:
    email = f"{uuid4()}@osp.example"
    member = company.do.set_member(email, "Ida", Role.OPERATOR, company.osp)
    refused("NOT_FOUND", lambda: company.do.remove_member(member.user_id, company.noc))


@pytest.mark.parametrize("email", ["", "ana", "a b@c.example", "ana@c\n.example", "@c.example"])
def test_what_is_no_address_is_refused(company: Company, email: str) -> None:
    error = refused(
        "EMAIL_INVALID", lambda: company.do.set_member(email, "Ana", Role.VIEWER, company.noc)
    )
    assert error.path == ("email",)


# Lists and numbers ---------------------------------------------------------------------------


def a_list(**changed: Any) -> PagerList:
    given: dict[str, Any] = {"id": uuid4(), "osp_id": uuid4(), "name": "nights"}
    return PagerList(**given | {"contacts": (ANA, BEN)} | changed)


def test_a_list_is_added_changed_and_removed(company: Company) -> None:
    added = company.do.add_list(a_list(), company.osp)
    assert added.osp_id == company.osp.tenant_id
    changed = company.do.change_list(added.model_copy(update={"name": "days"}), company.osp)
    assert changed.id == added.id and changed.name == "days"
    assert company.do.remove_list(added.id, company.osp).name == "days"
    refused("NOT_FOUND", lambda: company.do.remove_list(added.id, company.osp))


def test_somebody_elses_list_is_not_there(company: Company) -> None:
    added = company.do.add_list(a_list(), company.osp)
    refused("NOT_FOUND", lambda: company.do.change_list(added, company.other_osp))
    refused("NOT_FOUND", lambda: company.do.remove_list(added.id, company.other_osp))
    refused("WRONG_SIDE", lambda: company.do.remove_list(added.id, company.noc))


def test_a_number_that_cannot_be_rung_is_refused_with_its_place(company: Company) -> None:
    wrong = Contact(name="Nobody", phone="+1555")
    error = refused(
        "PHONE_NUMBER_INVALID",
        lambda: company.do.add_list(a_list(contacts=(ANA, wrong)), company.osp),
    )
    assert error.path == ("contacts", 1, "phone")


def test_there_is_one_default_list_and_each_name_is_used_once(company: Company) -> None:
    company.do.add_list(a_list(), company.osp)
    refused("NAME_TAKEN", lambda: company.do.add_list(a_list(), company.osp))
    refused("DEFAULT_TAKEN", lambda: company.do.add_list(a_list(name="other"), company.osp))


def test_job_numbers_only_rise(company: Company) -> None:
    assert company.do.raise_job_numbers(2026, 500, company.osp) == 500
    refused("JOB_NUMBER_TAKEN", lambda: company.do.raise_job_numbers(2026, 499, company.osp))


# Accounts at outside systems -------------------------------------------------------------------


def test_another_account_needs_its_own_secret(company: Company) -> None:
    terms = TwilioTerms(account_sid=SID, from_number="+1 202 555 0199")
    refused("SECRET_NEEDED", lambda: company.do.set_twilio(terms, None, company.noc))
    assert company.do.set_twilio(terms, TOKEN, company.noc).from_number == "+12025550199"
    company.do.set_twilio(terms, None, company.noc)
    other = terms.model_copy(update={"account_sid": "AC" + "2" * 32})
    refused("SECRET_NEEDED", lambda: company.do.set_twilio(other, None, company.noc))


def render_of(company: Company, **changed: Any) -> RenderTerms:
    given = {"base_url": "https://render.example", "client_id": "strike", "project": "P-1"}
    return RenderTerms(osp_id=id_of(company.osp), **given | changed)


@pytest.mark.parametrize("moved", [{"base_url": "https://evil.example"}, {"client_id": "other"}])
def test_a_stored_secret_is_never_sent_anywhere_else(
    company: Company, moved: dict[str, str]
) -> None:
    company.do.set_render(render_of(company), TOKEN, company.osp)
    company.do.set_render(render_of(company, project="P-2"), None, company.osp)
    refused(
        "SECRET_NEEDED",
        lambda: company.do.set_render(render_of(company, **moved), None, company.osp),
    )


# API tokens -------------------------------------------------------------------------------------


def test_of_a_token_only_the_digest_is_kept_and_it_can_be_revoked(company: Company) -> None:
    secret, scopes = f"strike_{uuid4()}", frozenset({Scope.READ})
    made = company.do.create_token(
        "alarms", Role.OPERATOR, scopes, 30, SecretStr(secret), company.noc
    )
    assert made.digest == token_digest(secret)
    assert made.expires_at == company.clock.now() + timedelta(days=30)
    assert made.is_good(company.clock.now()) and not made.is_good(made.expires_at)
    revoked = company.do.revoke_token(made.id, company.noc)
    assert not revoked.is_good(company.clock.now())
    assert company.do.revoke_token(made.id, company.noc) == revoked
    refused("NOT_FOUND", lambda: company.do.revoke_token(made.id, company.other_noc))


def test_a_token_makes_no_token_that_may_do_more(company: Company) -> None:
    limited = company.noc.model_copy(update={"scopes": frozenset({Scope.ADMIN})})
    refused(
        "TOKEN_TOO_MUCH",
        lambda: company.do.create_token(
            "more", Role.ADMIN, frozenset(Scope), 1, SecretStr("x" * 43), limited
        ),
    )


# Audits ---------------------------------------------------------------------------------------


def test_each_change_leaves_who_did_it_and_what_it_was_before(company: Company) -> None:
    company.linked()
    company.do.suspend_link(id_of(company.osp), company.noc)
    audit = company.last_audit()
    assert audit.actor == company.noc.name and audit.action is Action.LINK_SUSPEND
    assert audit.before and audit.before["status"] == "ACTIVE"
    assert audit.after and audit.after["status"] == "SUSPENDED"
    assert set(audit.seen_by) == {company.noc.tenant_id, company.osp.tenant_id}


def test_what_changes_nothing_leaves_no_audit(company: Company) -> None:
    added = company.do.add_list(a_list(), company.osp)
    count = len(company.audits())
    company.do.change_list(added, company.osp)
    assert len(company.audits()) == count


def test_no_audit_holds_a_secret(company: Company) -> None:
    terms = TwilioTerms(account_sid=SID, from_number="+12025550199")
    company.do.set_twilio(terms, TOKEN, company.noc)
    scopes, secret = frozenset({Scope.READ}), f"strike_{uuid4()}"
    company.do.create_token("alarms", Role.VIEWER, scopes, 30, SecretStr(secret), company.noc)
    text = repr([one.model_dump() for one in company.audits()])
    assert TOKEN.get_secret_value() not in text and secret not in text


def test_what_is_refused_stores_nothing_and_leaves_no_audit(company: Company) -> None:
    count = len(company.audits())
    viewer = company.noc.model_copy(update={"role": Role.OPERATOR})
    refused("ROLE_MISSING", lambda: company.do.propose_link(id_of(company.osp), viewer))
    refused("NAME_INVALID", lambda: company.do.rename_tenant(" ", company.noc))
    assert company.link() is None and len(company.audits()) == count


def test_only_whoever_runs_strike_adds_a_tenant(company: Company) -> None:
    with pytest.raises(Forbidden):
        company.do.add_tenant("Mine", Side.NOC, company.noc)


@pytest.mark.parametrize("both", range(5))
def test_two_admins_who_remove_each_other_at_once_leave_one(company: Company, both: int) -> None:
    if isinstance(company.registry, MemoryRegistry):
        pytest.skip("the registry in memory is for one thread")
    admins = [
        company.do.set_member(f"{uuid4()}@noc.example", "Olivia", Role.ADMIN, company.noc)
        for _ in range(2)
    ]

    def remove(user_id: UUID) -> str:
        try:
            company.do.remove_member(user_id, company.noc)
        except (Rejected, Conflict, InvalidTransition, NotFound) as error:
            return error.code
        return "removed"

    with ThreadPoolExecutor(2) as threads:
        told = sorted(threads.map(remove, [one.user_id for one in admins]))
    assert told == ["LAST_ADMIN", "removed"]
