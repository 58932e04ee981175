"""Tiny checkpoints with random weights, saved as a user's local models are."""

import json

from tests.embedding_server import tiny_endpoint

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "frog", "loud", "small", "red", "house", "rain"]


def save_tokenizer(folder):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)


def tiny_text(folder):
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    BertModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    return {"name": "sentence_transformers", "model": str(folder), "pooling": "mean"}


def tiny_sentences(folder):
    """A network, CLS pooling, a layer to 6 numbers and a prompt for documents, as the library saves them."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    network = folder.with_name(folder.name + "_network")
    network.mkdir()
    tiny_text(network)
    modules = [Transformer(str(network)), Pooling(16, "cls"), Dense(16, 6)]
    SentenceTransformer(modules=modules, prompts={"document": "small "}, device="cpu").save(str(folder))
    return folder


def tiny_static(folder):
    """A table of word vectors of 5 numbers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=5)], device="cpu").save(str(folder))
    return folder


def tiny_bart(folder):
    from transformers import BartConfig, BartModel

    config = BartConfig(
        vocab_size=len(WORDS),
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_position_embeddings=24,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        decoder_start_token_id=3,
        forced_eos_token_id=3,
    )
    BartModel(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def tiny_clap(folder):
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    text = {
        "vocab_size": len(WORDS),
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
    }
    audio = {
        "hidden_size": 16,
        "patch_embeds_hidden_size": 8,
        "depths": [1, 1],
        "num_attention_heads": [1, 2],
        "num_hidden_layers": 2,
        "spec_size": 64,
        "num_mel_bins": 16,
        "window_size": 4,
        "patch_size": 4,
        "patch_stride": [4, 4],
    }
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=12)).save_pretrained(folder)
    ClapFeatureExtractor(
        feature_size=16, sampling_rate=8000, max_length_s=1, fft_window_size=256, hop_length=40, frequency_max=4000
    ).save_pretrained(folder)
    extractor = json.loads((folder / "preprocessor_config.json").read_text())
    extractor.update(truncation="rand_trunc", padding="repeatpad", max_length_s=1)
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor))
    save_tokenizer(folder)
    return {"name": "clap", "model": str(folder)}


def tiny_ast(folder):
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    config = ASTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_length=64,
        num_mel_bins=32,
    )
    ASTModel(config).save_pretrained(folder)
    ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(folder)
    return {"name": "transformers_audio", "model": str(folder), "pooling": "pooler"}


def tiny_whisper(folder):
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        vocab_size=20,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        num_mel_bins=16,
        max_source_positions=50,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    WhisperModel(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=16, chunk_length=1).save_pretrained(folder)
    return {"name": "transformers_audio", "model": str(folder)}


def tiny_clip(folder):
    import open_clip
    from safetensors.torch import save_file

    model = {
        "embed_dim": 12,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},
    }
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    made = open_clip.model.CLIP(**json.loads(json.dumps(model)))
    save_file({k: v.contiguous().clone() for k, v in made.state_dict().items()}, folder / "open_clip_model.safetensors")
    return {"name": "open_clip", "model": f"local-dir:{folder}"}


TINY = {
    "sentence_transformers": tiny_text,
    "clap": tiny_clap,
    "transformers_audio": tiny_ast,
    "whisper": tiny_whisper,
    "open_clip": tiny_clip,
    "endpoint": tiny_endpoint,
}
