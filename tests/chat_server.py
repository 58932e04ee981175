"""A server on this machine that speaks OpenAI's `/v1/chat/completions`: a scripted model, and the faults of a test."""

import json

from tests.model_server import ModelServer


class Asked:
    """A request as a scripted model reads it."""

    def __init__(self, body):
        self.body, self.messages = body, body["messages"]
        self.system = self.messages[0]["content"]
        content = self.messages[1]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        self.text = parts[0]["text"]
        self.media = parts[1:]
        self.again = len(self.messages) > 2

    @property
    def record(self):
        return json.loads(self.text)

    @property
    def task(self):
        starts = {"You describe": "captions", "You find": "triples", "You sum": "summary"}
        return next((name for start, name in starts.items() if self.system.startswith(start)), "ask")


class ChatServer(ModelServer):
    """Its own fault is `{"say": ..., "finish": ...}`: a reply in place of the model's."""

    def __init__(self, model, *faults, pause=0.0):
        """`model`: `Asked` -> what it says, an object or text."""
        self.model = model
        super().__init__(*faults, pause=pause)

    def reply(self, body, fault):
        scripted = fault if fault is not None else {"say": self.model(Asked(body))}
        said, finish = scripted["say"], scripted.get("finish", "stop")
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }

    @property
    def config(self):
        return {"address": self.address, "model": "scripted-1", "retries": 2, "longest_wait": 1.0}
