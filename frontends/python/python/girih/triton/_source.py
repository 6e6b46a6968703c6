"""The source of a kernel, as a small file for the compiler.

A kernel may be nested in another function, use constants that the host program computed, and call helpers of other modules. So the
compiler gets, for each file that takes part, a text with the functions that are reached, each at its own lines, followed by the names
they use with the values these have now. What errors say of lines is true of the file itself.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import re
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from girih._errors import Error
from girih.triton._watch import Watched
from girih.triton.language import _core


@dataclasses.dataclass
class Kernel:
    """A kernel and the files its source takes part in: (file name, text) by module name."""

    name: str
    main: str
    modules: dict[str, tuple[str, str]]
    # Module and name of each function among the arguments, by its identity.
    places: dict[int, tuple[str, str]]
    # The variables that it was made with.
    watched: list[Watched]


@dataclasses.dataclass
class _Function:
    """A function as it stands in its file."""

    fn: Callable[..., Any]
    file: str
    lines: list[str]
    first: int  # line of `def`, from 1
    indent: int
    decorator: str | None
    names: list[str]
    attributes: dict[str, list[str]]


class _Text:
    """One file in the making."""

    def __init__(self, module: str, file: str) -> None:
        self.module = module
        self.file = file
        self.lines: dict[int, str] = {}
        self.names: dict[str, str] = {}
        self.tail: list[str] = []

    def fits(self, function: _Function, statements: dict[str, str]) -> bool:
        name = function.fn.__name__
        taken = any(line in self.lines for line in _span(function))
        return not taken and name not in self.names and all(self.names.get(k, v) == v for k, v in statements.items())

    def add(self, function: _Function, statements: dict[str, str]) -> None:
        self.names[function.fn.__name__] = f"def at line {function.first}"
        pad = " " * function.indent
        if function.decorator is not None:
            self.lines[function.first - 1] = f"{pad}@triton.{function.decorator}\n"
        if function.indent:
            self.lines[function.first - 2] = "if True:\n"
        for at, line in enumerate(function.lines):
            self.lines[function.first + at] = line if line.endswith("\n") else line + "\n"
        for name, statement in statements.items():
            if self.names.setdefault(name, statement) == statement and statement not in self.tail:
                self.tail.append(statement)

    def text(self) -> str:
        last = max(self.lines, default=0)
        body = "".join(self.lines.get(at, "\n") for at in range(1, last + 1))
        return body + "".join(f"{statement}\n" for statement in self.tail)


def kernel_source(fn: Callable[..., Any], functions: Sequence[tuple[Callable[..., Any], str | None]] = ()) -> Kernel:
    """The source of a kernel and of all it calls, functions that it gets as arguments included."""
    collector = _Collector()
    main = collector.place(fn, "jit")
    places = {id(f): (collector.place(f, decorator).module, f.__name__) for f, decorator in functions}
    modules = {text.module: (text.file, text.text()) for text in collector.texts}
    return Kernel(fn.__name__, main.module, modules, places, collector.watched)


class _Collector:
    def __init__(self) -> None:
        self.texts: list[_Text] = []
        self.placed: dict[int, _Text] = {}
        self.busy: list[int] = []
        self.keep: list[Any] = []
        self.watched: list[Watched] = []

    def place(self, fn: Callable[..., Any], decorator: str | None) -> _Text:
        """Puts a function into a text, and before it what it uses."""
        known = self.placed.get(id(fn))
        if known is not None:
            return known
        if id(fn) in self.busy:
            raise Error("Y011", f"`{fn.__name__}` calls itself", help="kernels cannot recurse: write a loop")
        self.busy.append(id(fn))
        function = _read(fn, decorator)
        used = {}
        for name, value, space in _globals(function):
            used[name] = self.reference(name, value, function)
            self.watch(name, used[name], value, space, fn)
        # A helper of the same file goes into the same text; `used` tells where it was put.
        self.busy.pop()
        for text in [*self.texts, None]:
            if text is None:
                number = len(self.texts) + 1
                same = sum(t.file.split(" (")[0] == function.file for t in self.texts)
                file = function.file if same == 0 else f"{function.file} ({same + 1})"
                text = _Text(f"girih_kernels_{number}", file)
                self.texts.append(text)
            statements = self.statements(used, text)
            if text.file.split(" (")[0] == function.file and text.fits(function, statements):
                text.add(function, statements)
                self.placed[id(fn)] = text
                self.keep.append(fn)
                return text
        raise AssertionError("the last text is new")

    def watch(self, name: str, what: Any, value: Any, space: Any, fn: Callable[..., Any]) -> None:
        """Notes a variable that may change; nobody changes modules and names of the language."""
        language = (
            isinstance(what, str) and what.startswith(("import ", "from ")) and not isinstance(value, _core.dtype)
        )
        if what is not None and not language:
            self.watched.append(Watched(name, fn.__name__, space, value, _literal))

    def reference(self, name: str, value: Any, function: _Function) -> Any:
        """What a name stands for: a statement, or a function of some text."""
        value = _unwrapped(value)
        if isinstance(value, tuple) and len(value) == 2 and value[0] in ("jit", "constexpr_function", None):
            decorator, fn = value
            try:
                return (self.place(fn, decorator), fn.__name__)
            except Error:
                if decorator is not None:
                    raise
                return None
        if isinstance(value, types.ModuleType) and not _known_module(value):
            # Attributes of a module of the user's: each like a name of its own.
            members = {}
            for attribute in function.attributes.get(name, []):
                if hasattr(value, attribute):
                    member = getattr(value, attribute)
                    members[attribute] = self.reference(attribute, member, function)
                    self.watch(attribute, members[attribute], member, vars(value), function.fn)
            text = _Text(f"girih_module_{len(self.texts) + 1}", getattr(value, "__file__", None) or value.__name__)
            text.file = f"{text.file} ({text.module})"
            self.texts.append(text)
            for statement in self.statements(members, text).values():
                text.tail.append(statement)
            return f"import {text.module} as {{name}}"
        return _statement(value)

    @staticmethod
    def statements(used: dict[str, Any], text: _Text) -> dict[str, str]:
        rows = {}
        for name, what in used.items():
            match what:
                case None:
                    continue
                case str():
                    rows[name] = what.replace("{name}", name)
                case (place, own) if place is text:
                    if name != own:
                        rows[name] = f"{name} = {own}"
                case (place, own):
                    rows[name] = f"from {place.module} import {own} as {name}"
        return rows


def _span(function: _Function) -> range:
    above = (function.decorator is not None) + (function.indent > 0)
    return range(function.first - above, function.first + len(function.lines))


def _unwrapped(value: Any) -> Any:
    """(decorator, function) for what stands for a function of a kernel; the value of a constant."""
    if isinstance(value, _core.constexpr):
        return value.value
    inner = getattr(value, "__girih_function__", None)
    if inner is not None and not isinstance(value, type):
        return inner
    if isinstance(value, types.FunctionType) and not hasattr(value, "__girih_language__"):
        return (None, value)
    return value


def _read(fn: Callable[..., Any], decorator: str | None) -> _Function:
    name = getattr(fn, "__name__", str(fn))
    try:
        lines, first = inspect.getsourcelines(fn)
        file = inspect.getsourcefile(fn) or inspect.getfile(fn)
    except (OSError, TypeError) as why:
        raise Error(
            "Y011",
            f"the source of `{name}` is not to be had",
            notes=[str(why)],
            help="define kernels in a file or a notebook cell: they are compiled from their source",
        ) from why
    try:
        tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
    except (SyntaxError, IndexError):
        tree = None
    if not isinstance(tree, ast.FunctionDef):
        raise Error(
            "Y011", f"`{name}` is not a function with `def`", labels=[(file, first, 1, "its source starts here")]
        )
    indent = len(lines[0]) - len(lines[0].lstrip())
    bound = _bound_defaults(fn, tree)
    for default, literal in reversed(bound):
        _replace(lines, default, literal, indent)
    lines = lines[tree.lineno - 1 :]
    line = first + tree.lineno - 1
    above = (decorator is not None) + (indent > 0)
    if line <= above:
        # Too near to the start of the file to put anything above it.
        lines = textwrap.dedent("".join(lines)).splitlines(keepends=True)
        indent, line = 0, 2
    names: list[str] = []
    attributes: dict[str, list[str]] = {}
    replaced = {id(inner) for default, _ in bound for inner in ast.walk(default)}
    for part in [*tree.body, tree.args, *filter(None, [tree.returns])]:
        for node in ast.walk(part):
            if id(node) in replaced:
                continue
            if isinstance(node, ast.Name) and node.id not in names:
                names.append(node.id)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                attributes.setdefault(node.value.id, []).append(node.attr)
    return _Function(fn, file, lines, line, indent, decorator, names, attributes)


def _bound_defaults(fn: Callable[..., Any], tree: ast.FunctionDef) -> list[tuple[ast.expr, str]]:
    """Defaults of parameters that are computed, with the values they got when the function was defined, in the order of the text."""
    parameters = inspect.signature(fn).parameters
    positional = [*tree.args.posonlyargs, *tree.args.args]
    pairs = list(zip(reversed(positional), reversed(tree.args.defaults)))[::-1]
    pairs += [(a, d) for a, d in zip(tree.args.kwonlyargs, tree.args.kw_defaults) if d is not None]
    found = []
    for argument, node in pairs:
        literal = _literal(parameters[argument.arg].default) if argument.arg in parameters else None
        if literal is not None and not isinstance(node, ast.Constant):
            found.append((node, literal))
    return found


def _replace(lines: list[str], node: ast.expr, text: str, indent: int) -> None:
    """Puts a text on one line in the place of an expression, and keeps the number of lines."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    before = lines[first].encode()[: node.col_offset + indent].decode()
    after = lines[last].encode()[(node.end_col_offset or 0) + indent :].decode()
    if first == last:
        lines[first] = before + text + after
    else:
        lines[first : last + 1] = [f"{before}{text}\n", *["\n"] * (last - first - 1), after]


def _globals(function: _Function) -> Iterator[tuple[str, Any, Any]]:
    """Names that are not the function's own, with their values now and where these are kept."""
    fn = function.fn
    closure = {}
    for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or ()):
        try:
            closure[name] = (cell.cell_contents, cell)
        except ValueError:
            pass
    own = set(fn.__code__.co_varnames)
    for name in function.names:
        if name in closure:
            yield name, *closure[name]
        elif name not in own and name in fn.__globals__:
            yield name, fn.__globals__[name], fn.__globals__


def _known_module(module: types.ModuleType) -> bool:
    return module is math or _canonical(module.__name__) is not None


def _canonical(name: str) -> str | None:
    """Triton's name of a module of ours."""
    if name == "girih.triton" or name.startswith("girih.triton."):
        name = name.removeprefix("girih.")
        return re.sub(r"^triton\.language\._\w+$", "triton.language", name)
    return name if name == "triton" or name.startswith("triton.") else None


def _statement(value: Any) -> str | None:
    """A statement that binds `{name}` to a value; None for what has no meaning in kernels."""
    if isinstance(value, types.ModuleType):
        name = "math" if value is math else _canonical(value.__name__)
        return f"import {name} as {{name}}"
    language = getattr(value, "__girih_language__", None)
    if isinstance(value, type) and value.__module__.startswith("girih.triton.language"):
        language = (value.__module__, value.__name__)
    if language is not None:
        return f"from {_canonical(language[0])} import {language[1]} as {{name}}"
    if isinstance(value, _core.dtype) or str(type(value)) == "<class 'torch.dtype'>":
        own = _dtype_name(value)
        return None if own is None else f"from triton.language import {own} as {{name}}"
    literal = _literal(value)
    return None if literal is None else f"{{name}} = {literal}"


def _dtype_name(value: Any) -> str | None:
    if isinstance(value, _core.dtype):
        found = [name for name, row in vars(_core).items() if row is value]
        return found[0] if found else None
    name = str(value).removeprefix("torch.")
    name = {"bool": "int1", "float8_e4m3fn": "float8e4nv", "float8_e5m2": "float8e5"}.get(name, name)
    return name if isinstance(vars(_core).get(name), _core.dtype) else None


def _literal(value: Any) -> str | None:
    if isinstance(value, _core.constexpr):
        value = value.value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value) if type(value) in (type(None), bool, int, float, str) else None
    if isinstance(value, (tuple, list)):
        items = [_literal(item) for item in value]
        if None in items:
            return None
        return "(" + "".join(f"{item}, " for item in items) + ")"
    return None
