"""HTTP messages, server logs and base64."""

from __future__ import annotations

import base64

from saelab.zoo.grammar import Rule, Writer, lines, words, writes

_SENTENCE_WORDS = words(
    "the a of and to in is was for with on that user password secret token admin session hello world name "
    "value red blue "
    "apple river stone house key door light night fire water one two three this here please thank you not "
    "never always"
)


def _payload(w: Writer, low: int, high: int) -> bytes:
    """Words (whose base64 has patterns to learn) or random bytes."""
    size = w.integer(low, high)
    if w.chance(0.65):
        text = " ".join(w.pick(_SENTENCE_WORDS) for _ in range(size // 4 + 1))
        return text.encode()[:size]
    return bytes(int(w.random() * 256) for _ in range(size))


def _encoded(w: Writer, low: int, high: int, width: int = 64) -> None:
    text = base64.b64encode(_payload(w, low, high)).decode()
    body = text.rstrip("=")
    for i in range(0, len(body), width):
        if i:
            w.put("\n")
        w.put(body[i : i + width], "base64.data")
    if len(body) < len(text):
        w.put(text[len(body) :], "base64.padding")


@writes("base64.data", "base64.padding")
def _long(w: Writer) -> None:
    _encoded(w, 90, 190)


def _line(w: Writer) -> None:
    _encoded(w, 24, 47)


def _short(w: Writer) -> None:
    _encoded(w, 12, 36, 999)


RULES: dict[str, Rule] = {
    # ------------------------------------------------------------------------------------------------ base64
    "base64": (
        "<_b64_long>",
        "<_b64_long>",
        "<base64.armour>\n<_b64_long>\n<base64.armour>",
        "<_b64_line>\n<_b64_line>\n<_b64_line>",
        "data:<_mime>;base64,<_b64_long>",
        "Content-Transfer-Encoding: base64\n\n<_b64_long>",
    ),
    "_b64_long": _long,
    "_b64_line": _line,
    "_b64_short": _short,
    "base64.armour": (
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----",
        "-----END PUBLIC KEY-----",
        "-----BEGIN MESSAGE-----",
        "-----END MESSAGE-----",
    ),
    "_mime": words(
        "image/png image/jpeg image/gif application/pdf text/plain application/json font/woff2 audio/mpeg "
        "text/html "
        "text/css"
    ),
    # -------------------------------------------------------------------------------------------------- http
    "http": (
        *["<_request>\n<_headers>\n"] * 5,
        *["<_request>\n<_headers>\n<http.body>"] * 2,
        *["<_response>\n<_rheaders>\n"] * 3,
        "<_response>\n<_rheaders>\n<http.body>",
        "<_request>\n<_headers>\n<_response>\n<_rheaders>\n",
        "<_response>\n<http.header_name>: application/json\n\n<_json_short=json>",
        "<_request>\n<_h_type=http.header_name>: application/json\n<_headers>\n<_json_short=json>",
        "<_request>\n<_h_auth=http.header_name>: Basic <_b64_short=base64>\n<_headers>\n",
    ),
    "_request": (
        "<http.method> <http.path> <http.version>\n<_h_host=http.header_name>: <_domain=http.header_value>",
    ),
    "_response": ("<http.version> <http.status>",),
    "http.method": words("GET GET GET POST POST PUT DELETE HEAD PATCH OPTIONS"),
    "http.version": words("HTTP/1.1 HTTP/1.1 HTTP/1.0 HTTP/2"),
    "http.path": (
        "/",
        "/<_seg>",
        "/<_seg>/<_seg>",
        "/<_seg>/<1..999>",
        "/<_seg>.<_ext>",
        "/<_seg>/<_seg>.<_ext>",
        "/<_seg>?<http.query>",
        "/<_seg>/<_seg>?<http.query>&<http.query>",
        "/api/v<1..3>/<_seg>",
        "/api/v<1..3>/<_seg>/<1..99>",
    ),
    "_seg": words(
        "users items orders search login static images index api products cart news blog admin assets "
        "about help account "
        "files data docs table river castle apple report"
    ),
    "_ext": words("html css js png jpg gif json php svg pdf ico"),
    "http.query": (
        "id=<1..999>",
        "q=<_noun>",
        "page=<1..20>",
        "sort=<_sort>",
        "lang=<_lang>",
        "limit=<1..9>0",
        "q=<_adj>+<_noun>",
        "utm_source=<_noun>",
    ),
    "_sort": words("name price date asc desc"),
    "_lang": words("en de fr he ru ja es it"),
    "http.status": (
        "200 OK",
        "200 OK",
        "200 OK",
        "201 Created",
        "204 No Content",
        "301 Moved Permanently",
        "302 Found",
        "304 Not Modified",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "404 Not Found",
        "409 Conflict",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
    ),
    "_h_host": ("Host",),
    "_h_type": ("Content-Type",),
    "_h_auth": ("Authorization",),
    "http.header_name": ("Server",),
    "_headers": ("<_header*2-5>",),
    "_rheaders": ("<_rheader*2-5>",),
    "_header": tuple(f"<_n_{i}=http.header_name>: <_v_{i}=http.header_value>\n" for i in range(9)),
    "_rheader": tuple(f"<_n_{i}=http.header_name>: <_v_{i}=http.header_value>\n" for i in range(6, 16)),
    "_n_0": ("User-Agent",),
    "_v_0": (
        "Mozilla/5.0 (<_os>) <_browser>",
        "curl/<7..8>.<1..88>.0",
        "python-requests/2.<1..31>.<0..2>",
        "Mozilla/5.0 (<_os>) <_browser>",
        "Wget/1.<1..21>",
    ),
    "_n_1": ("Accept",),
    "_v_1": (
        "*/*",
        "text/html",
        "application/json",
        "text/html,application/xml;q=0.<1..9>",
        "image/webp,*/*;q=0.8",
    ),
    "_n_2": ("Accept-Language",),
    "_v_2": ("<_lang>", "<_lang>-US,<_lang>;q=0.<1..9>", "<_lang>,<_lang>;q=0.5"),
    "_n_3": ("Accept-Encoding",),
    "_v_3": ("gzip", "gzip, deflate", "gzip, deflate, br", "identity"),
    "_n_4": ("Cookie",),
    "_v_4": ("session=<_hex*8-16>", "theme=<_colour>; session=<_hex*8-12>", "id=<1..9999>; lang=<_lang>"),
    "_n_5": ("Referer",),
    "_v_5": ("https://<_domain>/", "https://<_domain>/<_seg>", "http://<_domain>/<_seg>/<_seg>"),
    "_n_6": ("Connection",),
    "_v_6": ("keep-alive", "close", "upgrade"),
    "_n_7": ("Content-Length",),
    "_v_7": ("<0..99>", "<100..9999>"),
    "_n_8": ("Content-Type",),
    "_v_8": ("<_mime>", "text/html; charset=utf-8", "application/x-www-form-urlencoded", "application/json"),
    "_n_9": ("Server",),
    "_v_9": ("nginx/1.<1..25>.<0..5>", "Apache/2.4.<1..58> (<_unix>)", "cloudfront", "gunicorn"),
    "_n_10": ("Date",),
    "_v_10": ("<_day3>, <1..2><_d> <_month3> 20<1..2><_d> <1..1><_d>:<1..5><_d>:<1..5><_d> GMT",),
    "_n_11": ("Cache-Control",),
    "_v_11": ("no-cache", "max-age=<1..9>00", "public, max-age=<1..9>600", "no-store", "private"),
    "_n_12": ("ETag",),
    "_v_12": ('"<_hex*8-12>"', 'W/"<_hex*6-10>"'),
    "_n_13": ("Location",),
    "_v_13": ("/<_seg>", "https://<_domain>/<_seg>"),
    "_n_14": ("Set-Cookie",),
    "_v_14": (
        "session=<_hex*8-12>; Path=/; HttpOnly",
        "theme=<_colour>; Max-Age=<1..9>00",
        "id=<1..999>; Secure",
    ),
    "_n_15": ("Vary",),
    "_v_15": ("Accept-Encoding", "Origin", "Cookie"),
    "_os": (
        "Windows NT 10.0; Win64; x64",
        "X11; Linux x86_64",
        "Macintosh; Intel Mac OS X 10_<1..15>",
        "iPhone; CPU iPhone OS <1..1><0..7>_<0..5>",
    ),
    "_browser": ("Firefox/<8..9><_d>.0", "Chrome/1<0..2><_d>.0", "Safari/6<0..1><_d>.1"),
    "_unix": words("Ubuntu Debian CentOS Unix"),
    "http.body": (
        "<_noun>=<_noun>&<_noun>=<1..99>",
        "user=<_given>&password=<_hex*6-10>",
        "q=<_noun>&page=<1..9>",
        '<html lang="<_lang>"><h1 id="<_noun>"><^_noun></h1></html>',
        '<p class="<_noun>">The <_thing> was moved <a href="/<_seg>">here</a>.</p>',
        "name=<_given>+<_family>&city=<_city>",
    ),
    # --------------------------------------------------------------------------------------------------- log
    "log": (
        *["<_syslog*3-4>", "<_applog*3-4>", "<_applog*3-4>", "<_access*2-3>", "<_bracket*3-4>"] * 3,
        "<_applog*1-2><_reply_log><_json_short=json>\n",
    ),
    "_reply_log": ("<log.timestamp> <_lv_d=log.level> <log.module>: reply ",),
    "_log_short": ("<_applog*1-2>", "<_syslog*1-2>", "<_bracket*1-2>"),
    "_lv_d": ("DEBUG",),
    "_applog": (
        "<_iso_day@today=log.timestamp> <_clock_ms=log.timestamp> <log.level> <log.module>: <log.message>\n",
    ),
    "_bracket": ("[<_iso_day@today=log.timestamp> <_clock=log.timestamp>] [<log.level>] <log.message>\n",),
    "_syslog": (
        "<_month3@mon=log.timestamp> <_n28@mday=log.timestamp> <_clock=log.timestamp> <_hostname@host> "
        "<log.module>[<100..9999>]: <log.message>\n",
    ),
    "_access": (
        "<log.ip> - - [<_n28@mday>/<_month3@mon>/20<_n2@y>:<_clock> +0000] "
        '"<_log_method=log.request_method> <_log_path=log.request_path> HTTP/1.1" <_code=log.code> '
        "<100..9999>\n",
    ),
    "_log_method": words("GET GET POST HEAD PUT"),
    "_log_path": (
        "/",
        "/<_seg>",
        "/<_seg>/<_seg>",
        "/<_seg>.<_ext>",
        "/<_seg>?id=<1..999>",
        "/<_seg>/<1..99>",
    ),
    "_n28": ("<1..28>",),
    "_n2": ("<10..26>",),
    "_code": words("200 200 200 301 302 304 400 403 404 404 500 503"),
    "_hostname": words("web1 web2 db1 lamp mill castle router gate river mail"),
    "log.timestamp": ("20<10..26>-0<1..9>-<1..2><_d> <_clock>",),
    "_iso_day": ("20<10..26>-0<1..9>-<1..2><_d>", "20<10..26>-1<0..2>-<1..2><_d>"),
    "_clock": ("<0..1><_d>:<0..5><_d>:<0..5><_d>", "2<0..3>:<0..5><_d>:<0..5><_d>"),
    "_clock_ms": ("<_clock>,<100..999>", "<_clock>"),
    "log.level": words("INFO INFO INFO DEBUG WARNING ERROR ERROR CRITICAL"),
    "log.module": words(
        "sshd kernel cron nginx postgres systemd app.main app.db auth worker scheduler cache dhcpd mailer "
        "api.views"
    ),
    "log.ip": (
        "10.0.<0..9>.<1..254>",
        "192.168.<0..9>.<1..254>",
        "172.16.<0..31>.<1..254>",
        "203.0.113.<1..254>",
    ),
    "log.message": lines("""
        connection from <log.ip> port <1000..65000>
        user <_given> logged in from <log.ip>
        failed password for <_given> from <log.ip>
        request took <1..999> ms
        disk usage at <10..99>%
        restarting worker <1..16>
        could not open file /var/<_seg>/<_noun>.log
        timeout after <1..60> s while reading <_seg>
        job <_noun> finished in <1..99>.<0..9> s
        session closed for user <_given>
        retry <1..9> of 10 for <_seg>
        cache miss for key <_noun>:<1..999>
        loaded <10..9999> rows from table <_seg>
        out of memory: killed process <100..9999>
        certificate for <_domain> expires in <1..60> days
        listening on 0.0.0.0:<80..9999>
        unknown <_noun> in request, ignored
        link is down on eth<0..3>
    """),
}
