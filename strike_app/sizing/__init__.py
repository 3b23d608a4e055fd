"""How much of what a deployment needs, from what was measured: `strike size`, docs/sizing.md."""

from strike_app.sizing.rule import Companies, Size, size_of

__all__ = ["Companies", "Size", "size_of"]
