"""Replies of a language model on a server that speaks OpenAI's `/v1/chat/completions`: vLLM, Ollama, llama.cpp, or a
hosted one."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, NonNegativeFloat, PositiveInt, ValidationError, field_validator

from common.problems import place, sentence
from encoders.errors import EncoderError
from encoders.message import Part
from encoders.post import Server, ServerConfig

_OURS = frozenset(("model", "messages", "response_format", "max_tokens", "n", "stream", "tools", "functions"))


class Price(BaseModel, extra="forbid"):
    """What a hosted model costs, for estimates."""

    input: NonNegativeFloat = 0.0
    """For a million tokens that are sent."""

    output: NonNegativeFloat = 0.0
    """For a million tokens that come back."""

    currency: str = Field("USD", max_length=8)
    """How the sum is named."""


class LanguageModelConfig(ServerConfig):
    """A language model on a server: what `enrich` and `ask` use."""

    timeout: float = Field(120.0, gt=0)
    """Seconds for one request and its whole answer."""

    max_tokens: PositiveInt = 1000
    """Tokens of one reply; one that is cut there counts as no reply."""

    replies: Literal["schema", "object", "json", "text"] = "schema"
    """How the server is asked for JSON: by a JSON `schema` (vLLM, Ollama, llama.cpp and hosted models know it), as an
    `object` with the schema beside it (llama-cpp-python, Together), as any `json` object, or in words alone (`text`).
    Every reply is checked whichever it is."""

    options: dict[str, Any] = Field(default_factory=lambda: {"temperature": 0})
    """Sent with every request as they are, e.g. `{temperature: 0, seed: 1, reasoning_effort: low}`."""

    price: Price | None = None
    """What tokens cost; without it, none is estimated."""

    @field_validator("options")
    @classmethod
    def _are_not_ours(cls, options: dict[str, Any]) -> dict[str, Any]:
        if taken := sorted(_OURS & set(options)):
            raise ValueError(f"{taken[0]!r} is set by each command itself; leave it out")
        return options


class Message(NamedTuple):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str | Sequence[Part]


class Reply(NamedTuple):
    """What a model said."""

    text: str
    tokens_in: int = 0
    """As the server counts them; 0 where it does not."""
    tokens_out: int = 0
    cut: bool = False
    """Whether it ran into `max_tokens`."""


def json_of(reply: str) -> str:
    """The JSON of a reply: without what a model thought before, or the fence it put around."""
    text = reply.rpartition("</think>")[2].strip()
    return text.partition("\n")[2].rpartition("```")[0] if text.startswith("```") else text


class Chat:
    """A language model that is asked; safe to be used by several threads. Nothing is sent before `ask`."""

    def __init__(self, config: LanguageModelConfig) -> None:
        """`EncoderError` for an address that is neither https nor http on this machine, or a key in the config."""
        self.config = config
        self._server = Server("language_model", "chat/completions", config)
        self.sends_to = self._server.sends_to
        """Where everything goes, as a person reads it."""

    @property
    def identity(self) -> dict[str, Any]:
        """What decides a reply beside the messages. Not the address: a model may move."""
        return self.config.model_dump(include={"model", "revision", "max_tokens", "replies", "options"})

    @property
    def model(self) -> str:
        """The model as provenance names it."""
        return f"{self.config.model} {self.config.revision}" if self.config.revision else self.config.model

    def check(self) -> None:
        """Raise `EncoderError` where the key is not set or no server listens. Nothing is sent."""
        self._server.check()

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> Reply:
        """The reply to a conversation, wanted as JSON of a schema; what it says is not checked here.

        Raises `RequestRefused` where the server takes this request not, `EncoderError` where it gives no answer.
        """
        body: dict[str, Any] = {
            **self.config.options,
            "model": self.config.model,
            "max_tokens": self.config.max_tokens,
            "messages": [{"role": role, "content": content} for role, content in messages],
        }
        if self.config.replies == "schema":
            wanted = {"name": "reply", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": wanted}
        elif self.config.replies == "object":
            body["response_format"] = {"type": "json_object", "schema": schema}
        elif self.config.replies == "json":
            body["response_format"] = {"type": "json_object"}
        answer = self._server.post(body)
        try:
            found = _Answer.model_validate(answer)
        except ValidationError as error:
            where = ".".join(place(error.errors()[0]))
            raise EncoderError(f"{self._server} answered no chat completion: {where}: {sentence(error)}") from None
        choice, usage = found.choices[0], found.usage or _Usage()
        text = choice.message.content or ""
        return Reply(text, usage.prompt_tokens, usage.completion_tokens, choice.finish_reason == "length")


class _Said(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
