"""From the graph of a published MAXIM package to the named weights of our network.

The packages hold TensorFlow.js graph models. `model.json` lists the operations, each named by the path of the layer
from which it was traced, and the constants that they take; the shards hold the values of the constants one after
another.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_ROOT = "/backbone/"

# The end of the name of an operation that takes a weight or a bias; the path of its layer comes before it.
_OPERATION = re.compile(r"/(Conv2D|conv2d_transpose|einsum/Einsum|jit_fn_/(Mul|AddV2)\w*)$")

# The permutation of axes that PyTorch needs.
_AXES = {"Conv2D": (3, 2, 0, 1), "Conv2DBackpropInput": (3, 2, 0, 1), "Einsum": (1, 0)}


def _supervised(found: re.Match[str]) -> str:
    """Move the attention between two stages from the first one, where the packages have it, to the second."""
    return f"stages.{int(found[1]) + 1}.supervised.{found[2]}"


# Patterns in a layer's path in the graph, and their names here; all are applied, in this order.
_NAMES = [
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^stage_(\d+)_input_conv_(\d+)", r"stages.\1.inputs.\2"),
        (r"^stage_(\d+)_input_fuse_sam_(\d+)", r"stages.\1.fusions.\2"),
        (r"^stage_(\d+)_supervised_attention_module_(\d+)", _supervised),
        (r"^stage_(\d+)_encoder_block_(\d+)/cross_gating_block", r"stages.\1.encoders.\2.cross"),
        (r"^stage_(\d+)_encoder_block_(\d+)/Conv_1", r"stages.\1.encoders.\2.down"),
        (r"^stage_(\d+)_encoder_block_(\d+)", r"stages.\1.encoders.\2.body"),
        (r"^stage_(\d+)_global_block_(\d+)", r"stages.\1.bottleneck.\2"),
        (r"^stage_(\d+)_cross_gating_block_(\d+)", r"stages.\1.gates.\2"),
        (r"^stage_(\d+)_decoder_block_(\d+)/UNetEncoderBlock_0", r"stages.\1.decoders.\2.body"),
        (r"^stage_(\d+)_decoder_block_(\d+)", r"stages.\1.decoders.\2"),
        (r"^stage_\d+_output_conv_0", "output"),
        (r"(supervised\.\d+)/Conv_0", r"\1.features"),
        (r"(supervised\.\d+)/Conv_1", r"\1.estimate"),
        (r"(supervised\.\d+)/Conv_2", r"\1.mask"),
        (r"/(channel_mixing/Dense_0|conv1)", ".first"),
        (r"/(channel_mixing/Dense_1|conv2)", ".second"),
        (r"/channel_attention/Conv_0", ".attention.squeeze"),
        (r"/channel_attention/Conv_1", ".attention.excite"),
        (r"/channel_attention_block_1_?(\d+)", r".attentions.\1"),
        (r"(?<=body)/Conv_0|/input_proj", ".enter"),
        (r"/SplitHeadMultiAxisGmlpLayer_(\d+)", r".mixers.\1"),
        (r"/GridGmlpLayer", ".grid"),
        (r"/BlockGmlpLayer", ".block"),
        (r"/(Grid|Block)GatingUnit/intermediate_layernorm", ".gate_norm"),
        (r"/(Grid|Block)GatingUnit/Dense_0", ".mix"),
        (r"/SplitHeadMultiAxisGating_([xy])/Dense_0", r".gate_\1.grid"),
        (r"/SplitHeadMultiAxisGating_([xy])/Dense_1", r".gate_\1.block"),
        (r"/SplitHeadMultiAxisGating_([xy])", r".gate_\1"),
        (r"/LayerNorm_([xy])", r".norm_\1"),
        (r"/(LayerNorm_in|LayerNorm)", ".norm"),
        (r"/in_project", ".expand"),
        (r"/out_project", ".project"),
        (r"/ConvTranspose_0", ".up"),
        (r"/Conv_0", ".enter_x"),
        (r"/Conv_1", ".enter_y"),
    )
]


def convert(graph: Mapping[str, Any], shards: Mapping[str, bytes]) -> dict[str, Array]:
    """Return the named weights of our network.

    Args:
        graph: the contents of `model.json`.
        shards: name to contents of the files that it lists.

    Raises:
        KeyError, ValueError: if this is not the graph of a MAXIM network.
    """
    constants = read_constants(graph, shards)
    weights = {}
    for node in graph["modelTopology"]["node"]:
        operation = _OPERATION.search(node["name"])
        if _ROOT not in node["name"] or operation is None:
            continue
        for name in node["input"]:
            constant = constants.get(name)
            if constant is None or constant.size == 1 or constant.dtype != np.float32:
                continue
            layer = rename(node["name"][: operation.start()].partition(_ROOT)[2])
            kind = "bias" if node["op"] == "AddV2" else "weight"
            axes = _AXES.get(node["op"])
            values = constant.transpose(axes) if axes else constant.ravel()
            # Our network has dense layers in place of convolutions of 1 x 1.
            weights[f"{layer}.{kind}"] = np.ascontiguousarray(
                values.squeeze((2, 3)) if values.shape[2:] == (1, 1) else values
            )
    return weights


def rename(path: str, levels: int = 3) -> str:
    """Return our name for a layer, given its path below the backbone and the number of the network's levels."""
    if numbered := re.match(r"UpSampleRatio_(\d+)/Conv_0$", path):
        # Resampling layers are numbered in the order of use: in each stage first those before the gates, then those
        # before the decoders, each from the last level up. Before the decoders, the sources also start at the last
        # level.
        rest, source = divmod(int(numbered[1]), levels)
        rest, climbed = divmod(rest, levels)
        stage, decoding = divmod(rest, 2)
        user, source = ("to_decoders", levels - 1 - source) if decoding else ("to_gates", source)
        return f"stages.{stage}.{user}.{levels - 1 - climbed}.project.{source}"
    for pattern, name in _NAMES:
        path = pattern.sub(name, path)
    return path


def read_constants(graph: Mapping[str, Any], shards: Mapping[str, bytes]) -> dict[str, Array]:
    """Return the constants of a graph by name; those stored with fewer bits are converted to float32."""
    constants = {}
    for group in graph["weightsManifest"]:
        values, start = b"".join(shards[path] for path in group["paths"]), 0
        for entry in group["weights"]:
            packing = entry.get("quantization", {})
            stored = np.dtype(packing.get("dtype", entry["dtype"])).newbyteorder("<")
            count = math.prod(entry["shape"])
            constant = np.frombuffer(values, stored, count, start).reshape(entry["shape"])
            start += constant.nbytes
            if packing:
                constant = constant.astype(np.float32)
            if "scale" in packing:
                constant = constant * np.float32(packing["scale"]) + np.float32(packing["min"])
            constants[entry["name"]] = constant
    return constants
