"""Checkpoint folders as people have them: they answer as the intact one does, or one line says what is missing."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from tests.support.fuzzing import examples
from tests.support.small_families import small
from tests.support.small_models import QUESTIONS, sample_images
from vqttt.errors import InputError, ModelError
from vqttt.models import EMBEDDED, load_model
from vqttt.models.answering import Asked, answer_untuned

ASKED = QUESTIONS[:3]
TEMPLATE = (EMBEDDED / "chat_template.jinja").read_text()
STRING = "{{ '<s>' }}{% for message in messages %}<user>{{ message['content'] }}{% endfor %}<assistant>"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def drop(file: str, *keys: str) -> Callable[[Path], None]:
    """Remove keys from a JSON file; `a.b` is `b` in `a`."""

    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text())
        for key in keys:
            *parents, last = key.split(".")
            inner = content
            for parent in parents:
                inner = inner[parent]
            del inner[last]
        (folder / file).write_text(json.dumps(content))

    return change


def remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def both(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    return lambda folder: [change(folder) for change in changes] and None


def template_in(file: str, template: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "chat_template.jinja").unlink()
        if not (folder / file).exists():
            (folder / file).write_text("{}")
        edit(folder / file, lambda content: content.update(chat_template=template))

    return change


def old_processor(folder: Path) -> None:
    """The processor's files as transformers 4.30 wrote them: the image processor's settings and nothing else."""
    settings = json.loads((folder / "processor_config.json").read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "processor_config.json").unlink()


def in_shards(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names, listed = sorted(weights), {}
    for n, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{n}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
        listed |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": listed}))


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def config(**fields: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", lambda content: content.update(fields))


PATCHES = ("patch_size", "vision_feature_select_strategy", "num_additional_image_tokens")
NAMED = [{"name": "default", "template": TEMPLATE}, {"name": "tool_use", "template": "no"}]
WHOLE: dict[str, Callable[[Path], object]] = {
    "no patch size": drop("processor_config.json", *PATCHES),
    "a wrong patch size": lambda folder: edit(folder / "processor_config.json", lambda c: c.update(patch_size=7)),
    "only preprocessor_config.json": old_processor,
    "no processor class": both(old_processor, drop("tokenizer_config.json", "processor_class")),
    "no pad token": drop("tokenizer_config.json", "pad_token"),
    "no end token": drop("tokenizer_config.json", "eos_token"),
    "no pad and end token": drop("tokenizer_config.json", "pad_token", "eos_token"),
    "end token in the model's configuration": both(
        drop("tokenizer_config.json", "eos_token"), remove("generation_config.json")
    ),
    "end token in the tokenizer": both(
        remove("generation_config.json"),
        lambda f: edit(f / "config.json", lambda c: c["text_config"].update(eos_token_id=None)),
    ),
    "no generation configuration": remove("generation_config.json"),
    "generation settings in the model's configuration": config(repetition_penalty=1.5, do_sample=True, temperature=3.0),
    "template in the tokenizer": template_in("tokenizer_config.json", TEMPLATE),
    "template in chat_template.json": template_in("chat_template.json", TEMPLATE),
    "named templates": template_in("tokenizer_config.json", NAMED),
    "one named template": template_in("tokenizer_config.json", [{"name": "vqa", "template": TEMPLATE}]),
    "template that wants a string": write("chat_template.jinja", STRING),
    "template that joins strings": write("chat_template.jinja", STRING.replace("{{ m", "{{ '' + m")),
    "shards": in_shards,
    "a file of other weights beside": write("pytorch_model.bin", "never read"),
}
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "only .bin": (
        both(lambda f: torch.save({}, f / "pytorch_model.bin"), remove("model.safetensors")),
        r"weights in pytorch_model\.bin: only safetensors are read, .*safe_serialization=True",
    ),
    "only .gguf": (
        both(write("model.gguf", "GGUF"), remove("model.safetensors")),
        r"weights in model\.gguf: only safetensors are read",
    ),
    "no weights": (remove("model.safetensors"), r"has no weights: model\.safetensors is missing"),
    "a missing shard": (
        both(in_shards, remove("model-00002-of-00002.safetensors")),
        r"lacks 1 of 2 files with weights, first model-00002-of-00002\.safetensors",
    ),
    "no index": (
        both(in_shards, remove("model.safetensors.index.json")),
        r"has model-00001-of-00002\.safetensors, but neither model\.safetensors nor model\.safetensors\.index\.json",
    ),
    "a damaged index": (both(in_shards, write("model.safetensors.index.json", "{")), "is not valid JSON"),
    "an index of nothing": (both(in_shards, write("model.safetensors.index.json", "{}")), "lists no weights"),
    "a Git LFS pointer": (
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n"),
        "is a Git LFS pointer .* run `git lfs pull`",
    ),
    "no safetensors": (write("model.safetensors", "<html>not found</html>"), "is not a safetensors file"),
    "an adapter alone": (
        both(remove("model.safetensors"), write("adapter_config.json", '{"base_model_name_or_path": "a/b"}')),
        r"only an adapter \(LoRA\) for a/b; merge the two by",
    ),
    "an adapter beside": (write("adapter_config.json", "{}"), r"has an adapter \(LoRA\) beside its weights; merge"),
    "no chat template": (remove("chat_template.jinja"), r"no chat template; it belongs in chat_template\.jinja"),
    "no default template": (
        template_in("tokenizer_config.json", [{"name": name, "template": TEMPLATE} for name in "ab"]),
        "of the chat templates a, b, none is named `default`",
    ),
    "a template that loses everything": (write("chat_template.jinja", "hello"), "cannot ask about an image"),
    "no image processor": (remove("processor_config.json"), r"no image processor \(preprocessor_config\.json"),
    "no tokenizer": (
        remove("tokenizer.json", "tokenizer_config.json"),
        r"the folder has no tokenizer \(tokenizer\.json and tokenizer_config\.json\)",
    ),
    "a text model": (
        both(drop("config.json", "vision_config"), config(model_type="llama")),
        "is a 'llama' model, which takes no images; supported families: llava",
    ),
    "no model type": (drop("config.json", "model_type"), "has no `model_type`"),
    "LLaVA's own format": (
        config(mm_vision_tower="openai/clip"),
        "in its own code's format; use a checkpoint of llava-hf",
    ),
    "InternVL's own format": (config(model_type="internvl_chat"), "use the checkpoint whose name ends in -hf"),
}


def answers(folder: Path) -> list[str]:
    return load_model(str(folder)).answer(sample_images(3), ASKED, 4).texts


@pytest.fixture(scope="module")
def intact() -> list[str]:
    return answers(EMBEDDED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EMBEDDED, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("case", list(WHOLE))
def test_what_can_be_found_is_used(case: str, folder: Path, intact: list[str]) -> None:
    WHOLE[case](folder)
    assert answers(folder) == intact


@pytest.mark.parametrize("case", list(BROKEN))
def test_what_is_missing_is_said_in_one_line(case: str, folder: Path) -> None:
    change, reason = BROKEN[case]
    change(folder)
    with pytest.raises(ModelError, match=reason) as raised:
        load_model(str(folder))
    assert "\n" not in str(raised.value)


def test_places_that_are_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for absent in ("./nosuch", "../nosuch/model", "/nosuch", "a/b/c"):
        with pytest.raises(ModelError, match=rf"^there is no folder {absent}$"):
            load_model(absent)
    with pytest.raises(ModelError, match=r"there is no folder nosuch/nosuch, and it cannot be loaded from the Hub: "):
        load_model("nosuch/nosuch")
    (tmp_path / "model.safetensors").write_text("")
    with pytest.raises(ModelError, match=r"model\.safetensors is a file; a model is a folder with config\.json"):
        load_model("model.safetensors")


@pytest.mark.parametrize(
    "name", ["llava", "llava/siglip", "llava_next", "llava_onevision", "idefics2", "idefics3", "internvl"]
)
def test_every_familys_image_tokens_follow_the_network(name: str) -> None:
    """What the hook says of a network is what its processor was built with."""
    model = small(name)
    found = model.image_settings(model.network.config)
    assert found and {key: getattr(model.processor, key) for key in found} == found


def test_the_embedded_model_alone_says_what_it_knows() -> None:
    assert "easy-vqa" in load_model("embedded").scope
    assert load_model("fake").scope == small("llava").scope == ""


JSON_FILES = [file.name for file in EMBEDDED.iterdir() if file.suffix == ".json" and file.name != "tokenizer.json"]
# Larger numbers, as a number of layers or a side in pixels, would fill the memory of the machine.
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**3), st.floats(), st.text(max_size=5), st.just([]), st.just({})
)


def paths(content: dict[str, Any]) -> list[list[Any]]:
    """The way to every value in a JSON object."""
    inner = {key: paths(value) if isinstance(value, dict) else [] for key, value in content.items()}
    return [[key, *rest] for key in content for rest in ([], *inner[key])]


def damage(folder: Path, data: st.DataObject) -> None:
    """Remove, cut or overwrite a file, or remove or replace a value in a JSON file."""
    kind = data.draw(st.sampled_from(["remove file", "cut file", "bytes", "remove key", "replace value"]))
    if kind in ("remove key", "replace value"):
        file = folder / data.draw(st.sampled_from(JSON_FILES))
        content = json.loads(file.read_text())
        *parents, last = data.draw(st.sampled_from(paths(content)))
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner.pop(last) if kind == "remove key" else inner.update({last: data.draw(ODD)})
        file.write_text(json.dumps(content))
        return
    file = folder / data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    if kind == "remove file":
        file.unlink()
    elif kind == "cut file":
        file.write_bytes(file.read_bytes()[: data.draw(st.integers(0, 2000))])
    else:
        file.write_bytes(data.draw(st.binary(max_size=30)))


@examples(40)
@given(data=st.data())
def test_a_damaged_checkpoint_answers_or_is_one_clear_error(data: st.DataObject) -> None:
    """Samples that it cannot answer are named one by one, as in a study."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        shutil.copytree(EMBEDDED, folder)
        damage(folder, data)
        try:
            model = load_model(str(folder))
        except (ModelError, InputError) as error:
            assert "\n" not in str(error)
            return
        asked = {"a": Asked(shown=sample_images(1)[0], text=ASKED[0])}
        answered, errors = answer_untuned(asked, model, 4)
        assert (answered is None) == (set(errors) == {"a"})
        assert all("\n" not in reason for reason in errors.values())
