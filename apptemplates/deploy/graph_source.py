"""A Keras graph as source that builds it again."""

import inspect
import json
import keyword
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from apptemplates.data.schema import DataError

LONG = 12  # values of a list that stands in the source; longer ones stand beside it
WIDE = 92  # characters of a line, beside the variable that it sets
SIGNS = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}
DERIVED = ("vocabulary_size",)  # what the other choices tell
USUAL = {"name": None, "trainable": True, "dtype": "float32"}  # of every layer


class Source:
    """Source of graphs, and what it needs beside it.

    Attributes:
        functions: Of each graph and each graph within one.
        classes: Layers that are not Keras's own.
        constants: Long lists by the name under which the source looks them up.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.functions: list[str] = []
        self.classes: set[type] = set()
        self.constants: dict[str, Any] = {}
        self._named: dict[int, str] = {}  # graphs that have a function already

    def function(self, name: str, say: str, graphs: Mapping[str, keras.Model]) -> None:
        """Adds a function that builds graphs, which may share layers, and returns them in this order.

        Raises:
            DataError: A layer or an operation has no source.
        """
        body = Body(self)
        returned = []
        for called, graph in graphs.items():
            whole = graph._functional if isinstance(graph, keras.Sequential) else graph
            body.graph(whole)
            given = [body.value(whole.input), body.value(whole.output)]
            if not graph.name.startswith("functional"):
                given.append(f"name={literal(graph.name)}")
            made = call("keras.Model", given)
            returned.append(called)
            body.lines.append(f"{called} = {made}")
        back = "keras.Model" if len(graphs) == 1 else f"tuple[{', '.join(['keras.Model'] * len(graphs))}]"
        lines = [f"def {name}() -> {back}:", f'    """{say}"""', *body.lines, f"return {', '.join(returned)}"]
        self.functions.append("\n".join([*lines[:2], *(textwrap.indent(line, "    ") for line in lines[2:])]))

    def inner(self, graph: keras.Model) -> str:
        """The function that builds a graph within a graph."""
        if id(graph) not in self._named:
            name = plain(f"build_{graph.name}")
            while name in self._named.values():
                name += "_"
            self._named[id(graph)] = name
            self.function(name, f"The part {graph.name!r} of the model.", {"model": graph})
        return self._named[id(graph)]

    def layer(self, layer: Any) -> str:
        """What makes a layer as it was made, without its weights."""
        kind = type(layer)
        own = kind.__module__.startswith("apptemplates.")
        if not own and getattr(keras.layers, kind.__name__, None) is not kind:
            raise DataError(
                f"{self.owner}: the layer {layer.name!r} is a {kind.__module__}.{kind.__name__}, whose source is not "
                "ours to write; eject takes graphs of Keras's and this package's own layers."
            )
        if own:
            self.classes.add(kind)
        usual = {name: one.default for name, one in inspect.signature(kind.__init__).parameters.items()}
        given = []
        for name, value in layer.get_config().items():
            value = policy(value) if name == "dtype" else value
            if name in USUAL and (name == "name" or value == USUAL[name]):
                continue
            if name in DERIVED or same(value, usual.get(name)):
                continue
            if isinstance(value, list | tuple) and len(value) > LONG:
                self.constants[f"{layer.name}.{name}"] = list(value)
                given.append(f"{name}=CONSTANTS[{literal(f'{layer.name}.{name}')}]")
            else:
                given.append(f"{name}={literal(value)}")
        return call(kind.__name__ if own else f"keras.layers.{kind.__name__}", [*given, f"name={literal(layer.name)}"])


class Body:
    """The lines of one function: a variable for every layer that is called twice, and for every tensor."""

    def __init__(self, source: Source) -> None:
        self.source, self.lines = source, list[str]()
        self._tensors: dict[int, str] = {}
        self._made: dict[int, str] = {}  # layers that have a variable
        self._done: set[int] = set()
        self._taken: set[str] = {"model", "keras"}

    def graph(self, graph: Any) -> None:
        """Adds what makes a graph's tensors."""
        nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
        calls: dict[int, int] = {}
        for node in nodes:
            calls[id(node.operation)] = calls.get(id(node.operation), 0) + 1
        for tensor in graph.inputs:
            if id(tensor) not in self._tensors:
                self._entry(tensor)
        for node in nodes:
            if id(node) not in self._done and not isinstance(node.operation, keras.layers.InputLayer):
                self._done.add(id(node))
                self._call(node, several=calls[id(node.operation)] > 1)

    def _entry(self, tensor: Any) -> None:
        name = self._name(tensor.name)
        shape = f"batch_shape={tensor.shape!r}" if tensor.shape[0] is not None else repr(tuple(tensor.shape[1:]))
        given = [shape, *([f"dtype={literal(tensor.dtype)}"] if tensor.dtype != "float32" else [])]
        self._tensors[id(tensor)] = name
        self.lines.append(f"{name} = {call('keras.Input', [*given, f'name={literal(tensor.name)}'])}")

    def _call(self, node: Any, several: bool) -> None:
        operation, arguments = node.operation, node.arguments
        args = [self.value(one) for one in arguments.args]
        named = {
            name: one
            for name, one in arguments.kwargs.items()
            if one is not None and name not in ("training", "mask")  # which Keras adds by itself
        }
        if isinstance(operation, keras.layers.Layer):
            made = self._layer(operation, several)
            text = call(made, args + [f"{name}={self.value(one)}" for name, one in named.items()])
        else:
            key = arguments.args[1] if len(arguments.args) > 1 else None
            text = self._operation(operation, args, {name: self.value(one) for name, one in named.items()}, key)
        if len(node.output_tensors) == 1:
            name = self._name(operation.name)
            self._tensors[id(node.output_tensors[0])] = name
            self.lines.append(f"{name} = {text}")
            return
        told = operation.compute_output_spec(*arguments.args, **arguments.kwargs)
        if isinstance(told, dict):
            name = self._name(operation.name)
            self.lines.append(f"{name} = {text}")
            for key, tensor in zip(sorted(told), node.output_tensors, strict=True):
                self._tensors[id(tensor)] = f"{name}[{key!r}]"
            return
        names = [self._name(f"{operation.name}_{place}") for place in range(len(node.output_tensors))]
        self._tensors |= {id(tensor): name for tensor, name in zip(node.output_tensors, names, strict=True)}
        self.lines.append(f"{', '.join(names)} = {text}")

    def _layer(self, layer: Any, several: bool) -> str:
        """What a layer is called by: its variable where it is called again, else what makes it."""
        if id(layer) in self._made:
            return self._made[id(layer)]
        inner = isinstance(layer, keras.Model)
        made = f"{self.source.inner(layer)}()" if inner else self.source.layer(layer)
        if not several and not inner:
            return made
        name = self._made[id(layer)] = self._name(f"{layer.name}_part")
        self.lines.append(f"{name} = {made}")
        return name

    def _operation(self, operation: Any, args: list[str], named: dict[str, str], key: Any) -> str:
        kind = type(operation).__name__
        if kind == "GetItem":
            return f"{args[0]}[{places(key)}]"
        if kind in SIGNS and len(args) == 2 and not named:
            return f"{args[0]} {SIGNS[kind]} {args[1]}"
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()
        if not hasattr(keras.ops, name):
            raise DataError(
                f"{self.source.owner}: the operation {operation.name!r} ({kind}) of the graph has no source; build the "
                "network of layers."
            )
        chosen = {
            parameter: getattr(operation, parameter)
            for parameter, one in inspect.signature(type(operation).__init__).parameters.items()
            if parameter not in ("self", "name") and getattr(operation, parameter, one.default) != one.default
        }
        given = [f"{key}={literal(value)}" for key, value in chosen.items()]
        return call(f"keras.ops.{name}", args + [f"{key}={value}" for key, value in named.items()] + given)

    def value(self, value: Any) -> str:
        """An argument of a call as source."""
        if isinstance(value, keras.KerasTensor):
            return self._tensors[id(value)]
        if isinstance(value, dict):
            parts = [f"{literal(key)}: {self.value(one)}" for key, one in value.items()]
            return enclosed("{}", parts)
        if isinstance(value, list):
            return enclosed("[]", [self.value(one) for one in value])
        if isinstance(value, tuple):
            return f"({', '.join(map(self.value, value))}{',' if len(value) == 1 else ''})"
        return literal(value)

    def _name(self, name: str) -> str:
        name = found = plain(name)
        number = 2
        while found in self._taken:
            found, number = f"{name}_{number}", number + 1
        self._taken.add(found)
        return found


def places(key: Any) -> str:
    """What stands between the brackets of an index."""
    if isinstance(key, list | tuple):
        return ", ".join(map(places, key))
    if isinstance(key, slice):
        first, last, step = ("" if one is None else literal(one) for one in (key.start, key.stop, key.step))
        return f"{first}:{last}" + (f":{step}" if step else "")
    return "..." if key is Ellipsis else literal(key)


def plain(name: str) -> str:
    """A name that may stand in Python."""
    name = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"{name}_" if keyword.iskeyword(name) else f"_{name}" if name[:1].isdigit() or not name else name


def policy(value: Any) -> Any:
    """The name of a type of numbers as layers keep it."""
    return value["config"]["name"] if isinstance(value, Mapping) else value


def same(value: Any, usual: Any) -> bool:
    """Whether a choice of a layer is what it is by default."""
    if isinstance(value, Mapping) and isinstance(usual, str):  # "zeros" beside the object that it names
        return bool(value.get("class_name") == type(keras.initializers.get(usual)).__name__)
    if usual is None and value in ("linear", "channels_last"):  # what None stands for
        return True
    return bool(value == usual or (isinstance(value, list) and isinstance(usual, tuple) and tuple(value) == usual))


def literal(value: Any) -> str:
    """A choice as source."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, Mapping) and "class_name" in value:
        kind, given = value["class_name"], value.get("config", {})
        for place in ("initializers", "regularizers", "constraints"):
            if getattr(getattr(keras, place), kind, None) is not None:
                arguments = [f"{name}={literal(one)}" for name, one in given.items() if one is not None]
                return call(f"keras.{place}.{kind}", arguments)
        return f"keras.saving.deserialize_keras_object({dict(value)!r})"
    if isinstance(value, list | tuple):
        parts = [literal(one) for one in value]
        return enclosed("[]", parts) if isinstance(value, list) or len(parts) != 1 else f"({parts[0]},)"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def call(name: str, arguments: Iterable[str]) -> str:
    """A call, on several lines where it would be too long for one."""
    return name + enclosed("()", list(arguments), len(name.rpartition("\n")[2]))


def enclosed(signs: str, parts: list[str], before: int = 0) -> str:
    """Parts between brackets, each on its own line where all are too long for one.

    Args:
        signs: The opening and the closing bracket.
        parts: What stands between them.
        before: Characters in front of them.
    """
    short = f"{signs[0]}{', '.join(parts)}{signs[1]}"
    if ("\n" not in short and before + len(short) < WIDE) or not parts:
        return short
    return signs[0] + "\n" + "".join(textwrap.indent(part, "    ") + ",\n" for part in parts) + signs[1]
