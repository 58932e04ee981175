"""A server on this machine that speaks OpenAI's `/v1/chat/completions`: a scripted model, and the faults of a test."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers), body))
            fault = server.faults.pop(0) if server.faults else None
            server.running += 1
            server.most_at_once = max(server.most_at_once, server.running)
        try:
            time.sleep(server.pause)
            self.answer(body, fault)
        finally:
            with server.lock:
                server.running -= 1

    def answer(self, body, fault):
        if isinstance(fault, tuple):  # status, headers, text
            return self.send(*fault)
        if fault == "half":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"choices": [')
            self.close_connection = True
            return None
        said = fault["say"] if isinstance(fault, dict) else self.server.model(Asked(body))
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        finish = fault.get("finish", "stop") if isinstance(fault, dict) else "stop"
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": body["model"],
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }
        return self.send(200, {}, json.dumps(answer))

    def send(self, status, headers, text):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


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


class ChatServer(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False
    request_queue_size = 64

    def __init__(self, model, *faults, pause=0.0):
        """`model`: `Asked` -> what it says, an object or text. `faults` are given one a request, in order: then it
        answers as it should."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.model, self.faults, self.pause, self.lock = model, list(faults), pause, threading.Lock()
        self.asked, self.running, self.most_at_once = [], 0, 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *args):
        """The client hanging up is what is tested."""

    @property
    def config(self):
        address = f"http://127.0.0.1:{self.server_port}/v1"
        return {"address": address, "model": "scripted-1", "retries": 2, "longest_wait": 1.0}
