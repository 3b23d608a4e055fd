"""Who a person is, by the headers that a load balancer and Cloudflare Access sign."""

from __future__ import annotations

from strike_adapters.identity.both import CLOUDFLARE_HEADER, LOAD_BALANCER_HEADER, Identities
from strike_adapters.identity.cloudflare import CloudflareIdentity, CloudflareSettings
from strike_adapters.identity.errors import Unauthenticated
from strike_adapters.identity.fetchers import (
    FetchCerts,
    FetchKey,
    http_certs_fetcher,
    http_key_fetcher,
)
from strike_adapters.identity.keys import FETCHES_A_MINUTE, MOST_KEYS
from strike_adapters.identity.load_balancer import LoadBalancerIdentity, LoadBalancerSettings
from strike_adapters.identity.model import Identity
from strike_adapters.identity.proxies import is_trusted
from strike_adapters.identity.tokens import MOST_TOKEN_CHARACTERS

__all__ = [
    "CLOUDFLARE_HEADER",
    "FETCHES_A_MINUTE",
    "LOAD_BALANCER_HEADER",
    "MOST_KEYS",
    "MOST_TOKEN_CHARACTERS",
    "CloudflareIdentity",
    "CloudflareSettings",
    "FetchCerts",
    "FetchKey",
    "Identities",
    "Identity",
    "LoadBalancerIdentity",
    "LoadBalancerSettings",
    "Unauthenticated",
    "http_certs_fetcher",
    "http_key_fetcher",
    "is_trusted",
]
