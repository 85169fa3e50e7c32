"""CogVLM's arithmetic by hand: slow loops over heads and tokens in float64, from the equations.

CogVLM (Wang et al. 2023, arXiv 2311.03079), section 2; EVA-CLIP's post-norm blocks (Sun et al. 2023, arXiv 2303.15389);
rotary embedding (Su et al. 2021, arXiv 2104.09864) over half-split heads, as in Llama; CogVLM2 (arXiv 2408.16500)
adds a 2 x 2 convolution before the adapter, grouped queries and a bias. `weights` maps published names to arrays.
"""

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Weights = dict[str, Array]


def linear(x: Array, weights: Weights, name: str) -> Array:
    """y_i = sum_j W_ij x_j + b_i."""
    return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", np.zeros(1))


def softmax(scores: Array) -> Array:
    """exp(x_i) / sum_j exp(x_j) of a vector."""
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def gelu(x: Array) -> Array:
    """x times the cumulative normal distribution."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def silu(x: Array) -> Array:
    """x times its logistic function."""
    return x / (1 + np.exp(-x))


def layer_norm(x: Array, weights: Weights, name: str, eps: float) -> Array:
    """Normalise rows to mean 0 and variance 1, then scale and shift."""
    centred = x - x.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
    return normal * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def rms_norm(x: Array, weights: Weights, name: str, eps: float) -> Array:
    """Normalise rows to mean square 1, then scale."""
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weights[f"{name}.weight"]


def vision_attention(x: Array, weights: Weights, name: str, heads: int) -> Array:
    """Each token of an image (L, width) attends to all."""
    fused = linear(x, weights, f"{name}.query_key_value")
    width = x.shape[1]
    size = width // heads
    mixed = np.zeros_like(x)
    for h in range(heads):
        columns = slice(h * size, (h + 1) * size)
        q, k, v = (fused[:, part * width : (part + 1) * width][:, columns] for part in range(3))
        for i in range(len(x)):
            mixed[i, columns] = softmax(np.array([q[i] @ k[j] for j in range(len(x))]) / math.sqrt(size)) @ v
    return linear(mixed, weights, f"{name}.dense")


def vision_mlp(x: Array, weights: Weights, name: str) -> Array:
    """Two layers."""
    return linear(gelu(linear(x, weights, f"{name}.fc1")), weights, f"{name}.fc2")


def vision_block(x: Array, weights: Weights, name: str, heads: int, eps: float) -> Array:
    """The norms come after attention and MLP, before the residual sums."""
    x = x + layer_norm(
        vision_attention(x, weights, f"{name}.attention", heads), weights, f"{name}.input_layernorm", eps
    )
    return x + layer_norm(vision_mlp(x, weights, f"{name}.mlp"), weights, f"{name}.post_attention_layernorm", eps)


def patches(image: Array, weights: Weights, name: str, side: int) -> Array:
    """Embed an image (3, S, S): a class token and its patches in rows, each with its position."""
    kernel, bias = weights[f"{name}.proj.weight"], weights[f"{name}.proj.bias"]
    rows = [weights[f"{name}.cls_embedding"][0]]
    for top in range(0, image.shape[1], side):
        for left in range(0, image.shape[2], side):
            patch = image[:, top : top + side, left : left + side]
            rows.append((kernel * patch).sum((1, 2, 3)) + bias)
    return np.array(rows) + weights[f"{name}.position_embedding.weight"]


def shrink(x: Array, weights: Weights, name: str) -> Array:
    """Merge each 2 x 2 patches (L, width), as CogVLM2 does before its adapter."""
    kernel, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    grid = math.isqrt(len(x))
    made = []
    for row in range(0, grid, 2):
        for column in range(0, grid, 2):
            corners = [(down, right) for down in (0, 1) for right in (0, 1)]
            parts = [kernel[:, :, d, r] @ x[(row + d) * grid + column + r] for d, r in corners]
            made.append(sum(parts) + bias)
    return np.array(made)


def adapter(x: Array, weights: Weights, name: str) -> Array:
    """A projection to the language model's width, norm, GELU and a gated linear unit."""
    x = gelu(layer_norm(linear(x, weights, f"{name}.linear_proj"), weights, f"{name}.norm1", 1e-5))
    gated = silu(linear(x, weights, f"{name}.gate_proj")) * linear(x, weights, f"{name}.dense_h_to_4h")
    return linear(gated, weights, f"{name}.dense_4h_to_h")


def image_tokens(image: Array, weights: Weights, config: dict) -> Array:
    """An image as tokens of the language model, between the begin-of-image and end-of-image tokens."""
    vision = config["vision_config"]
    x = patches(image, weights, "model.vision.patch_embedding", vision["patch_size"])
    for n in range(vision["num_hidden_layers"]):
        name = f"model.vision.transformer.layers.{n}"
        x = vision_block(x, weights, name, vision["num_heads"], vision["layer_norm_eps"])
    x = x[1:]
    if "model.vision.conv.weight" in weights:
        x = shrink(x, weights, "model.vision.conv")
    middle = adapter(x, weights, "model.vision.linear_proj")
    return np.concatenate([weights["model.vision.boi"][0], middle, weights["model.vision.eoi"][0]])


def rotate(x: Array, position: int, theta: float) -> Array:
    """Rotate a head's vector: entries k and k + d/2 form a complex number, multiplied by exp(i m theta^(-2k/d))."""
    half = len(x) // 2
    turned = (x[:half] + 1j * x[half:]) * np.exp(1j * position * theta ** (-np.arange(half) * 2 / len(x)))
    return np.concatenate([turned.real, turned.imag])


def expert_attention(x: Array, weights: Weights, name: str, config: dict, expert: list[bool], at: list[int]) -> Array:
    """Causal attention; tokens with `expert` use the visual expert's matrices."""
    kinds = ["vision_expert" if own else "language_expert" for own in expert]
    heads, groups = config["num_attention_heads"], config["num_multi_query_heads"]
    size = x.shape[1] // heads
    fused = np.array(
        [linear(row, weights, f"{name}.{kind}_query_key_value") for row, kind in zip(x, kinds, strict=True)]
    )
    mixed = np.zeros_like(x)
    for h in range(heads):
        g = heads + h // (heads // groups)  # where this head's keys are; its values are `groups` further on
        q, k, v = (fused[:, n * size : (n + 1) * size] for n in (h, g, g + groups))
        q, k = (np.array([rotate(row, m, config["rope_theta"]) for row, m in zip(y, at, strict=True)]) for y in (q, k))
        for i in range(len(x)):
            scores = np.array([q[i] @ k[j] for j in range(i + 1)]) / math.sqrt(size)
            mixed[i, h * size : (h + 1) * size] = softmax(scores) @ v[: i + 1]
    return np.array([linear(row, weights, f"{name}.{kind}_dense") for row, kind in zip(mixed, kinds, strict=True)])


def expert_mlp(x: Array, weights: Weights, name: str, expert: list[bool]) -> Array:
    """A gated linear unit for text, and one for tokens with `expert`."""
    out = []
    for row, own in zip(x, expert, strict=True):
        part = f"{name}.{'vision' if own else 'language'}_mlp"
        gated = silu(linear(row, weights, f"{part}.gate_proj")) * linear(row, weights, f"{part}.up_proj")
        out.append(linear(gated, weights, f"{part}.down_proj"))
    return np.array(out)


def expert_and_positions(before: int, image: int, after: int) -> tuple[list[bool], list[int]]:
    """Which tokens go to the visual expert, and all positions, for text, one image of `image` tokens, and text.

    All of the image's tokens but end of image go there. Begin of image, all patches together, and end of image take one
    position each.
    """
    expert = [False] * before + [True] * (image - 1) + [False] * (1 + after)
    at = [*range(before), before, *[before + 1] * (image - 2), before + 2, *range(before + 3, before + 3 + after)]
    return expert, at


def prompt_logits(ids: list[int], image: Array | None, weights: Weights, config: dict) -> Array:
    """Return the logits (L, V) of a prompt: a first token, then the image, if there is one, and text."""
    embedding = weights["model.embed_tokens.weight"]
    shown = np.zeros((0, embedding.shape[1])) if image is None else image_tokens(image, weights, config)
    x = np.concatenate([embedding[ids[:1]], shown, embedding[ids[1:]]])
    expert, at = [False] * len(ids), list(range(len(ids)))
    if image is not None:
        expert, at = expert_and_positions(1, len(shown), len(ids) - 1)
    eps = config["rms_norm_eps"]
    for n in range(config["num_hidden_layers"]):
        name = f"model.layers.{n}"
        normal = rms_norm(x, weights, f"{name}.input_layernorm", eps)
        x = x + expert_attention(normal, weights, f"{name}.self_attn", config, expert, at)
        normal = rms_norm(x, weights, f"{name}.post_attention_layernorm", eps)
        x = x + expert_mlp(normal, weights, f"{name}.mlp", expert)
    return linear(rms_norm(x, weights, "model.norm", eps), weights, "lm_head")
