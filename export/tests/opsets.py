"""The least operator set that each node of a file needs, by the history of ONNX's own schemas.

    python3 opsets.py MODEL.onnx…

Prints a JSON list: for each file its opset, its IR version and, for each operator in it, the first version of that operator
that takes every node as it is written: as many inputs and outputs, of these element types, and these attributes.
"""

import collections
import json
import sys

import onnx

history = collections.defaultdict(list)
for schema in onnx.defs.get_all_schemas_with_history():
    if schema.domain == "" and not schema.deprecated:
        history[schema.name].append(schema)


def element_types(model):
    """The type of every value, `tensor(float)`."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    kinds = {tensor.name: tensor.data_type for tensor in inferred.initializer}
    for value in (*inferred.input, *inferred.output, *inferred.value_info):
        kinds[value.name] = value.type.tensor_type.elem_type
    return kinds


def bodies(node):
    return [graph for attribute in node.attribute for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)]


def nodes_with_types(model):
    """Every node, those in bodies too, with the types of the values around it."""
    types = element_types(model)
    named = {name: f"tensor({onnx.TensorProto.DataType.Name(kind).lower()})" for name, kind in types.items()}
    for node in model.graph.node:
        yield node, named
        for body in bodies(node):
            # A body as a model: what it takes from around it becomes an input.
            inside = onnx.ModelProto()
            inside.CopyFrom(model)
            inside.graph.CopyFrom(body)
            own = {value for inner in body.node for value in inner.output} | {port.name for port in body.input}
            taken = {value for inner in body.node for value in inner.input if value} - own - {tensor.name for tensor in body.initializer}
            for name in sorted(taken):
                inside.graph.input.append(onnx.helper.make_tensor_value_info(name, types[name], None))
            yield from nodes_with_types(inside)


def takes(schema, node, types):
    attributes = {attribute.name: attribute.type for attribute in node.attribute}
    if not (schema.min_input <= len(node.input) <= schema.max_input and schema.min_output <= len(node.output) <= schema.max_output):
        return False
    known = {name: int(attribute.type.value) for name, attribute in schema.attributes.items()}
    if any(known.get(name) != kind for name, kind in attributes.items()):
        return False
    if any(attribute.required and name not in attributes for name, attribute in schema.attributes.items()):
        return False
    for values, formals in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for i, value in enumerate(values):
            # The last one stands for all that follow where there may be many.
            if value and types[value] not in formals[min(i, len(formals) - 1)].types:
                return False
    return True


def least(node, types):
    versions = [schema.since_version for schema in history[node.op_type] if takes(schema, node, types)]
    return min(versions) if versions else sys.exit(f"no version of {node.op_type} takes {node.name}")


def main(paths):
    checked = []
    for path in paths:
        model = onnx.load(path)
        operators = collections.Counter()
        for node, types in nodes_with_types(model):
            operators[node.op_type] = max(operators[node.op_type], least(node, types))
        checked.append({"opset": model.opset_import[0].version, "ir": model.ir_version, "operators": operators})
    print(json.dumps(checked))


if __name__ == "__main__":
    main(sys.argv[1:])
