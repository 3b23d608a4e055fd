"""That nobody is logged in, and why."""

from __future__ import annotations

from strike_domain.errors import StrikeError


class Unauthenticated(StrikeError):
    """Nobody is logged in as far as can be proved. The message may be shown to anybody."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)


def missing() -> Unauthenticated:
    """There is no token."""
    return Unauthenticated("TOKEN_MISSING", "You are not logged in.")


def invalid() -> Unauthenticated:
    """The token is not what it should be; in which way is nobody's business."""
    return Unauthenticated("TOKEN_INVALID", "Your login cannot be verified.")


def expired() -> Unauthenticated:
    """The token was good once."""
    return Unauthenticated("TOKEN_EXPIRED", "Your login has expired; log in again.")


def wrong_signer() -> Unauthenticated:
    """The token was signed by somebody else's load balancer."""
    return Unauthenticated("TOKEN_WRONG_SIGNER", "Your login comes from another system.")


def wrong_client() -> Unauthenticated:
    """The token was made for another application than this."""
    return Unauthenticated("TOKEN_WRONG_CLIENT", "Your login is for another application.")


def unknown_key() -> Unauthenticated:
    """There is no such key, or it cannot be asked for."""
    return Unauthenticated("TOKEN_UNKNOWN_KEY", "Your login cannot be verified at the moment.")


def mismatch() -> Unauthenticated:
    """Two tokens, each of them good, speak of two people."""
    return Unauthenticated("TOKEN_MISMATCH", "Your two logins are of different people.")
