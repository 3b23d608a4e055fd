"""The bodies of docs/render-contract.md, made and read. Nothing else knows a field's name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, Field, SecretStr, StringConstraints, ValidationError

from strike_adapters.render.errors import RenderUnavailable, invalid_answer
from strike_adapters.render.instance import RenderInstance
from strike_adapters.render.token import Grant
from strike_domain.field_tasks import FieldTask, TaskState
from strike_domain.ports import WorkOrder

MAX_NAME = 1000
MAX_LIFETIME_SECONDS = 86_400

TOKEN_FORM = {"grant_type": "client_credentials"}

_Id = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
# A database stores no NUL; a name's is not worth losing the whole answer for.
_Name = Annotated[str, AfterValidator(lambda name: name.replace("\0", "")[:MAX_NAME])]

_Body = TypeVar("_Body", bound=BaseModel)


class _Token(BaseModel):
    access_token: SecretStr = Field(min_length=1)
    token_type: str
    expires_in: float = Field(gt=0)


class _Made(BaseModel):
    id: _Id
    external_reference: str


class _Task(BaseModel):
    id: _Id
    name: _Name
    state: str
    subsector_id: str
    cloned_from: _Id | None = None


class _Page(BaseModel):
    items: list[_Task]
    next_cursor: str | None


def token_url(instance: RenderInstance) -> str:
    return f"{instance.base_url}/oauth/token"


def project_url(instance: RenderInstance, kind: str) -> str:
    """The URL of the project's objects of a kind: `subsectors` or `tasks`."""
    return f"{instance.base_url}/api/v1/projects/{quote(instance.project, safe='')}/{kind}"


def new_subsector(order: WorkOrder) -> dict[str, object]:
    return {
        "external_reference": str(order.eco_id),
        "name": f"ECO {order.job_number}",
        "geometry": order.location.geojson(),
    }


def new_task(order: WorkOrder, subsector_id: str) -> dict[str, object]:
    return {
        "external_reference": str(order.eco_id),
        "subsector_id": subsector_id,
        "kind": "investigation",
        "name": f"Investigate ECO {order.job_number}",
        "description": order.description,
        "geometry": order.location.geojson(),
    }


def read_grant(body: bytes) -> Grant:
    """The token and its life, which is held to a day: nobody keeps one for ever by mistake."""
    read = _read(_Token, body, "token")
    if read.token_type.lower() != "bearer":
        raise invalid_answer("the token is not a bearer token")
    return Grant(read.access_token, timedelta(seconds=min(read.expires_in, MAX_LIFETIME_SECONDS)))


def read_made(body: bytes, order: WorkOrder) -> str:
    """The id of an object that was made for the ECO."""
    made = _read(_Made, body, "new object")
    if made.external_reference != str(order.eco_id):
        raise invalid_answer(f"ECO {order.job_number} got an object of another reference")
    return made.id


def read_page(body: bytes, subsector_id: str) -> tuple[Sequence[FieldTask], str | None]:
    """The tasks of one page and the next page's cursor."""
    page = _read(_Page, body, "list of tasks")
    for task in page.items:
        if task.subsector_id != subsector_id:
            raise invalid_answer(f"task {task.id!r} belongs to another subsector")
    return [_field_task(task) for task in page.items], page.next_cursor


def _field_task(task: _Task) -> FieldTask:
    try:
        state = TaskState(task.state)
    except ValueError as error:
        raise RenderUnavailable(
            "UNKNOWN_STATE",
            f"Render reports task {task.id} in the state {task.state[:50]!r}, which this version "
            "of Strike does not know. Its progress is not followed until Strike is updated.",
            can_retry=False,
        ) from error
    return FieldTask(id=task.id, name=task.name, state=state, cloned_from=task.cloned_from)


def _read(model: type[_Body], body: bytes, what: str) -> _Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
    # Outside the handler: the refused body, which may hold a token, is no context of the error.
    raise invalid_answer(f"{what}, {where}: {first['msg']}")
