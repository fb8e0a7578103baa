#!/usr/bin/env python3
"""Writes a compiled network of convolutions once more as other graphs that compute the same: other_graphs.py FILE FOLDER

To find out what ONNX Runtime's CUDA provider runs fastest; each is compared with FILE on the CPU. The names say what is other:

  pool-before-relu    conv + bias, pool, ReLU, the compiler's order: the ReLU of a third of the values
  relu-before-pool    the trainer's order; equal to the bit, as a ReLU never falls
  bias-behind-pool    conv, pool, bias, ReLU: the bias of a third, too
  pool-by-slices      the largest of three strided slices
  pool-by-reduction   the largest along an axis of three, in channels-last memory
  first-as-product    the first convolution, whose windows adjoin, as a product of matrices
"""

import copy
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import helper, numpy_helper

# Of embeddings in fp16, as the compiler allows.
SAME = 5e-2
CHANNELS_LAST, CHANNELS_SECOND = [0, 2, 3, 1], [0, 3, 1, 2]


class Rewriting:
    """A graph whose nodes are replaced one by one."""

    def __init__(self, model):
        self.model = copy.deepcopy(model)
        self.graph = self.model.graph
        self.stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in self.graph.initializer}

    def store(self, name, values):
        if name not in self.stored:
            self.stored[name] = values
            self.graph.initializer.append(numpy_helper.from_array(numpy.ascontiguousarray(values), name))
        return name

    def integers(self, *values):
        return self.store("other_" + "_".join(map(str, values)).replace("-", "minus"), numpy.array(values, dtype=numpy.int64))

    def replace(self, wanted, makes):
        """`makes(node)` in the place of each node that is `wanted`."""
        nodes = []
        for node in self.graph.node:
            nodes += makes(node) if wanted(node) else [node]
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def ordered(self, *order):
        """ReLU and pool of each block in this order; with "bias" in it, the bias where it says and not in the convolution."""
        nodes = list(self.graph.node)
        for conv, *both in zip(nodes, nodes[1:], nodes[2:]):
            kinds = {node.op_type: node for node in both}
            if conv.op_type != "Conv" or set(kinds) != {"Relu", "MaxPool"}:
                continue
            behind, value, end = [], conv.output[0], both[1].output[0]
            for kind in order:
                if kind == "bias":
                    name = conv.input.pop()
                    column = self.store(f"{name}.column", self.stored[name].reshape(1, -1, 1, 1))
                    node = helper.make_node("Add", [value, column], [f"{name}.added"], f"{name}.added")
                else:
                    node = copy.deepcopy(kinds[kind])
                    node.input[0], node.output[0] = value, f"{node.name}.moved"
                behind.append(node)
                value = node.output[0]
            behind[-1].output[0] = end
            at = list(self.graph.node).index(both[0])
            rest = [node for node in self.graph.node if node not in both]
            rest[at:at] = behind
            del self.graph.node[:]
            self.graph.node.extend(rest)

    def pools_by_slices(self):
        def makes(pool):
            size = window(pool)
            slices, nodes = [f"{pool.name}.{first}" for first in range(size)], []
            for first, name in enumerate(slices):
                inputs = [pool.input[0], self.integers(first), self.integers(2**31), self.integers(3), self.integers(size)]
                nodes.append(helper.make_node("Slice", inputs, [name], name))
            return [*nodes, helper.make_node("Max", slices, pool.output, pool.name)]

        self.replace(is_pool, makes)

    def pools_by_reduction(self):
        channels = self.channels()

        def makes(pool):
            last, windows, most = (f"{pool.name}.{part}" for part in ("channels_last", "windows", "most"))
            length, filters = channels[pool.input[0]]
            shape = self.integers(0, 0, length // window(pool), window(pool), filters)
            return [
                helper.make_node("Transpose", pool.input, [last], last, perm=CHANNELS_LAST),
                helper.make_node("Reshape", [last, shape], [windows], windows),
                helper.make_node("ReduceMax", [windows], [most], most, axes=[3], keepdims=0),
                helper.make_node("Transpose", [most], pool.output, pool.name, perm=CHANNELS_SECOND),
            ]

        self.replace(is_pool, makes)

    def channels(self):
        """Length and channels of every value behind a convolution that keeps the length, but for the first one's windows that adjoin."""
        found, length = {}, self.segment()
        for node in self.graph.node:
            if node.op_type == "Conv":
                length //= next(attribute.ints[1] for attribute in node.attribute if attribute.name == "strides")
                filters = self.stored[node.input[1]].shape[0]
            elif is_pool(node):
                length //= window(node)
            if node.op_type in ("Conv", "Relu", "MaxPool"):
                found[node.output[0]] = (length, filters)
        return found

    def first_as_product(self):
        first = next(node for node in self.graph.node if node.op_type == "Conv")

        def makes(conv):
            weight, bias = (self.stored[name] for name in conv.input[1:])
            filters, _, _, kernel = weight.shape
            name = conv.name
            matrix = self.store(f"{name}.matrix", weight.reshape(filters, kernel).T)
            row = self.store(f"{name}.row", bias)
            shape = self.integers(0, -1, self.segment() // kernel, kernel)
            return [
                helper.make_node("Reshape", [conv.input[0], shape], [f"{name}.windows"], f"{name}.windows"),
                helper.make_node("MatMul", [f"{name}.windows", matrix], [f"{name}.product"], f"{name}.product"),
                helper.make_node("Add", [f"{name}.product", row], [f"{name}.sum"], f"{name}.sum"),
                helper.make_node("Transpose", [f"{name}.sum"], conv.output, name, perm=CHANNELS_SECOND),
            ]

        self.replace(lambda node: node is first or node.name == first.name, makes)

    def segment(self):
        """Samples of a segment, the last size of the first reshape."""
        reshape = next(node for node in self.graph.node if node.op_type == "Reshape")
        return int(self.stored[reshape.input[1]][-1])


def is_pool(node):
    return node.op_type == "MaxPool"


def window(pool):
    return next(attribute.ints[1] for attribute in pool.attribute if attribute.name == "kernel_shape")


REWRITINGS = {
    "pool-before-relu": lambda graph: graph.ordered("MaxPool", "Relu"),
    "relu-before-pool": lambda graph: graph.ordered("Relu", "MaxPool"),
    "bias-behind-pool": lambda graph: graph.ordered("MaxPool", "bias", "Relu"),
    "pool-by-slices": Rewriting.pools_by_slices,
    "pool-by-reduction": Rewriting.pools_by_reduction,
    "first-as-product": Rewriting.first_as_product,
}


def answers(path, waveform):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"waveform": waveform})


def main():
    file, folder = map(Path, sys.argv[1:])
    model = onnx.load(file)
    samples = Rewriting(model).segment() * 2
    waveform = (numpy.random.default_rng(1).random((2, samples), dtype=numpy.float32) - 0.5) / 5
    wanted = answers(file, waveform)
    graphs = {name: Rewriting(model) for name in REWRITINGS}
    for name, graph in graphs.items():
        REWRITINGS[name](graph)
        out = folder / f"{name}.clip.onnx"
        used = {value for node in graph.graph.node for value in node.input}
        kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
        del graph.graph.initializer[:]
        graph.graph.initializer.extend(kept)
        onnx.checker.check_model(graph.model)
        onnx.save(graph.model, out)
        far = max(float(numpy.abs(a - b).max()) for a, b in zip(wanted, answers(out, waveform)))
        print(f"{name}: {far:.1e} from {file.name}")
        if not far <= SAME:
            sys.exit(f"{name} does not compute the same")
    (folder / file.name).write_bytes(file.read_bytes())


main()
