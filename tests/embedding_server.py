"""A server on this machine that speaks OpenAI's `/v1/embeddings`, with the faults a test asks for."""

import hashlib
import json

import numpy as np

from tests.model_server import ModelServer

DIM = 8


def vector_of(content, dim=DIM):
    seed = int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=dim).tolist()


class EmbeddingServer(ModelServer):
    """Its own faults are `longer` (vectors) and `fewer`."""

    def reply(self, body, fault):
        dim = body.get("dimensions", DIM) if fault != "longer" else DIM + 1
        contents = body["input"] if "input" in body else [body["messages"]]
        rows = [{"object": "embedding", "index": n, "embedding": vector_of(c, dim)} for n, c in enumerate(contents)]
        rows = rows[::-1] if fault != "fewer" else rows[:-1]  # the index says the order
        return {"object": "list", "data": rows, "model": body["model"]}

    @property
    def spec(self):
        settings = {"model": "tiny", "dim": DIM, "retries": 3, "longest_wait": 5.0}
        return {"name": "endpoint", "address": self.address, **settings}


def tiny_endpoint(folder):
    return EmbeddingServer().spec
