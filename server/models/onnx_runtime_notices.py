"""The notices of the code by others in ONNX Runtime, which must go wherever its library goes.

The file is passed on as it is; it is the same in the wheels for all platforms.
"""

import zipfile

MEMBER = "onnxruntime/ThirdPartyNotices.txt"


def convert(wheel_path):
    """The bytes of the notices in the given wheel."""
    with zipfile.ZipFile(wheel_path) as wheel:
        return wheel.read(MEMBER)
