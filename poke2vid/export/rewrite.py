"""Rewritings of a graph that keep its results and make it faster to run."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

_ONE = "elu_one"


def with_plain_elu(model: onnx.ModelProto) -> onnx.ModelProto:
    """Writes every ELU as relu(x) + (exp(x - relu(x)) - 1), which is the same function.

    ONNX Runtime computes Elu number by number, but Exp by vectors: in WebAssembly Elu took 4.5 of the 27 ms of a step
    of small128, these five operators take 1.3; on the CPU a step is a tenth faster too. min(x, 0) in place of
    x - relu(x) would be slow again.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes += _elu(node) if _is_elu(node) else [node]
    if len(nodes) > len(model.graph.node):
        plain.graph.initializer.append(numpy_helper.from_array(np.array(1.0, np.float32), _ONE))
        del plain.graph.node[:]
        plain.graph.node.extend(nodes)
    return plain


def _is_elu(node: onnx.NodeProto) -> bool:
    return node.op_type == "Elu" and all(a.name == "alpha" and a.f == 1.0 for a in node.attribute)


def _elu(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    x, y = node.input[0], node.output[0]
    above, below, grown, fallen = (f"{y}_{part}" for part in ("above", "below", "grown", "fallen"))
    return [
        helper.make_node("Relu", [x], [above], f"{node.name}_Relu"),
        helper.make_node("Sub", [x, above], [below], f"{node.name}_Sub"),
        helper.make_node("Exp", [below], [grown], f"{node.name}_Exp"),
        helper.make_node("Sub", [grown, _ONE], [fallen], f"{node.name}_Sub1"),
        helper.make_node("Add", [above, fallen], [y], f"{node.name}_Add"),
    ]
