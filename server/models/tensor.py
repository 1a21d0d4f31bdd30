"""Strided float tensors and the folding of batch normalisation, without NumPy."""

from array import array
from itertools import product
import math


class Tensor:
    """A view of `data`: the element at an index is at `offset + sum(index * stride)`.

    Both sources keep convolution weights in an order that ONNX does not use, so every
    read goes through the strides; reading the numbers in storage order gives a network
    that answers the same class for everything.
    """

    def __init__(self, data, shape, strides=None, offset=0):
        self.data = data
        self.shape = tuple(shape)
        self.offset = offset
        if strides is None:
            strides, step = [], 1
            for extent in reversed(self.shape):
                strides.insert(0, step)
                step *= extent
        self.strides = tuple(strides)

    def permute(self, *axes):
        """The same numbers with the axes in another order."""
        return Tensor(
            self.data,
            [self.shape[axis] for axis in axes],
            [self.strides[axis] for axis in axes],
            self.offset,
        )

    def rows(self):
        """One flat list of numbers for each index of the first axis."""
        inner = [
            sum(index * stride for index, stride in zip(indices, self.strides[1:]))
            for indices in product(*(range(extent) for extent in self.shape[1:]))
        ]
        for row in range(self.shape[0]):
            start = self.offset + row * self.strides[0]
            yield [self.data[start + step] for step in inner]

    def flat(self):
        """All numbers, the last axis running fastest, as float32."""
        return array("f", (value for row in self.rows() for value in row))


def fold_batch_norm(weight, gamma, beta, mean, variance, epsilon):
    """The weights and biases of a convolution that does its batch normalisation too.

    `weight` has the output channel first. Computed in double precision and rounded once:
    multiplication, division and square root are exact to the last bit by IEEE 754, so the
    result does not depend on the machine.
    """
    folded, biases = array("f"), array("f")
    parameters = zip(weight.rows(), gamma.flat(), beta.flat(), mean.flat(), variance.flat())
    for row, gamma_c, beta_c, mean_c, variance_c in parameters:
        scale = gamma_c / math.sqrt(variance_c + epsilon)
        folded.extend([value * scale for value in row])
        biases.append(beta_c - mean_c * scale)
    return folded, biases
