"""One person, by every login that stands in front of Strike."""

from __future__ import annotations

from collections.abc import Mapping

from multidict import MultiMapping

from strike_adapters.identity.cloudflare import CloudflareIdentity
from strike_adapters.identity.errors import invalid, mismatch
from strike_adapters.identity.load_balancer import LoadBalancerIdentity
from strike_adapters.identity.model import Identity

LOAD_BALANCER_HEADER = "x-amzn-oidc-data"
CLOUDFLARE_HEADER = "Cf-Access-Jwt-Assertion"


class Identities:
    """Believes a request only if each login that is configured vouches for it.

    Raises ValueError if none is.
    """

    def __init__(
        self, load_balancer: LoadBalancerIdentity | None, cloudflare: CloudflareIdentity | None
    ) -> None:
        if load_balancer is None and cloudflare is None:
            raise ValueError("there must be a load balancer or Cloudflare to believe")
        self._load_balancer = load_balancer
        self._cloudflare = cloudflare

    async def verify(self, headers: Mapping[str, str]) -> Identity:
        """Return who sent these headers: the load balancer's word, where there are two.

        Raises `Unauthenticated` as the verifiers do, TOKEN_INVALID for a header that comes more
        than once, and TOKEN_MISMATCH where the two do not name the same e-mail address.
        """
        people = [
            await verifier.verify(_only(headers, name)) for name, verifier in self._verifiers()
        ]
        if not all(_is_same(people[0], other) for other in people[1:]):
            raise mismatch()
        return people[0]

    def _verifiers(self) -> list[tuple[str, LoadBalancerIdentity | CloudflareIdentity]]:
        both = (LOAD_BALANCER_HEADER, self._load_balancer), (CLOUDFLARE_HEADER, self._cloudflare)
        return [(name, verifier) for name, verifier in both if verifier is not None]


def _only(headers: Mapping[str, str], name: str) -> str | None:
    # Of two, a proxy may have checked the other one.
    if isinstance(headers, MultiMapping) and len(headers.getall(name, [])) > 1:
        raise invalid()
    return headers.get(name)


def _is_same(one: Identity, other: Identity) -> bool:
    # Who has no address is nobody's double.
    if not one.email or not other.email:
        return False
    return one.email.lower() == other.email.lower()
