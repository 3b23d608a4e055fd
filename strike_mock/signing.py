"""Twilio's request signature."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from urllib.parse import urldefrag


def signature(token: str, url: str, params: Iterable[tuple[str, str]]) -> str:
    """Return `X-Twilio-Signature` for a POST of `params` to `url`.

    base64(HMAC-SHA1(token, url + name1value1name2value2…)), names sorted, a fragment never signed
    (https://www.twilio.com/docs/usage/security#validating-requests).
    """
    text = urldefrag(url).url + "".join(name + value for name, value in sorted(set(params)))
    return b64encode(hmac.digest(token.encode(), text.encode(), sha1)).decode()
