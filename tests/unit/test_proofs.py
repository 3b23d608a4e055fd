"""A signature is worked out once, for one token and one key."""

from __future__ import annotations

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from strike_adapters.identity import Unauthenticated, tokens
from strike_adapters.identity.tokens import Proofs

OURS, OTHERS = generate_private_key(SECP256R1()), generate_private_key(SECP256R1())
TOKEN = jwt.encode({"sub": "nina"}, OURS, algorithm="ES256")


def test_the_second_time_nothing_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    proofs, key = Proofs(), OURS.public_key()
    assert proofs.claims(TOKEN, key, "ES256") == {"sub": "nina"}

    def never(*_: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(tokens, "proven_claims", never)
    assert proofs.claims(TOKEN, key, "ES256") == {"sub": "nina"}


def test_what_one_key_signed_is_not_what_another_did() -> None:
    proofs = Proofs()
    proofs.claims(TOKEN, OURS.public_key(), "ES256")
    with pytest.raises(Unauthenticated, match="TOKEN_INVALID"):
        proofs.claims(TOKEN, OTHERS.public_key(), "ES256")


@pytest.mark.parametrize("place", [0, len(TOKEN) // 2, len(TOKEN) - 5])
def test_a_token_that_differs_in_one_character_proves_nothing(place: int) -> None:
    proofs, key = Proofs(), OURS.public_key()
    proofs.claims(TOKEN, key, "ES256")
    changed = "A" if TOKEN[place] != "A" else "B"
    with pytest.raises(Unauthenticated, match="TOKEN_INVALID"):
        proofs.claims(TOKEN[:place] + changed + TOKEN[place + 1 :], key, "ES256")


def test_what_was_refused_is_not_remembered_and_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens, "MOST_PROOFS", 2)
    proofs, key = Proofs(), OURS.public_key()
    with pytest.raises(Unauthenticated):
        proofs.claims(TOKEN, OTHERS.public_key(), "ES256")
    for name in ("nina", "olaf", "pia"):
        proofs.claims(jwt.encode({"sub": name}, OURS, algorithm="ES256"), key, "ES256")
    assert len(proofs._known) == 2
