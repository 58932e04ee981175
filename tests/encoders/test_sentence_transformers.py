"""What a sentence-transformers model says of itself holds; nothing pickled is read, and no code of its own is run."""

import json
import subprocess
import sys

import numpy as np
import pytest

from encoders import EncoderError, make_encoder
from encoders.registry import renamed
from tests.tiny_checkpoints import tiny_bart, tiny_sentences, tiny_static, tiny_text

TEXTS = ["a small red frog", "loud rain", "a house " * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    import torch

    torch.manual_seed(0)
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def sentences(folder):
    return tiny_sentences(folder / "sentences")


@pytest.fixture
def copied(sentences, tmp_path):
    import shutil

    return shutil.copytree(sentences, tmp_path / "copy")


def encoder_of(model, **settings):
    return make_encoder(
        {"name": "sentence_transformers", "model": str(model), "dtype": "float32", **settings}, device="cpu"
    )


def arrays(*texts):
    return [np.array(text) for text in texts]


def test_pooling_layers_and_prompts_are_the_models_own(sentences):
    from sentence_transformers import SentenceTransformer

    encoder = encoder_of(sentences)
    assert encoder.dim == 6  # known before any weights are read: from the files of the layers
    theirs = SentenceTransformer(str(sentences), device="cpu").encode_document(TEXTS[:2], normalize_embeddings=True)
    assert encoder.encode(arrays(*TEXTS[:2])) == pytest.approx(theirs, abs=1e-5)


def test_a_prompt_given_replaces_the_models_own(sentences):
    text = arrays("loud rain")
    own, same, other, none = (
        encoder_of(sentences, **given).encode(text)
        for given in ({}, {"prompt": "small "}, {"prompt": "red "}, {"prompt": ""})
    )
    assert own == pytest.approx(same, abs=1e-6)
    assert np.abs(own - other).max() > 1e-4
    assert np.abs(own - none).max() > 1e-4


def test_a_named_pooling_takes_the_network_alone(sentences):
    encoder = encoder_of(sentences, pooling="mean")
    assert encoder.dim == 16
    assert encoder.encode(arrays(*TEXTS)).shape == (3, 16)


def test_a_prompt_stands_before_every_chunk_of_a_long_text(sentences):
    encoder = encoder_of(sentences, prompt="red red red red ", max_length=12)
    encoder.encode(arrays("warm up"))
    chunks = encoder._chunks(["frog house rain " * 6])
    assert len(chunks) > 1
    assert all(chunk.tokens <= 12 for chunk in chunks)
    assert " ".join(chunk.text for chunk in chunks) == ("frog house rain " * 6).strip()


def test_vectors_cut_short_by_the_model_itself(copied):
    path = copied / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncate_dim": 4}))
    encoder = encoder_of(copied)
    assert encoder.dim == 4
    assert encoder.encode(arrays(*TEXTS)).shape == (3, 4)


def test_a_table_of_word_vectors_is_a_model_too(folder):
    encoder = encoder_of(tiny_static(folder / "static"))
    assert encoder.dim == 5
    together = encoder.encode(arrays(*TEXTS))
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert encoder.encode(arrays(TEXTS[1]))[0] == pytest.approx(together[1], abs=1e-5)


def test_of_an_encoder_and_decoder_the_encoder_is_taken(folder):
    from transformers import AutoModel, AutoTokenizer

    path = tiny_bart(folder / "bart")
    ours = encoder_of(path, pooling="mean").encode(arrays("a small red frog"))[0]
    tokens = AutoTokenizer.from_pretrained(path)("a small red frog", return_tensors="pt")
    states = AutoModel.from_pretrained(path).eval().get_encoder()(tokens["input_ids"]).last_hidden_state
    mean = states.mean(dim=1)[0].detach().numpy()
    assert ours == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_the_earlier_name_means_what_it_meant(folder):
    (folder / "old").mkdir()
    path = tiny_text(folder / "old")["model"]
    old = make_encoder({"name": "transformers_text", "model": path}, device="cpu")
    new = encoder_of(path, pooling="mean", prompt="", max_length=512, dtype="auto")
    assert old.fingerprint == new.fingerprint
    assert renamed({"name": "transformers_text", "model": path}) == (
        "encoder 'transformers_text' is now 'sentence_transformers'; the old name goes with the next release"
    )
    assert renamed("minilm") is renamed({"name": "sentence_transformers", "model": path}) is None
    with pytest.raises(EncoderError, match="did you mean 'prompt'"):
        make_encoder({"name": "transformers_text", "model": path, "promt": "x"})


def test_loading_and_encoding_say_nothing(sentences, capfd):
    encoder_of(sentences).encode(arrays(*TEXTS))
    encoder_of(sentences, pooling="cls").encode(arrays(*TEXTS))
    assert capfd.readouterr() == ("", "")


def test_pickled_weights_of_a_layer_are_refused(copied):
    next(copied.glob("2_Dense/*.safetensors")).rename(copied / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="pickled ones are not read") as error:
        encoder_of(copied)
    assert "\n" not in str(error.value)


def test_code_that_came_with_a_model_is_not_run(copied):
    (copied / "mine.py").write_text("raise SystemExit('ran')\n")
    listed = json.loads((copied / "modules.json").read_text())
    listed[1]["type"] = "mine.Pooling"
    (copied / "modules.json").write_text(json.dumps(listed))
    with pytest.raises(EncoderError, match="cannot be loaded as SentenceTransformer") as error:
        encoder_of(copied).encode(arrays("a frog"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", r"modules\.json"),
        ('{"a": 1}', "lists no modules"),
        ('[{"path": "../../etc"}]', "outside the folder"),
    ],
)
def test_a_broken_list_of_modules_is_named(copied, text, reason):
    (copied / "modules.json").write_text(text)
    with pytest.raises(EncoderError, match=reason):
        encoder_of(copied)


def test_every_layers_settings_decide_the_fingerprint(sentences, copied):
    assert encoder_of(copied).fingerprint == encoder_of(sentences).fingerprint
    path = copied / "1_Pooling" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pooling_mode": "mean"}))
    assert encoder_of(copied).fingerprint != encoder_of(sentences).fingerprint


def test_the_library_is_imported_when_something_is_encoded():
    code = (
        "import sys; from encoders import make_encoder; make_encoder('minilm', device='cpu');"
        "print([m for m in ('sentence_transformers', 'transformers', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
