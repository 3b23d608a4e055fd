"""Render Networks: the adapter behind `FieldWork`, and what it must be given."""

from strike_adapters.render.errors import RenderUnavailable
from strike_adapters.render.field_work import RenderFieldWork
from strike_adapters.render.instance import RenderInstance, RenderInstances

__all__ = ["RenderFieldWork", "RenderInstance", "RenderInstances", "RenderUnavailable"]
