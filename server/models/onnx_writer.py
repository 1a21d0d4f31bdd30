"""Writes ONNX files with the standard library alone.

An ONNX file is one Protocol Buffers message. The handful of fields that the
models need are encoded here by number, as `onnx.proto` gives them, so that no package
has to be installed to write one and the same weights give the same bytes everywhere.
"""

from array import array
import struct
import sys

# Operator set 17 with its matching file version; every operator used here is older.
OPSET_VERSION = 17
IR_VERSION = 8

FLOAT, INT64 = 1, 7  # TensorProto.DataType
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 2, 7  # AttributeProto.AttributeType


def _varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field, value):
    if value < 0:
        raise ValueError("negative integers do not occur in these models")
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    if isinstance(value, str):
        value = value.encode()
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _float_bytes(values):
    """The values as little-endian float32, rounded to nearest."""
    floats = values if isinstance(values, array) and values.typecode == "f" else array("f", values)
    if sys.byteorder == "big":
        floats = floats[:]
        floats.byteswap()
    return floats.tobytes()


def _attribute(name, value):
    body = _bytes(1, name)
    if isinstance(value, float):
        return body + b"\x15" + _float_bytes([value]) + _int(20, ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return body + _int(3, value) + _int(20, ATTRIBUTE_INT)
    return body + b"".join(_int(8, item) for item in value) + _int(20, ATTRIBUTE_INTS)


def _value_info(name, shape):
    dims = b"".join(_bytes(1, _int(1, size)) for size in shape)
    tensor_type = _int(1, FLOAT) + _bytes(2, dims)
    return _bytes(1, name) + _bytes(2, _bytes(1, tensor_type))


def same_padding(size, kernel, stride):
    """The output's size and the pads of a square convolution with TensorFlow's "same" padding.

    The odd row and column go to the bottom and right.
    """
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    before = total // 2
    return out, (before, before, total - before, total - before)


class Graph:
    """A network under construction; every method adds one node and returns its output's name.

    The name is made up unless it is given.
    """

    def __init__(self, name, input_name, input_shape):
        self._name = name
        self._input = _value_info(input_name, input_shape)
        self._nodes = []
        self._initializers = []
        self._count = 0
        self._relu6_bounds = None

    def _node(self, op, inputs, output=None, **attributes):
        self._count += 1
        output = output or f"{op.lower()}_{self._count}"
        body = b"".join(_bytes(1, name) for name in inputs)
        body += _bytes(2, output) + _bytes(3, output) + _bytes(4, op)
        body += b"".join(_bytes(5, _attribute(k, v)) for k, v in sorted(attributes.items()))
        self._nodes.append(_bytes(1, body))
        return output

    def _constant(self, name, shape, values):
        data = _float_bytes(values)
        size = 1
        for extent in shape:
            size *= extent
        if len(data) != 4 * size:
            raise ValueError(f"{name}: {len(data) // 4} values for the shape {shape}")
        return self._initializer(name, shape, FLOAT, data)

    def _initializer(self, name, shape, kind, data):
        body = b"".join(_int(1, extent) for extent in shape) + _int(2, kind)
        self._initializers.append(_bytes(5, body + _bytes(8, name) + _bytes(9, data)))
        return name

    def conv(self, x, name, shape, weight, bias, stride, pads, group):
        """A convolution; `shape` is (out, in / group, height, width), `pads` (top, left, bottom, right)."""
        w = self._constant(f"{name}.weight", shape, weight)
        b = self._constant(f"{name}.bias", shape[:1], bias)
        return self._node(
            "Conv",
            [x, w, b],
            group=group,
            kernel_shape=list(shape[2:]),
            pads=list(pads),
            strides=[stride, stride],
        )

    def dense(self, x, name, shape, weight, bias):
        """A fully connected layer; `shape` is (out, in)."""
        w = self._constant(f"{name}.weight", shape, weight)
        b = self._constant(f"{name}.bias", shape[:1], bias)
        return self._node("Gemm", [x, w, b], transB=1)

    def relu6(self, x):
        """Clips to 0..6."""
        if self._relu6_bounds is None:
            self._relu6_bounds = [
                self._constant("relu6.min", (), [0.0]),
                self._constant("relu6.max", (), [6.0]),
            ]
        return self._node("Clip", [x, *self._relu6_bounds])

    def relu(self, x):
        """Clips below at 0."""
        return self._node("Relu", [x])

    def add(self, a, b):
        """Adds two tensors of one shape."""
        return self._node("Add", [a, b])

    def pool_and_flatten(self, x):
        """Averages each channel over the whole plane, leaving (batch, channels)."""
        return self._node("Flatten", [self._node("GlobalAveragePool", [x])], axis=1)

    def softmax(self, x):
        """Turns the last axis into probabilities."""
        return self._node("Softmax", [x], axis=1)

    def concat(self, tensors, axis, output=None):
        """Joins tensors that differ in no axis but the given one."""
        return self._node("Concat", tensors, output, axis=axis)

    def transpose(self, x, axes):
        """The same numbers with the axes in another order."""
        return self._node("Transpose", [x], perm=list(axes))

    def reshape(self, x, shape, output=None):
        """The same numbers in the same order, in another shape."""
        data = struct.pack(f"<{len(shape)}q", *shape)
        name = f"shape_{self._count + 1}"
        target = self._initializer(name, (len(shape),), INT64, data)
        return self._node("Reshape", [x, target], output)

    def model(self, outputs):
        """The bytes of the finished file; `outputs` has the name and the shape of each result."""
        graph = b"".join(self._nodes) + _bytes(2, self._name) + b"".join(self._initializers)
        graph += _bytes(11, self._input)
        graph += b"".join(_bytes(12, _value_info(name, shape)) for name, shape in outputs)
        opset = _bytes(1, "") + _int(2, OPSET_VERSION)
        return _int(1, IR_VERSION) + _bytes(2, "cattocdn") + _bytes(7, graph) + _bytes(8, opset)
