"""Ops of one's own in torch: the text of their functions, and whether torch gives what they say."""

from __future__ import annotations

import ast
import builtins
import inspect
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from symtable import Symbol, SymbolTable, symtable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.errors import SpecError
from archdsl.graph import Graph, Node
from archdsl.graph.user_code import line_within
from archdsl.graph.user_ops import line_of_thing, method_line
from archdsl.ops import Op, Shape
from archdsl.ops.layer import Function, Layer

TorchFunction = Callable[..., Any]
EMITTED_IMPORTS = {"torch": torch, "nn": nn, "F": F, "Tensor": Tensor, "math": math, "Any": Any, "Callable": Callable}
"""Names that the emitted source has without asking."""
RUNTIME = "archdsl.backend.runtime."


def function_of(need: Function | TorchFunction) -> TorchFunction:
    """A function or module that an op names."""
    if not isinstance(need, Function):
        return need
    function: TorchFunction = getattr(import_module(RUNTIME + need.file), need.name)
    return function


def source_texts(needs: Iterable[Function | TorchFunction]) -> dict[str, str]:
    """Name -> source of functions and modules, each once, behind those of the same file that it uses."""
    found: dict[str, tuple[Any, str]] = {}
    for need in needs:
        for name, thing in dependencies_of(function_of(need), ()):
            if found.setdefault(name, (thing, source_text(name, thing)))[0] is not thing:
                files = " and ".join(str(getattr(one, "__module__", one)) for one in (found[name][0], thing))
                raise SpecError(f"two functions named {name!r} in one network", got=files, fix="another name for one")
    return {name: text for name, (_, text) in found.items()}


def source_text(name: str, thing: Any) -> str:
    """The source of a function or class, or of a number under its name."""
    if not callable(thing):
        return f"{name} = {thing!r}"
    try:
        return textwrap.dedent(inspect.getsource(thing)).rstrip()
    except (OSError, TypeError):
        want = "a function or class in a file"
        raise SpecError(f"no source of {name!r} to emit", got=repr(thing), want=want) from None


def dependencies_of(need: TorchFunction, above: tuple[TorchFunction, ...]) -> Iterator[tuple[str, Any]]:
    """What a function or class uses of its own file, and itself behind that. Those of archdsl name all they need."""
    if need in above:
        return
    if not need.__module__.startswith(RUNTIME):
        if need.__name__ == "<lambda>":
            raise SpecError("a lambda has no text to emit", written=line_of_thing(need), want="a function with a name")
        for name, thing in globals_of(need):
            if callable(thing):
                yield from dependencies_of(thing, (*above, need))
            else:
                yield name, thing
    yield need.__name__, need


def globals_of(need: TorchFunction) -> Iterator[tuple[str, Any]]:
    """The globals that a person's function or class reads, but for those that the emitted source has."""
    known = vars(inspect.getmodule(need))
    for name in names_read(need):
        thing = known.get(name)
        if (name in EMITTED_IMPORTS and thing is EMITTED_IMPORTS[name]) or (
            name not in known and hasattr(builtins, name)
        ):
            continue
        home = getattr(thing, "__module__", None) or ""
        own = callable(thing) and (home == need.__module__ or home.startswith(RUNTIME))
        if not own and not isinstance(thing, bool | int | float | str | tuple):
            raise SpecError(
                f"{need.__name__} uses {name!r}, which the emitted source does not have",
                written=line_of_thing(need),
                got=repr(thing) if name in known else f"no {name} in its file",
                want=f"{', '.join(EMITTED_IMPORTS)}, numbers, and functions and classes of its own file",
            )
        yield name, thing


def names_read(need: TorchFunction) -> list[str]:
    """Globals that a function or class reads, itself left out."""
    tables, found = [symtable(source_text(need.__name__, need), need.__name__, "exec")], dict[str, None]()
    while tables:
        table = tables.pop(0)
        tables += table.get_children()
        outside = [one.get_name() for one in table.get_symbols() if one.is_referenced() and not is_local(one, table)]
        found |= dict.fromkeys(outside)
    return [name for name in found if name != need.__name__]


def is_local(symbol: Symbol, table: SymbolTable) -> bool:
    """Whether a name is a local one; those of the outermost table are what is defined in the text."""
    return symbol.is_assigned() if table.get_type() == "module" else not symbol.is_global()


def confirm(graph: Graph) -> None:
    """Raises SpecError where torch gives other shapes or weights than an op of one's own says."""
    known: set[tuple[Op, tuple[Shape, ...]]] = set()
    for node in graph.nodes.values():
        xs = tuple(graph.shapes[read] for read in node.reads)
        if node.op.own and xs and (node.op, xs) not in known:
            known.add((node.op, xs))
            try:
                confirm_op(node, xs, graph.shapes[node.address])
            except SpecError as error:
                raise error.placed(node.address, method_line(node.op, "torch")) from None


def confirm_op(node: Node, xs: tuple[Shape, ...], y: Shape) -> None:
    """One op, on the meta device: the result, its parameters and its buffers."""
    op, name = node.op, type(node.op).__name__
    layer = op.torch(*xs)
    try:
        module, result = run_layer(layer, xs, "meta")
    except NotImplementedError:  # an aten op without a meta kernel
        module, result = run_layer(layer, xs, "cpu")
    except SpecError:
        raise
    except Exception as error:  # noqa: BLE001  whatever a person's function raises is theirs to read
        raise SpecError(
            f"{name} fails in torch", written=line_within(error), got=f"{type(error).__name__}: {error}"
        ) from None
    if not isinstance(result, Tensor):
        got = type(result).__name__
        raise SpecError(
            f"{name} gives no tensor in torch", written=method_line(op, "torch"), got=got, want="one Tensor"
        )
    got, want = tuple(result.shape[1:]), op.tensor(y)
    if got != want:
        raise SpecError(
            f"{name}.out is not what torch gives", written=method_line(op, "out"), got=f"{want}", want=f"{got}"
        )
    parameters = {key: tuple(value.shape) for key, value in module.named_parameters()} if module else {}
    if parameters != op.weights(*xs):
        what, line = f"{name}.weights are not what torch has", method_line(op, "weights")
        raise SpecError(what, written=line, got=f"{op.weights(*xs)}", want=f"{parameters}")
    held = sum(value.numel() * value.element_size() for value in module.buffers()) if module else 0
    if held != op.buffers(*xs):
        what, line = f"{name}.buffers are not what torch has", method_line(op, "buffers")
        raise SpecError(what, written=line, got=f"{op.buffers(*xs)} bytes", want=f"{held} bytes")


def run_layer(layer: Layer, xs: tuple[Shape, ...], device: str) -> tuple[nn.Module | None, Tensor]:
    """A layer made of its text, and what it gives for two clips."""
    names: dict[str, Any] = dict(EMITTED_IMPORTS)
    for need in map(function_of, layer.needs):
        for name, thing in dependencies_of(need, ()):
            define(name, thing, names)
    with torch.device(device):
        arguments = {argument.name: argument.value for argument in layer.args}
        module = eval(layer.module, names)(**arguments) if layer.module else None
        maps = [torch.randn(2, *x.tensor) for x in xs]
    call = layer.call.format(*(f"maps[{i}]" for i in range(len(maps))), m="module")
    with torch.no_grad():
        return module, eval(call, names, {"maps": maps, "module": module})


def define(name: str, thing: Any, names: dict[str, Any]) -> None:
    """A function, class or number made of its text, with the lines of its file."""
    tree, file = ast.parse(source_text(name, thing)), "<own>"
    if callable(thing):
        ast.increment_lineno(tree, inspect.getsourcelines(thing)[1] - 1)
        file = inspect.getfile(thing)
    exec(compile(tree, file, "exec", dont_inherit=True), names)
