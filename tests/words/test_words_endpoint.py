"""Adapters: a local server that speaks the OpenAI protocol, well and badly; a model in this process."""

import email.utils
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

import pytest
import torch

import saelab as sl
from saelab.errors import SaelabError
from saelab.words.calls import ask_all

KEY = "sk-very-secret-0123456789"
QUESTION = [{"role": "user", "content": "fire?"}]


class Server(ThreadingHTTPServer):
    """Answers each request with the next of its answers (the last one for ever), and remembers what it was sent."""

    daemon_threads = True
    answers: list
    seen: list

    def handle_error(self, request, client_address):
        pass  # a client that has gone


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, dict(self.headers), sent))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer(self)
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *given):
        pass


@pytest.fixture
def server():
    made = Server(("127.0.0.1", 0), Handler)
    made.answers, made.seen = [ok("[1]")], []
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that would have been waited."""
    waited = []
    monkeypatch.setattr("saelab.words.adapters.time.sleep", waited.append)
    return waited


def ok(text, **more):
    message = {"role": "assistant", "content": text}
    body = {"choices": [{"message": message, **more}], "usage": {"prompt_tokens": 11, "completion_tokens": 4}}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def endpoint(server, **options):
    return sl.words.Endpoint(f"http://127.0.0.1:{server.server_port}/v1/", "small", **options)


def test_a_call(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", f" {KEY}\n")
    server.answers = [ok("yes \ud83d")]  # a server's half of a character
    ask = endpoint(server, key="MY_KEY", temperature=0.5, max_tokens=7, probabilities=True)
    reply = ask(QUESTION)
    assert reply.startswith("yes")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.probabilities) == (11, 4, ())
    ((path, headers, sent),) = server.seen
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert sent == {
        "model": "small", "max_tokens": 7, "temperature": 0.5, "logprobs": True, "top_logprobs": 5, "messages": QUESTION,
    }  # fmt: skip
    endpoint(server, temperature=None)(QUESTION)
    assert "Authorization" not in server.seen[1][1]
    assert "temperature" not in server.seen[1][2]


def test_the_key_is_nowhere(server, monkeypatch, tmp_path):
    monkeypatch.setenv("MY_KEY", KEY)
    ask = endpoint(server, key="MY_KEY")
    llm = sl.words.LLM(ask, path=tmp_path)
    ask_all(llm, [(QUESTION, str)], progress=False)
    (kept,) = tmp_path.rglob("*.json")
    said = [repr(ask), repr(llm), str(vars(ask)), kept.read_text()]
    server.answers = [(401, {}, json.dumps({"error": f"Incorrect API key provided: {KEY}"}).encode())]
    with pytest.raises(SaelabError, match="refuses calls of 'small': 401 Unauthorized") as error:
        ask_all(llm, [([{"role": "user", "content": "again"}], str)], progress=False)
    said.append(str(error.value))
    assert not any(KEY in s for s in said)
    assert "(key)" in said[-1]
    with pytest.raises(SaelabError, match="not the key itself") as error:
        endpoint(server, key=KEY)
    assert KEY not in str(error.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(SaelabError, match="no variable 'MY_KEY'"):
        ask(QUESTION)
    monkeypatch.setenv("MY_KEY", "a\r\nX-Evil: 1")
    with pytest.raises(SaelabError, match="is no key"):
        ask(QUESTION)


@pytest.mark.parametrize(
    "url",
    ["", "localhost:1/v1", "ftp://a/v1", "http://", "http://u:p@a/v1", "http://a:x/v1", "http://a/v1?k=1"],
)
def test_addresses_that_are_none(url):
    with pytest.raises(SaelabError, match="base_url"):
        sl.words.Endpoint(url, "small")


def test_too_many_calls_are_made_again_as_the_server_says(server, waits):
    date = email.utils.format_datetime(email.utils.localtime())
    server.answers = [
        (429, {"Retry-After": "3"}, b"slow down"), (429, {"Retry-After": date}, b""), (429, {"Retry-After": "soon"}, b""),
        (503, {}, b""), ok("[1]"),
    ]  # fmt: skip
    assert endpoint(server)(QUESTION) == "[1]"
    assert waits == [3.0, 0.0, 2.0, 4.0]
    assert len(server.seen) == 5


def test_a_wait_that_is_too_long_is_a_failure(server, waits):
    server.answers = [(429, {"Retry-After": "3600"}, b"come back in an hour")]
    (found,) = ask_all(sl.words.LLM(endpoint(server)), [(QUESTION, str)], progress=False)
    assert found.failed == "ConnectionError: 429 Too Many Requests: come back in an hour"
    assert waits == []


def test_a_server_that_stays_broken_ends_the_work(server, waits):
    server.answers = [(500, {}, b"<html>oops</html>")]
    llm = sl.words.LLM(endpoint(server, retries=2))
    with pytest.raises(SaelabError, match="5 calls of small failed in a row; the last: ConnectionError: 500"):
        ask_all(llm, [(QUESTION, str)] * 9, progress=False)
    assert len(server.seen) == 15
    assert waits == [0.5, 1.0] * 5


def test_nobody_there(waits):
    ask = sl.words.Endpoint("http://127.0.0.1:9/v1", "small", retries=1)
    with pytest.raises(ConnectionError, match="ConnectionRefusedError"):
        ask(QUESTION)
    assert waits == [0.5]


MALFORMED = {
    "html": b"<html>proxy</html>", "empty": b"", "a list": b"[]", "no choices": b'{"choices": []}', "null": b"null",
    "no message": b'{"choices": [{}]}', "deep": b"[" * 100_000, "bytes": b"\xff\xfe\x00", "cut": b'{"choices": [{"mess',
    "a number": b'{"choices": [{"message": {"content": 3}}]}',
    "a refusal": b'{"choices": [{"message": {"content": null, "refusal": "I must not."}}]}',
}  # fmt: skip


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_answers_are_failures(kind, server):
    server.answers = [(200, {}, MALFORMED[kind])]
    llm = sl.words.LLM(endpoint(server))
    found = ask_all(llm, [(QUESTION, str)] * 7, progress=False)  # not the server's end: the work goes on
    assert all(a.failed.startswith("n") for a in found)
    assert llm.cost["failed"] == 7
    assert ("I must not." in found[0].failed) == (kind == "a refusal")


@pytest.mark.parametrize(
    "odd", [{"logprobs": 3}, {"logprobs": {"content": [{"token": "1"}]}}, {"logprobs": {"content": "1"}}]
)
def test_odd_logprobs_are_none(odd, server):
    server.answers = [ok("[1]", **odd)]
    assert endpoint(server)(QUESTION).probabilities == ()


def test_answers_without_end_are_cut(server):
    server.answers = [(200, {}, b"x" * (5 << 20))]
    with pytest.raises(ValueError, match="more than 4,194,304 bytes"):
        endpoint(server)(QUESTION)


def drip(where):
    """Send one byte after another, for ever: of the head, or of the body."""

    def answer(handler):
        if where == "head":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        else:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
        for _ in range(2000):
            handler.wfile.write(b" ")
            time.sleep(0.005)

    return answer


@pytest.mark.parametrize("where", ["head", "body", "silence"])
def test_a_slow_stream_ends_with_the_timeout(where, server):
    server.answers = [drip(where) if where != "silence" else lambda handler: time.sleep(8)]
    begun = time.monotonic()
    with pytest.raises(ConnectionError, match="no whole answer within 0.2 seconds"):
        endpoint(server, timeout=0.2, retries=0)(QUESTION)
    assert time.monotonic() - begun < 5  # the server would go on for ten


def cut(handler):
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [')
    handler.wfile.flush()
    handler.close_connection = True


def test_a_connection_that_breaks_is_made_again(server, waits):
    server.answers = [cut, cut, ok("[0]")]
    assert endpoint(server)(QUESTION) == "[0]"
    assert waits == [0.5, 1.0]


def test_a_redirect_is_not_followed_with_the_key(server, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    server.answers = [(307, {"Location": f"http://127.0.0.1:{server.server_port}/elsewhere"}, b"")]
    with pytest.raises(ConnectionError, match="307"):
        endpoint(server, key="MY_KEY")(QUESTION)
    assert [path for path, *_ in server.seen] == ["/v1/chat/completions"]


def test_workers_ask_side_by_side(server):
    together, most = [0], [0]
    guard = threading.Lock()

    def slow(handler):
        with guard:
            together[0] += 1
            most[0] = max(most[0], together[0])
        time.sleep(0.1)
        with guard:
            together[0] -= 1
        body = ok("[1]")[2]
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    server.answers = [slow]
    found = ask_all(sl.words.LLM(endpoint(server), workers=4), [(QUESTION, str)] * 8, progress=False)
    assert [a.value for a in found] == ["[1]"] * 8
    assert 1 < most[0] <= 4


def test_a_whole_score_over_a_server(server, planted):
    server.answers = [ok("[1, 0, 1, 0, 1]")]
    llm = sl.words.LLM(endpoint(server), workers=2)
    found = sl.words.score(sl.words.explain(planted, {2: "<b>"}), llm, progress=False)
    assert found.summary["judge_tokens"].item() == 15 * found.summary["calls"].item() > 0
    assert found.judge == "small, not checked as a judge"


# ----------------------------------------------------------------------------------------------------- local


def test_a_model_in_this_process(tiny):
    from transformers import pipeline

    ask = sl.words.Local(tiny, max_tokens=3)
    first = ask([{"role": "user", "content": "The red fox"}])
    assert first == ask([{"role": "user", "content": "The red fox"}])
    assert first.completion_tokens <= 3
    bare = sl.words.Local(tiny.original_model, tiny.tokenizer, max_tokens=3, name="bare")
    assert bare([{"role": "user", "content": "The red fox"}]) == first
    assert bare.name == "bare"
    pipe = pipeline("text-generation", model=tiny.original_model, tokenizer=tiny.tokenizer, device="cpu")
    assert sl.words.Local(pipe, max_tokens=3)([{"role": "user", "content": "The red fox"}]) == first
    (found,) = ask_all(sl.words.LLM(ask), [([{"role": "user", "content": "fox " * 99}], str)], progress=False)
    assert "reads and writes 32" in found.failed
    for wrong in (3, "smollm2", lambda m: "x"):
        with pytest.raises(SaelabError, match="model must be one that writes"):
            sl.words.Local(wrong)
    with pytest.raises(SaelabError, match="tokenizer must be"):
        sl.words.Local(tiny.original_model)


def test_probabilities_of_a_model_in_this_process(tiny):
    vocabulary = tiny.tokenizer.get_vocab()
    one = next(i for t, i in vocabulary.items() if t == "1")

    class Always:
        config, device = tiny.original_model.config, "cpu"

        def generate(self, input_ids, **options):
            import torch

            scores = torch.zeros(1, len(vocabulary))
            scores[0, [i for t, i in vocabulary.items() if t.isalpha()][:20]] = (
                1.5  # 0 is not among the best five
            )
            scores[0, one] = 2.0
            scores[0, vocabulary["0"]] = 1.0
            both = torch.tensor([[*input_ids[0].tolist(), one]])
            return type("Out", (), {"sequences": both, "scores": (scores,)})()

    reply = sl.words.Local(Always(), tiny.tokenizer)([{"role": "user", "content": "x"}])
    assert reply == "1"
    assert reply.probabilities == (pytest.approx(2.718281828 / 3.718281828),)  # e² / (e² + e)


SECRET = "sk-SECRET+abc/def=="
ECHOES = {
    "plain": SECRET, "escaped slash": SECRET.replace("/", "\\/"), "percent": quote(SECRET, safe=""),
    "percent, small": quote(SECRET, safe="").lower().replace("secret", "SECRET"),
    "escaped": "".join(f"\\u{ord(c):04x}" for c in SECRET),
    "escaped in part": SECRET.replace("/", "\\u002F").replace("+", "\\u002b"),
}  # fmt: skip


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("form", ECHOES)
def test_a_key_that_is_echoed_is_hidden(form, status, server, monkeypatch, tmp_path):
    """Also where the answer is a good one: it is kept on disk, and becomes a label."""
    monkeypatch.setenv("SAELAB_TEST_KEY", SECRET)
    body = ok("EXPLANATION: bad HERE.")[2].decode().replace("HERE", ECHOES[form])
    server.answers = [(status, {"Content-Type": "application/json"}, body.encode())]
    llm = sl.words.LLM(endpoint(server, key="SAELAB_TEST_KEY"), path=tmp_path)
    (found,) = ask_all(llm, [(QUESTION, str)], progress=False)
    assert "(key)" in (found.value or found.failed)
    if status == 200:
        assert found.value == "EXPLANATION: bad (key)."
    for said in (found.value or "", found.failed, *(f.read_text() for f in tmp_path.rglob("*.json"))):
        assert not any(
            part in unquote(said).encode().decode("unicode_escape") for part in ("SECRET", "abc/def")
        )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_a_key_that_is_echoed_in_another_encoding_is_hidden(encoding, server, monkeypatch):
    monkeypatch.setenv("SAELAB_TEST_KEY", SECRET)
    body = ok(f"EXPLANATION: bad {SECRET}.")[2].decode().encode(encoding)
    server.answers = [(200, {"Content-Type": "application/json"}, body)]
    (found,) = ask_all(
        sl.words.LLM(endpoint(server, key="SAELAB_TEST_KEY")), [(QUESTION, str)], progress=False
    )
    assert found.value == "EXPLANATION: bad (key)."


def test_a_key_that_is_echoed_in_what_is_malformed_is_hidden(server, monkeypatch):
    monkeypatch.setenv("SAELAB_TEST_KEY", SECRET)
    server.answers = [(200, {}, f"<html>{SECRET} {quote(SECRET, safe='')}</html>".encode())]
    (found,) = ask_all(
        sl.words.LLM(endpoint(server, key="SAELAB_TEST_KEY")), [(QUESTION, str)], progress=False
    )
    assert "<html>(key) (key)</html>" in found.failed


def test_what_looks_like_a_key_or_holds_one_is_refused_and_not_shown(monkeypatch):
    secret = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"
    for key in (secret, "gsk_abc", "a1" * 20):
        with pytest.raises(SaelabError, match="not the key itself") as error:
            sl.words.Endpoint("http://localhost/v1", "m", key=key)
        assert key not in str(error.value)
    monkeypatch.setenv(secret, "x")
    for name in (secret, "OPENAI_API_KEY", "MY_KEY_2_OF_THE_SECOND_ACCOUNT", "openai_api_key_of_my_group"):
        assert sl.words.Endpoint("http://localhost/v1", "m", key=name).key == name
    for url in (
        f"http://localhost/v1?key={secret}",
        f"http://x:{secret}@localhost:bad/v1",
        f"localhost/v1#{secret}",
    ):
        with pytest.raises(SaelabError, match="base_url must be like") as error:
            sl.words.Endpoint(url, "m")
        assert secret not in str(error.value)


def test_the_beginning_of_a_key_that_is_echoed_is_hidden(server, monkeypatch):
    monkeypatch.setenv("SAELAB_TEST_KEY", KEY)
    server.answers = [(400, {}, f"bad key {KEY[:-4]}.".encode())]
    (found,) = ask_all(
        sl.words.LLM(endpoint(server, key="SAELAB_TEST_KEY")), [(QUESTION, str)], progress=False
    )
    assert found.failed.endswith("bad key (key).")


def test_models_of_other_weights_or_another_template_share_no_kept_answers(tiny):
    from copy import deepcopy

    one, other, tokenizer = tiny.original_model, deepcopy(tiny.original_model), deepcopy(tiny.tokenizer)
    with torch.no_grad():
        next(other.parameters()).add_(1)
    tokenizer.chat_template = "{{ messages[0].content }}"
    made = [
        sl.words.Local(*x, name="x").settings
        for x in ((one, tiny.tokenizer), (other, tiny.tokenizer), (one, tokenizer))
    ]
    assert len({*made}) == 3
    assert sl.words.Local(one, tiny.tokenizer).settings == made[0]
