"""What is thrown at the service: lists of our own, by kind.

Invariant: each entry is here for one idea; nothing in these lists reaches beyond loopback.
"""

from __future__ import annotations

MARK = "zqx"  # in every text that is looked for in what comes back

MARKUP = (
    f"<script>{MARK}</script>",
    f"<ScRiPt >{MARK}</sCrIpT>",
    f"</title><script>{MARK}</script>",
    f"</style></script><svg onload={MARK}>",
    f"<img src=x onerror={MARK}()>",
    f"<svg/onload={MARK}()>",
    f"<body onload={MARK}()>",
    f"<iframe srcdoc='<script>{MARK}</script>'>",
    f"<a href='javascript:{MARK}()'>x</a>",
    f"<a href='java\tscript:{MARK}()'>x</a>",
    f"<a href=\"&#106;avascript:{MARK}()\">x</a>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={MARK}()>",
    f"<!--><script>{MARK}</script-->",
    f"<![CDATA[<script>{MARK}</script>]]>",
    f"<details open ontoggle={MARK}()>",
    f"<input autofocus onfocus={MARK}()>",
    f"<object data='data:text/html,<script>{MARK}</script>'>",
    f"<base href='//{MARK}.invalid/'>",
    f"<meta http-equiv=refresh content='0;url=javascript:{MARK}()'>",
    f"<link rel=stylesheet href='//{MARK}.invalid/'>",
    f"\"><script>{MARK}</script>",
    f"'><script>{MARK}</script>",
    f"\" onmouseover=\"{MARK}()",
    f"' onmouseover='{MARK}()",
    f"`onmouseover={MARK}()`",
    f"javascript:{MARK}()//",
    f"data:text/html,<b>{MARK}</b>",
    f"{{{{{MARK}.constructor.constructor('x')()}}}}",
    f"${{{MARK}}}",
    f"<%= {MARK} %>",
    f"#{{{MARK}}}",
    f"<scr<script>ipt>{MARK}</scr</script>ipt>",
    f"%3Cscript%3E{MARK}%3C/script%3E",
    f"\\u003cscript\\u003e{MARK}\\u003c/script\\u003e",
    f"&lt;script&gt;{MARK}&lt;/script&gt;",
    f"＜script＞{MARK}＜/script＞",
    f"<script>{MARK}</script>\u202e",
    f"+ADw-script+AD4-{MARK}+ADw-/script+AD4-",
    f"x\r\nX-Injected: {MARK}",
    f"x\r\n\r\n<script>{MARK}</script>",
    f"x%0d%0aX-Injected:%20{MARK}",
    f"x\u560d\u560aX-Injected: {MARK}",
)  # fmt: skip

FORMULAS = (
    "=1+1",
    "=cmd|'/c calc'!A0",
    '=HYPERLINK("http://127.0.0.1:9/?x="&A1,"x")',
    "@SUM(1+1)*cmd|'/c calc'!A0",
    "+1+1",
    "-1+1",
    "+cmd|'/c calc'!A0",
    "-cmd|'/c calc'!A0",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(1)",
    "'=1+1",
    '"=1+1"',
    'x","=1+1',
    "x\n=1+1",
    "x\r\n=1+1",
    ";=1+1",
    "|=1+1",
    "%0A=1+1",
    "=1+1;=1+1",
    "=DDE(\"cmd\";\"/c calc\";\"x\")",
    "=IMPORTXML(\"http://127.0.0.1:9/\",\"//x\")",
    "=WEBSERVICE(\"http://127.0.0.1:9/\")",
)  # fmt: skip
LEADS = "=+-@\t\r\n＝＋－＠"

PATHS = (
    "/v1/../openapi.json",
    "/v1/projects/..",
    "/v1/projects/../tokens",
    "/v1/projects/%2e%2e/tokens",
    "/v1/projects/%2e%2e%2ftokens",
    "/v1/projects/..%2ftokens",
    "/v1/projects/..%5ctokens",
    "/v1/projects/..\\tokens",
    "/v1/projects/..;/tokens",
    "/v1/projects/;/tokens",
    "/v1/projects/%252e%252e%252ftokens",
    "/v1/projects/%c0%ae%c0%ae/tokens",
    "/v1/projects/%ef%bc%8e%ef%bc%8e/tokens",
    "/v1/projects/%00",
    "/v1/projects/x%00.json",
    "/v1/projects/%0a",
    "/v1/projects/%0d%0aSet-Cookie:x=1",
    "/v1/projects/%",
    "/v1/projects/%2",
    "/v1/projects/%zz",
    "/v1/projects/%ff",
    "/v1/projects/%ed%a0%80",
    "/v1/projects//tokens",
    "//v1/tokens",
    "///etc/passwd",
    "/v1//tokens",
    "/v1/./tokens",
    "/v1/tokens/",
    "/v1/tokens/.",
    "/V1/TOKENS",
    "/v1/Tokens",
    "/v1/tokens.json",
    "/v1/tokens;x=1",
    "/v1/tokens%20",
    "/v1/tokens%3f",
    "/v1/tokens%23",
    "/v1%2ftokens",
    "/%76%31/tokens",
    "/etc/passwd",
    "/static/../../../../etc/passwd",
    "/docs/../../../etc/passwd",
    "/problems/../openapi.json",
    "/problems/%2e%2e%2fopenapi.json",
    "/.git/config",
    "/.env",
    "/server-status",
    "/actuator/env",
    "/v1/projects/" + "a" * 5_000,
    "/v1/projects/" + "%2e" * 5_000,
    "/v1" + "/x" * 2_000,
)

FAR = (
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "gopher://{canary}/_x",
    "http://{canary}/",
    "https://{canary}/",
    "ftp://{canary}/x",
    "ldap://{canary}/x",
    "dict://{canary}/x",
    "//{canary}/x",
    "\\\\{canary}\\share",
    "${{jndi:ldap://{canary}/x}}",
    "http://user@{canary}/",
    "http://{canary}#@allowed.example/",
    "file:///etc/passwd",
    "jar:http://{canary}!/",
    "postgresql://{canary}/x",
    "sqlite:////etc/passwd",
)

ADDRESSES = (
    "010.0.0.1", "10.0.0.01", "10.00.0.1", "0010.0.0.1", "0x0a.0.0.1", "0x0a000001", "167772161",
    "012.1.1.1", "01200000001", "10", "10.1", "10.0.1", "10.0.0.1.", ".10.0.0.1", "10..0.1",
    "10.0.0.1.1", "10.0.0.256", "10.0.0.-1", "10.0.0.+1", "10.0.0.1e0", "1_0.0.0.1", "10,0,0,1",
    " 10.0.0.1", "10.0.0.1 ", "10.0.0.1\n", "10.0.0.1\r\n", "10.0.0.1\t", "10.0.0.1\x00",
    "10.0.0.1\x00.example", "10.0.0.1\u200b", "\ufeff10.0.0.1", "10.0.0.1\u00a0", "10.0.0.1#",
    "10.0.0.1?x", "10.0.0.1:80", "user@10.0.0.1", "http://10.0.0.1", "[10.0.0.1]", "10.0.0.1%eth0",
    "１0.0.0.1", "10.0.0.１", "١.١.١.١", "१०.०.०.१", "10。0。0。1", "10．0．0．1", "10｡0｡0｡1",
    "①0.0.0.1", "10.0.0.¹", "10.0.0.𝟏", "l0.0.0.1", "1O.0.0.1", "10.0.0.1\u202e", "\u202d10.0.0.1",
    "10\u20240.0.1", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/-1",
    "10.0.0.1/032", "10.0.0.1/255.255.255.0", "10.0.0.1/0.0.0.255", "10.0.0.0/8/8", "10.0.0.0/ 8",
    "10.1.2.3/8", "::ffff:10.0.0.1", "::ffff:0a00:0001", "::FFFF:10.0.0.1", "0:0:0:0:0:ffff:a00:1",
    "::ffff:010.0.0.1", "fe80::1%eth0", "fe80::1%251", "fe80::1%", "[::1]", "[::1]:80", "::1]",
    ":::", "::::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::1", "::1\n",
    "::1 ", "::\u0661", "::１", "::ffff:1.2.3", "::1.2.3.256", "1:2:3:4:5:6:7:1.2.3.4", "::1/129",
    "::1/-1", "::1/064", "2001:db8::/32 ", "2001:db8::1/32", "", " ", "\n", "\x00", "localhost",
    "example.com", "0", "-1", "null", "NaN", "1e9", "10.0.0.1" * 20, "1" * 4_000, ":" * 4_000,
    "'", "' OR 1=1 --", "10.0.0.1'--", "../10.0.0.1", "*", "%", "10.0.0.%", "10.0.0._",
)  # fmt: skip

# Whole requests of more than one meaning; {auth} is a good Authorization header. After each, the
# same connection says nothing more: whatever answers, it must not be two answers, nor a success.
AMBIGUOUS = {
    "both lengths": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 4\r\n"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "both lengths, the other way": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET /v1/status HTTP/1.1\r\n"
    "Host: x\r\n{auth}\r\n",
    "two lengths": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 0\r\n"
    "Content-Length: 40\r\n\r\nGET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "a list of lengths": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 0, 40\r\n"
    "\r\nGET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "a signed length": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: +0\r\n\r\n",
    "a negative length": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: -1\r\n"
    "\r\n",
    "a hexadecimal length": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: 0x2\r\n"
    "\r\n{{}}",
    "an endless length": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Content-Length: "
    + "9" * 40
    + "\r\n\r\n",
    "a blank before the colon": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}Content-Length : 0\r\n"
    "\r\n",
    "chunked, misspelt": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, then something": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Transfer-Encoding: chunked\r\n"
    "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a chunk of no size": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n",
    "a chunk of endless size": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "a folded header": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}X-A: b\r\n c: d\r\n"
    "Content-Length: x\r\n\r\n",
    "a NUL in a header": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}X-A: b\x00c\r\n\r\n",
    "a bare return in a header": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}X-A: b\rX-C: d\r\n"
    "\r\n",
    "a header without a name": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}: x\r\n\r\n",
    "a header without a colon": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}x\r\n\r\n",
    "no method": " /v1/status HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "a method of another kind": "G<ET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
    "an old version": "GET /v1/status HTTP/9.9\r\nHost: x\r\n{auth}\r\n",
    "no version": "GET /v1/status\r\n\r\n",
    "a preface of HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a handshake of TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "two tokens": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}Authorization: Bearer x\r\n\r\n",
    "two kinds of content": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}"
    "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
    "two keys": "POST /v1/projects HTTP/1.1\r\nHost: x\r\n{auth}Idempotency-Key: a\r\n"
    "Idempotency-Key: b\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n"
    '{{"name":"k"}}',
    "too long a header": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}X-A: "
    + "b" * 70_000
    + "\r\n\r\n",
    "too many headers": "GET /v1/status HTTP/1.1\r\nHost: x\r\n{auth}"
    + "".join(f"X-{number}: b\r\n" for number in range(500))
    + "\r\n",
    "too long a path": "GET /" + "a" * 70_000 + " HTTP/1.1\r\nHost: x\r\n{auth}\r\n",
}

# Headers that say who asks, or for what, in another way; with a good token and GET /v1/whoami.
MISLEADING = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "Forwarded": "for=127.0.0.1;host=evil.example;proto=https",
    "X-Host": "evil.example",
    "X-Original-URL": "/v1/tokens",
    "X-Rewrite-URL": "/v1/tokens",
    "X-HTTP-Method-Override": "DELETE",
    "X-HTTP-Method": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-User": "admin",
    "X-Remote-User": "admin",
    "Remote-User": "admin",
    "X-User": "admin",
    "X-Actor": "system",
    "X-SSL-Client-Verify": "SUCCESS",
    "X-SSL-Client-S-DN": "CN=admin",
    "Cookie": "session=admin",
    "Origin": "https://evil.example",
    "Referer": "https://evil.example/",
    "Accept": "text/html",
    "Accept-Encoding": "gzip, br",
    "Upgrade": "h2c",
    "Range": "bytes=0-1",
    "Transfer-Encoding": "identity",
    "X-Request-Id": "x\tinjected",
    "Expect": "200-maybe",
}
