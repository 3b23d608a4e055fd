"""An ECO's evidence bundle over GraphQL."""

from __future__ import annotations

import base64
from uuid import UUID

import strawberry

from strike_app.evidence import collect, pack
from strike_app.graphql.types import StrikeInfo
from strike_domain.access import Action
from strike_domain.evidence import Bundle


@strawberry.type(description="One file of an evidence bundle.")
class EvidencePart:
    name: str = strawberry.field(description="Such as events.jsonl; README.txt says what each is.")
    text: str = strawberry.field(description="All of it, in UTF-8.")


@strawberry.type(description="Everything that proves what happened to an ECO.")
class Evidence:
    file_name: str = strawberry.field(description="What to call the file.")
    head: str = strawberry.field(description="The end of the chain of events: keep it elsewhere.")
    events: int = strawberry.field(description="How many there are.")
    parts: list[EvidencePart] = strawberry.field(description="Its files, the manifest first.")
    packed: strawberry.Private[bytes]

    @strawberry.field(description="The file itself, a zip in base 64: what strike verify checks.")
    def zip(self) -> str:
        return base64.b64encode(self.packed).decode()

    @classmethod
    def of(cls, bundle: Bundle) -> Evidence:
        parts = [EvidencePart(name=name, text=data.decode()) for name, data in bundle.parts.items()]
        return cls(
            file_name=bundle.file_name,
            head=bundle.head,
            events=bundle.events,
            parts=parts,
            packed=pack(bundle.parts),
        )


async def evidence_of(info: StrikeInfo, eco_id: UUID) -> Evidence | None:
    """The evidence for the tenant that asks; None if there is no such ECO, or a foreign one."""
    tenant_id = info.context.may(Action.ECO_EVIDENCE)
    actor, _ = info.context.acting()
    services, side = info.context.services, actor.side
    row = await services.queries.eco(tenant_id, eco_id)
    if row is None or side is None or tenant_id not in (row["noc_id"], row["osp_id"]):
        return None
    known = await services.queries.tenants(tenant_id, [row["noc_id"], row["osp_id"]])
    bundle = await services.run(
        lambda: collect(
            services.callouts.log,
            eco_id,
            at=services.clock.now(),
            by=actor.name,
            side=side,
            companies={one.id: one.name for one in known.values()},
        )
    )
    return Evidence.of(bundle)
