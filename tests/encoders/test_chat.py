"""A language model behind a server: the wire format, and what goes wrong on it."""

import pytest

from encoders.chat import Chat, LanguageModelConfig, Message
from encoders.errors import EncoderError, RequestRefused
from tests.chat_server import ChatServer

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
MESSAGES = [Message("system", "Reply."), Message("user", "Hello")]


def chat(server: ChatServer, **settings: object) -> Chat:
    return Chat(LanguageModelConfig.model_validate({**server.config, **settings}))


def test_what_is_sent_and_what_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_KEY", "s3cret-key")
    server = ChatServer(lambda asked: {"a": asked.text})
    reply = chat(server, key="CHAT_KEY", options={"temperature": 0, "seed": 3}).ask(MESSAGES, SCHEMA)
    assert (reply.text, reply.tokens_in, reply.tokens_out, reply.cut) == ('{"a": "Hello"}', 100, 20, False)
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer s3cret-key"
    assert body["messages"][1] == {"role": "user", "content": "Hello"}
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("scripted-1", 0, 3, 1000)
    wanted = {"name": "reply", "schema": SCHEMA, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": wanted}


@pytest.mark.parametrize(
    ("replies", "wanted"),
    [("json", {"type": "json_object"}), ("text", None), ("object", {"type": "json_object", "schema": SCHEMA})],
)
def test_servers_that_know_no_schema(replies: str, wanted: object) -> None:
    server = ChatServer(lambda asked: {"a": "b"})
    chat(server, replies=replies).ask(MESSAGES, SCHEMA)
    assert server.asked[0][2].get("response_format") == wanted


@pytest.mark.parametrize("fault", [(500, {}, "oops"), (429, {"Retry-After": "0"}, "slow down"), "half"])
def test_a_passing_fault_is_tried_again(fault: object) -> None:
    server = ChatServer(lambda asked: {"a": "b"}, fault)
    assert chat(server).ask(MESSAGES, SCHEMA).text == '{"a": "b"}'
    assert len(server.asked) == 2


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_request_that_is_refused(status: int) -> None:
    with pytest.raises(RequestRefused, match=f"refused: HTTP {status} too long"):
        chat(ChatServer(None, (status, {}, "too long"))).ask(MESSAGES, SCHEMA)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ((200, {}, '{"choices": []}'), "answered no chat completion: choices"),
        ((200, {}, '{"object": "list"}'), "answered no chat completion: choices"),
        ((200, {}, '{"choices": [{"message": "hello"}]}'), "answered no chat completion"),
        ((200, {}, "no json"), "answered no JSON"),
        ((401, {}, "wrong key"), "refused: HTTP 401"),
        ((302, {"Location": "https://elsewhere.example"}, ""), "redirects elsewhere"),
    ],
)
def test_what_ends_it(fault: object, said: str) -> None:
    with pytest.raises(EncoderError, match=said) as error:
        chat(ChatServer(None, fault)).ask(MESSAGES, SCHEMA)
    assert not isinstance(error.value, RequestRefused) and "\n" not in str(error.value)


def test_a_slow_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.post._FIRST_WAIT", 0.01)
    with pytest.raises(EncoderError, match=r"no answer in 2 tries: took longer than 0\.1 s"):
        chat(ChatServer(lambda asked: {"a": "b"}, pause=0.5), timeout=0.1, retries=1).ask(MESSAGES, SCHEMA)


def test_a_reply_that_was_cut() -> None:
    assert chat(ChatServer(None, {"say": '{"a": "lo', "finish": "length"})).ask(MESSAGES, SCHEMA).cut


@pytest.mark.parametrize("address", ["http://example.org/v1", "ftp://localhost/v1", "https://me:pw@host/v1", "host"])
def test_addresses_that_are_not_used(address: str) -> None:
    with pytest.raises(EncoderError, match="address"):
        Chat(LanguageModelConfig(address=address, model="m"))


def test_a_key_in_the_config_is_refused_and_not_shown() -> None:
    with pytest.raises(EncoderError, match="name of an environment variable") as error:
        Chat(LanguageModelConfig(address="http://localhost/v1", model="m", key="sk-12345"))
    assert "12345" not in str(error.value)


def test_options_leave_what_a_command_sets_itself() -> None:
    with pytest.raises(ValueError, match="'messages' is set by each command itself"):
        LanguageModelConfig(address="http://localhost/v1", model="m", options={"messages": []})
