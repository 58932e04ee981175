"""A server on this machine that speaks OpenAI's `/v1/embeddings`, with the faults a test asks for."""

import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

DIM = 8


def vector_of(content, dim=DIM):
    seed = int.from_bytes(hashlib.sha256(json.dumps(content).encode()).digest()[:8], "big")
    return np.random.default_rng(seed).normal(size=dim).tolist()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.asked.append((self.path, dict(self.headers), body))
            server.times.append(time.monotonic())
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
            self.wfile.write(b'{"data": [')
            self.close_connection = True
            return None
        if fault == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(8):
                self.wfile.write(b" ")
                time.sleep(0.1)
            self.close_connection = True
            return None
        dim = body.get("dimensions", DIM) if fault != "longer" else DIM + 1
        contents = body["input"] if "input" in body else [body["messages"]]
        rows = [{"object": "embedding", "index": n, "embedding": vector_of(c, dim)} for n, c in enumerate(contents)]
        rows = rows[::-1] if fault != "fewer" else rows[:-1]  # the index says the order
        return self.send(200, {}, json.dumps({"object": "list", "data": rows, "model": body["model"]}))

    def send(self, status, headers, text):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass


class EmbeddingServer(ThreadingHTTPServer):
    daemon_threads, block_on_close = True, False

    def __init__(self, *faults, pause=0.0):
        """`faults` are given one a request, in order; then it answers as it should."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.pause, self.lock = list(faults), pause, threading.Lock()
        self.asked, self.times, self.running, self.most_at_once = [], [], 0, 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, *args):
        """The client hanging up is what is tested."""

    @property
    def spec(self):
        address = f"http://127.0.0.1:{self.server_port}/v1"
        return {"name": "endpoint", "address": address, "model": "tiny", "dim": DIM, "retries": 3, "longest_wait": 5.0}


def tiny_endpoint(folder):
    return EmbeddingServer().spec
