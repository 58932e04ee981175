"""One case that every encoder passes: the packaged weights as they are, the others as tiny local checkpoints."""

import numpy as np
import pytest

from encoders import DEFAULTS, ENCODERS, DecodeError, EncoderError, make_encoder
from encoders.contents import MediaRef
from encoders.embedding import embed_media
from tests.tiny_checkpoints import TINY, tiny_text

CASES = [*(n for n in ENCODERS if n in DEFAULTS.values()), "lexical", *TINY]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    known = {}

    def make(name):
        if name not in known:
            if name in TINY:
                import torch

                torch.manual_seed(0)
                known[name] = TINY[name](tmp_path_factory.mktemp(name))
            else:
                known[name] = name
        return make_encoder(known[name], device="cpu"), known[name]

    return make


@pytest.fixture(scope="module")
def media(make_picture, make_sound):
    texts = ["a small red frog", "loud rain", "a house " * 200, "größe 青蛙"]
    return {
        "text": texts,
        "image": [make_picture(n, kind) for n, kind in enumerate(["PNG", "JPEG", "GIF", "BMP"])],
        "audio": [make_sound(n, seconds) for n, seconds in enumerate([0.05, 0.7, 2.3, 1.0])],
    }


def test_every_registered_encoder_has_a_case():
    assert set(ENCODERS) <= {*CASES, "whisper"}


@pytest.mark.parametrize("name", CASES)
def test_unit_vectors_that_do_not_depend_on_the_batch(made, media, name):
    encoder, _ = made(name)
    for modality in encoder.modalities:
        prepared = [encoder.prepare(content, modality).array for content in media[modality]]
        together = encoder.encode(prepared, modality)
        assert together.shape == (4, encoder.dim)
        assert together.dtype == np.float32
        assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-3)
        alone = np.concatenate([encoder.encode([p], modality) for p in prepared])
        assert alone == pytest.approx(together, abs=2e-4)
        assert np.abs(together[0] - together[1]).max() > 1e-4  # different media, different vectors
        assert encoder.encode([], modality).shape == (0, encoder.dim)
        with pytest.raises(DecodeError):
            encoder.prepare(b"", modality)


@pytest.mark.parametrize("name", CASES)
def test_the_same_model_has_the_same_fingerprint_and_vectors(made, media, name):
    encoder, spec = made(name)
    again = make_encoder(spec, device="cpu")
    assert again.fingerprint == encoder.fingerprint
    assert encoder.fingerprint.startswith(encoder.name + "-")
    modality = encoder.modalities[0]
    prepared = [encoder.prepare(media[modality][0], modality).array]
    assert np.array_equal(again.encode(prepared, modality), encoder.encode(prepared, modality))


@pytest.mark.parametrize("name", CASES)
def test_whole_pipeline(made, media, name, tmp_path):
    encoder, _ = made(name)
    modality = encoder.modalities[-1]
    for n, content in enumerate(media[modality]):
        (tmp_path / str(n)).write_bytes(content if isinstance(content, bytes) else content.encode())
    result = embed_media(
        [MediaRef(modality, uri=str(n), lang="en") for n in range(4)], root=tmp_path, encoder=encoder, workers=0
    )
    assert result.reasons == [None] * 4
    assert result.vectors.shape == (4, encoder.dim)
    assert all(f["lang"] == "en" for f in result.facts)


def test_other_weights_or_settings_are_another_fingerprint(made, tmp_path):
    import torch

    _, spec = made("sentence_transformers")
    torch.manual_seed(1)
    other = tiny_text(tmp_path)
    prints = {make_encoder(s).fingerprint for s in (spec, other, {**spec, "prompt": "a "}, {**spec, "pooling": "cls"})}
    assert len(prints) == 4


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_pooling_ignores_padding(made, pooling):
    _, spec = made("sentence_transformers")
    encoder = make_encoder({**spec, "pooling": pooling}, device="cpu")
    short, long = np.array("frog"), np.array("a small red house in loud rain")
    assert encoder.encode([short, long])[0] == pytest.approx(encoder.encode([short])[0], abs=1e-5)


def test_long_texts_are_chunked_and_every_chunk_counts(made):
    _, spec = made("sentence_transformers")
    encoder = make_encoder(spec, device="cpu")
    start = "frog " * 22
    one, two = encoder.encode([np.array(start), np.array(start + "house " * 22)])
    assert np.abs(one - two).max() > 1e-3
    short = make_encoder({**spec, "max_chunks": 1}, device="cpu")
    one, two = short.encode([np.array(start), np.array(start + "house " * 22)])
    assert one == pytest.approx(two, abs=1e-5)


def test_bfloat16_weights_give_nearly_the_same(made, media):
    _, spec = made("sentence_transformers")
    texts = [np.array(t) for t in media["text"]]
    full = make_encoder({**spec, "dtype": "float32"}, device="cpu")
    half = make_encoder({**spec, "dtype": "bfloat16"}, device="cpu")
    assert half.fingerprint != full.fingerprint
    assert (half.encode(texts) * full.encode(texts)).sum(axis=1).min() > 0.99


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("minilmm", "did you mean 'minilm'"),
        ({"model": "x"}, "wants a name"),
        ({"name": "logmel", "mel": 3}, "did you mean 'mels'"),
        ({"name": "sentence_transformers"}, "model: Field required"),
        ({"name": "sentence_transformers", "model": "/no/such/folder"}, "does not exist"),
        ({"name": "open_clip", "model": "ViT-B-33"}, "not known"),
        ({"name": "open_clip"}, "needs pretrained"),
        ({"name": "open_clip", "pretrained": "weights.pt"}, "neither a .safetensors file nor one of"),
        ({"name": "open_clip", "model": "local-dir:/no/such"}, "no open_clip_config.json"),
    ],
)
def test_errors_say_what_to_do(spec, reason):
    with pytest.raises(EncoderError, match=reason) as error:
        make_encoder(spec)
    assert "\n" not in str(error.value)


def test_a_model_that_cannot_be_downloaded_says_so_in_a_line(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name in ("sentence_transformers", "clap", "transformers_audio"):
        with pytest.raises(EncoderError, match="give the folder's path as model") as error:
            make_encoder({"name": name, "model": "nobody/no-such-model"})
        assert "\n" not in str(error.value)


def test_missing_or_pickled_weights_are_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(EncoderError, match=r"no \*.safetensors"):
        make_encoder({"name": "sentence_transformers", "model": str(tmp_path)})


@pytest.mark.parametrize("name", ["minilm", "efficientnet_lite0"])
def test_a_package_that_is_not_installed_is_named(monkeypatch, name):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    module = ENCODERS[name]
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(EncoderError, match=r"pip install 'modalweave\[demo\]'"):
        make_encoder(name)


def test_a_device_that_is_not_there(media):
    encoder = make_encoder("efficientnet_lite0", device="cuda:63")
    with pytest.raises(EncoderError, match="cuda:63"):
        encoder.encode([np.zeros((224, 224, 3), dtype=np.uint8)])


def test_minilm_knows_what_is_alike():
    encoder = make_encoder("minilm", device="cpu")
    frog, toad, bank = encoder.encode([np.array(t) for t in ("a frog", "a green toad", "interest rates")])
    assert frog @ toad > frog @ bank + 0.2
