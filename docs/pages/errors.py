"""The catalogue of error codes, read from the lines that raise them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGES = ("strike_domain", "strike_adapters", "strike_app")
CODE = re.compile(
    r"(?!STRIKE_)[A-Z][A-Z0-9]+(_[A-Z0-9]+)+|CONFLICT|FORBIDDEN|UNAVAILABLE|INTERNAL|EXPIRED"
)

ERRORS = {"StrikeError", "Rejected", "Forbidden", "Unavailable", "Refused", "rejected", "__init__"}

BEGIN = """# Every error code

Codes are for programs and stay; messages are for people and may be worded better. The kinds of
errors, as one tree, and what each promises:

```text
{tree}
```

GraphQL answers with the code in `Problem.code`, or in `extensions.code` of an entry in `errors`;
the command line prints it in brackets behind the sentence. `…` stands for what is filled in. A
message says what is wrong and what would be right; where one code has several, each is listed.

| code | what is said |
|---|---|
"""


class Said(NamedTuple):
    """One place that raises an error: its code, and its message as far as it stands there."""

    code: str
    message: str


def page() -> str:
    """The page, in Markdown."""
    messages: dict[str, set[str]] = {}
    for one in sorted(set(all_said())):
        messages.setdefault(one.code, set()).update(filter(None, [one.message]))
    rows = [
        f"| `{code}` | {'<br>'.join(map(_cell, sorted(said))) or 'said case by case'} |\n"
        for code, said in sorted(messages.items())
    ]
    return BEGIN.format(tree=_tree()) + "".join(rows)


def _tree() -> str:
    from strike_domain import errors

    return (errors.__doc__ or "").split("\n", 1)[1].strip()


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", "&lt;").replace("*", r"\*").replace("_", r"\_")


def all_said() -> Iterator[Said]:
    """Every code that a call names, with the message beside it."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from _in(ast.parse(path.read_text("utf-8")))


def _in(tree: ast.AST) -> Iterator[Said]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        named = _named(function)
        for node in _own(function):
            yield from _of_node(node, named)


def _own(function: ast.AST) -> Iterator[ast.AST]:
    """What stands in it, but not in functions within it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own(child)


def _named(function: ast.AST) -> list[tuple[int, str, str]]:
    """Texts that got a name first, because they are too long for the line that raises: line,
    name and text, in their order."""
    return sorted(
        (node.lineno, target.id, text)
        for node in _own(function)
        if isinstance(node, ast.Assign)
        for target, value in _pairs(node.targets[0], node.value)
        if isinstance(target, ast.Name) and (text := _text(value, {}))
    )


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=False)
    else:
        yield target, value


def _of_node(node: ast.AST, named: list[tuple[int, str, str]]) -> Iterator[Said]:
    """A call that makes an error, a tuple of code and words, or an answer's `code`."""
    match node:
        case ast.Call():
            values = [*node.args, *(keyword.value for keyword in node.keywords)]
            yield from _of_values(node, values[:3], named, alone=_is_error(node))
        case ast.Tuple(elts=values):
            yield from _of_values(node, values, named, alone=False)
        case ast.Dict(keys=[ast.Constant(value="code"), *_], values=[value, *_]):
            yield from _of_values(node, [value], named, alone=True)


def _is_error(call: ast.Call) -> bool:
    """Whether it makes an error whatever it says; others need words beside their code."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    return name in ERRORS


def _of_values(
    node: ast.expr, values: list[ast.expr], named: list[tuple[int, str, str]], *, alone: bool
) -> Iterator[Said]:
    before = {name: text for line, name, text in named if line < node.lineno}
    texts = [text for value in values if (text := _text(value, before))]
    codes = [text for text in texts if CODE.fullmatch(text)]
    messages = [text for text in texts if " " in text]
    if codes and (messages or alone):
        yield Said(codes[0], messages[0] if messages else "")


def _text(node: ast.expr, named: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, {}) or "…" for part in parts)
        case ast.Name(id=name):
            return named.get(name, "")
        case _:
            return ""
