"""What a login tells of a person."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Identity(BaseModel):
    """A person, as the login says. `subject` is stable, the rest is as entered there."""

    model_config = ConfigDict(frozen=True)

    subject: str = Field(min_length=1)
    email: str | None = None
    name: str | None = None
