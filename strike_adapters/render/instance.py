"""One OSP's Render instance, and where the adapter finds it."""

from __future__ import annotations

from typing import Annotated, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an absolute http(s) URL is needed, such as https://render.example")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("a base URL has no credentials, query or fragment")
    return value.rstrip("/")


class RenderInstance(BaseModel):
    """Where an OSP's Render is, who we are there, and how its tasks are followed.

    The defaults are those of the specification, section 5. `base_url` loses a trailing slash.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    osp_id: UUID
    base_url: Annotated[str, AfterValidator(_base_url)]
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = Field(min_length=1)
    project: str = Field(min_length=1)
    polling_seconds: float = Field(default=30, gt=0)
    inactivity_hours: float = Field(default=72, gt=0)
    grace_hours: float = Field(default=24, ge=0)


class RenderInstances(Protocol):
    """The configured instances. Asked for every request, so that a change takes effect."""

    def for_osp(self, osp_id: UUID) -> RenderInstance | None:
        """The OSP's instance; None if it has none."""
