"""Render Networks: the adapter behind `FieldWork`, and what it must be given."""

from strike_adapters.render.errors import RenderUnavailable
from strike_adapters.render.field_work import RenderFieldWork
from strike_adapters.render.instance import (
    RememberedInstances,
    RenderInstance,
    RenderInstances,
)
from strike_adapters.render.pulse import Pulse

__all__ = [
    "Pulse",
    "RememberedInstances",
    "RenderFieldWork",
    "RenderInstance",
    "RenderInstances",
    "RenderUnavailable",
]
