"""The shared library of ONNX Runtime, which its package has beside the Python bindings.

It is passed on as it is, under the name that the platform's loader would look for.
"""

import re
import zipfile

# `libonnxruntime.so.1.28.0` on Linux, `libonnxruntime.1.28.0.dylib` on macOS.
MEMBER = re.compile(r"onnxruntime/capi/libonnxruntime\.(so\.[\d.]+|[\d.]+\.dylib)")


def convert(wheel_path):
    """The bytes of the library in the given wheel."""
    with zipfile.ZipFile(wheel_path) as wheel:
        (member,) = filter(MEMBER.fullmatch, wheel.namelist())
        return wheel.read(member)
