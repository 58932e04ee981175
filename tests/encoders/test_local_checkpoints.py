"""A user's own open_clip weights beside a known architecture, and what a snapshot says of a transformers model."""

import json
import logging

import numpy as np
import pytest

from encoders import EncoderError, make_encoder
from encoders.models.hub import snapshot

ARCHITECTURE = {
    "embed_dim": 8,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-modalweave.json").write_text(json.dumps(ARCHITECTURE))
    open_clip.add_model_config(folder / "tiny-modalweave.json")
    torch.manual_seed(0)
    model = open_clip.model.CLIP(**json.loads(json.dumps(ARCHITECTURE)))
    path = folder / "mine.safetensors"
    save_file({k: v.contiguous().clone() for k, v in model.state_dict().items()}, path)
    return path


def test_open_clip_takes_local_safetensors_for_a_known_architecture(weights, make_picture):
    encoder = make_encoder({"name": "open_clip", "model": "tiny-modalweave", "pretrained": str(weights)}, device="cpu")
    assert encoder.dim == 8
    assert encoder.modalities == ("text", "image")
    pictures = [encoder.prepare(make_picture(n), "image").array for n in range(3)]
    assert pictures[0].shape == (32, 32, 3)
    assert encoder.encode(pictures, "image").shape == (3, 8)
    assert encoder.encode([np.array("a frog")], "text").shape == (1, 8)


def test_open_clip_preprocesses_as_open_clip_itself(weights):
    import io

    import open_clip
    import torch
    from PIL import Image

    spec = {"name": "open_clip", "model": "tiny-modalweave", "pretrained": str(weights), "dtype": "float32"}
    encoder = make_encoder(spec, device="cpu")
    model, _, transform = open_clip.create_model_and_transforms("tiny-modalweave", str(weights))
    noise = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((160, 100), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    ours = encoder.encode([encoder.prepare(buffer.getvalue(), "image").array], "image")[0]
    with torch.inference_mode():
        theirs = model.eval().encode_image(transform(picture)[None])[0].numpy()
    assert ours @ theirs / np.linalg.norm(theirs) > 0.995


def test_open_clip_weights_that_do_not_fit_are_a_line(weights, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    tensors.pop("logit_scale")
    save_file(tensors, tmp_path / "half.safetensors")
    spec = {"name": "open_clip", "model": "tiny-modalweave", "pretrained": str(tmp_path / "half.safetensors")}
    with pytest.raises(EncoderError, match="cannot be loaded") as error:
        make_encoder(spec, device="cpu")
    assert "\n" not in str(error.value)


def test_a_folder_with_pickled_open_clip_weights_is_refused(tmp_path):
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": ARCHITECTURE}))
    (tmp_path / "open_clip_pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(EncoderError, match="pickled ones are not read"):
        make_encoder({"name": "open_clip", "model": f"local-dir:{tmp_path}"})


def model_folder(folder, **config):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"max_position_embeddings": 512, "model_type": "bert"}, 512),
        ({"max_position_embeddings": 514, "model_type": "xlm-roberta"}, 512),
        ({"model_type": "t5"}, 2**31),
    ],
)
def test_positions_a_model_takes(tmp_path, config, positions):
    found = snapshot("sentence_transformers", str(model_folder(tmp_path / "m", **config)), None)
    assert found.positions() == positions


def test_size_is_found_at_the_top_or_in_the_text_part(tmp_path):
    assert snapshot("t", str(model_folder(tmp_path / "a", hidden_size=8)), None).number("hidden_size") == 8
    nested = model_folder(tmp_path / "b", text_config={"hidden_size": 9})
    assert snapshot("t", str(nested), None).number("d_model", "hidden_size") == 9
    with pytest.raises(EncoderError, match="has none of hidden_size"):
        snapshot("t", str(model_folder(tmp_path / "c")), None).number("hidden_size")


def test_identity_follows_the_bytes(tmp_path):
    first = snapshot("t", str(model_folder(tmp_path / "a", hidden_size=8)), None).identity
    moved = snapshot("t", str(model_folder(tmp_path / "b", hidden_size=8)), None).identity
    (tmp_path / "b" / "model.safetensors").write_bytes(b"Weights")
    changed = snapshot("t", str(tmp_path / "b"), None).identity
    assert first == moved != changed


@pytest.mark.parametrize("text", ["", "not json", "[1]"])
def test_a_broken_config_is_named(tmp_path, text):
    folder = model_folder(tmp_path / "m")
    (folder / "config.json").write_text(text)
    with pytest.raises(EncoderError, match=r"config\.json"):
        snapshot("sentence_transformers", str(folder), None)


def test_a_config_without_a_model_type_is_a_line(tmp_path):
    folder = model_folder(tmp_path / "m", hidden_size=4)
    encoder = make_encoder({"name": "sentence_transformers", "model": str(folder)}, device="cpu")
    with pytest.raises(EncoderError, match="cannot be loaded as SentenceTransformer") as error:
        encoder.encode([np.array("a")])
    assert "\n" not in str(error.value)


def test_the_packaged_weights_are_checked_before_they_are_read(monkeypatch):
    for name, module in (("minilm", "encoders.models.minilm"), ("efficientnet_lite0", "encoders.models.efficientnet")):
        encoder = make_encoder(name, device="cpu")
        monkeypatch.setattr(f"{module}._SHA256", "0" * 64)
        media = np.array("a frog") if name == "minilm" else np.zeros((224, 224, 3), dtype=np.uint8)
        with pytest.raises(EncoderError, match="does not match its known SHA-256"):
            encoder.encode([media])


def test_libraries_keep_quiet_while_weights_are_looked_for(monkeypatch, caplog, capfd):
    open_clip = pytest.importorskip("open_clip")

    def offline(*_arguments, **_options):
        logging.getLogger("huggingface_hub").warning("retrying in 1 s")
        logging.error("failed to download")
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(EncoderError, match="cannot be loaded: no network; give a local"):
        make_encoder({"name": "open_clip", "pretrained": "laion2b_s34b_b79k"})
    assert caplog.text == "" and capfd.readouterr() == ("", "")
    logging.getLogger("modalweave").warning("loud again")
    assert "loud again" in caplog.text
