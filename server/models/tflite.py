"""Reads the tensors and operators of a TensorFlow Lite file with the standard library alone.

A TensorFlow Lite file is one FlatBuffer. The handful of fields that the detector needs are read
here by number, as TensorFlow's `schema.fbs` gives them. Anything that it would have to guess at is
an error: no file but the pinned one is meant to be read.
"""

from array import array
import struct
from typing import NamedTuple

from tensor import Tensor

# BuiltinOperator of the schema.
OPERATORS = {
    0: "Add",
    2: "Concatenation",
    3: "Conv2D",
    4: "DepthwiseConv2D",
    6: "Dequantize",
    22: "Reshape",
}
ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}  # ActivationFunctionType
FLOAT32, FLOAT16, INT32 = 0, 1, 2  # TensorType
SAME = 0  # Padding


class _Table:
    """A FlatBuffers table: its fields are looked up by number, and may be missing."""

    def __init__(self, data, at):
        self._data = data
        self._at = at
        self._fields = at - self._read("i", at)

    def _read(self, kind, at):
        return struct.unpack_from(f"<{kind}", self._data, at)[0]

    def _find(self, field):
        entry = 4 + 2 * field
        if entry >= self._read("H", self._fields):
            return None
        offset = self._read("H", self._fields + entry)
        return self._at + offset if offset else None

    def _vector(self, field):
        """The number of elements, and where the first one is."""
        at = self._find(field)
        if at is None:
            return 0, 0
        at += self._read("I", at)
        return self._read("I", at), at + 4

    def number(self, field, kind, default=0):
        """A number of the given kind, named as in `struct`."""
        at = self._find(field)
        return default if at is None else self._read(kind, at)

    def integers(self, field):
        """A vector of 32-bit integers."""
        count, at = self._vector(field)
        return list(struct.unpack_from(f"<{count}i", self._data, at))

    def bytes(self, field):
        """A vector of bytes, or a string."""
        count, at = self._vector(field)
        return self._data[at : at + count]

    def table(self, field):
        """A table in a table."""
        at = self._find(field)
        return None if at is None else _Table(self._data, at + self._read("I", at))

    def tables(self, field):
        """A vector of tables."""
        count, at = self._vector(field)
        starts = (at + 4 * index for index in range(count))
        return [_Table(self._data, start + self._read("I", start)) for start in starts]


class Operator(NamedTuple):
    """One step of the network; inputs and outputs are numbers of tensors."""

    kind: str  # one of OPERATORS
    inputs: list
    outputs: list
    stride: int  # of a convolution
    axis: int  # of a concatenation
    activation: str  # "relu", "relu6" or None; it follows the operator


class Network:
    """The shapes, the constants and the operators, the latter in the order in which they run."""

    def __init__(self, data):
        if data[4:8] != b"TFL3":
            raise ValueError("not a TensorFlow Lite file")
        model = _Table(data, struct.unpack_from("<I", data)[0])
        (graph,) = model.tables(2)
        tensors = graph.tables(0)
        self._buffers = model.tables(4)
        self._tensors = tensors
        self.shapes = [tensor.integers(0) for tensor in tensors]
        self.inputs, self.outputs = graph.integers(1), graph.integers(2)
        # A code beyond 126 would stand in a newer field, which is not needed here.
        codes = [OPERATORS[code.number(0, "b")] for code in model.tables(1)]
        self.operators = [_operator(codes, entry) for entry in graph.tables(3)]

    def constant(self, index):
        """The numbers of a constant float tensor, widened to float32."""
        tensor = self._tensors[index]
        data = self._buffers[tensor.number(2, "I")].bytes(0)
        kind = {FLOAT32: "f", FLOAT16: "e"}[tensor.number(1, "b")]
        count = len(data) // struct.calcsize(f"<{kind}")
        if not count:
            raise ValueError(f"tensor {index} is no constant")
        return Tensor(array("f", struct.unpack(f"<{count}{kind}", data)), self.shapes[index])


def _operator(codes, entry):
    kind, options = codes[entry.number(0, "I")], entry.table(4)
    stride, axis, activation = 1, None, None
    if kind in ("Conv2D", "DepthwiseConv2D"):
        # The depthwise options have one field more, the number of filters for each channel.
        depthwise = kind == "DepthwiseConv2D"
        stride, high = options.number(1, "i"), options.number(2, "i")
        multiplier = options.number(3, "i") if depthwise else 1
        dilations = [options.number(4 + depthwise + side, "i", 1) for side in range(2)]
        activation = ACTIVATIONS[options.number(3 + depthwise, "b")]
        if options.number(0, "b") != SAME or stride != high or multiplier != 1:
            raise ValueError(f"a {kind} of this kind is not expected")
        if dilations != [1, 1]:
            raise ValueError(f"a {kind} with dilation is not expected")
    elif kind == "Add":
        activation = ACTIVATIONS[options.number(0, "b")] if options else None
    elif kind == "Concatenation":
        axis = options.number(0, "i")
        activation = ACTIVATIONS[options.number(1, "b")]
    return Operator(kind, entry.integers(1), entry.integers(2), stride, axis, activation)
