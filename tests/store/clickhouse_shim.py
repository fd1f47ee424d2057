"""A small ClickHouse over HTTP, made of chdb: `python -m tests.store.clickhouse_shim FOLDER PORT`, until killed.

Takes what clickhouse-connect sends: statements in the URL or the body, parameters in the URL or a form, settings in
the URL, data of inserts behind the statement. One connection to chdb per request. Users and passwords it ignores.
"""

import email.parser
import email.policy
import re
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb

_NO_SETTINGS = {"query", "database", "query_id", "session_id", "wait_end_of_query", "client_protocol_version"} | {
    "default_format",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "enable_http_compression",
    "quota_key",
    "role",
}
_running: list[str] = []
_CODE = re.compile(r"Code: (\d+)")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def log_message(self, *_: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            piece = self.rfile.read(size)
            if len(piece) < size:
                raise ConnectionError
            body += piece
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        kind = self.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            head = f"content-type: {kind}\r\n\r\n".encode()
            for part in email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body).iter_parts():
                name = part.get_param("name", header="content-disposition")
                asked[str(name)] = part.get_payload(decode=True).decode()
            body = b""
        statement = asked.get("query", "")
        is_insert = statement.lstrip().upper().startswith("INSERT") and " FORMAT " in statement.upper()
        if not is_insert:
            statement, body = statement + body.decode(), b""
        _running.append(query_id := asked.get("query_id", ""))
        try:
            found = _run(self.server.folder, statement, body if is_insert else None, asked)  # type: ignore[attr-defined]
            self._send(200, found, {})
        except OSError:
            return  # nobody waits for it any more
        except RuntimeError as error:
            code = _CODE.search(str(error))
            self._send(500, str(error).encode(), {"X-ClickHouse-Exception-Code": code.group(1) if code else "1"})
        finally:
            _running.remove(query_id)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"content-length": str(len(body)), "X-ClickHouse-Summary": "{}"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _run(folder: str, statement: str, data: bytes | None, asked: dict[str, str]) -> bytes:
    if statement.startswith("KILL QUERY"):  # waits for their end, as SYNC does: chdb has no way to bring it about
        while any(name.startswith(asked["param_asker"]) for name in list(_running)):
            time.sleep(0.01)
        return b""
    connection = chdb.connect(folder)
    try:
        if database := asked.get("database"):
            connection.query(f"USE {database}")
        for name, value in asked.items():
            if name not in _NO_SETTINGS and not name.startswith("param_"):
                connection.query(f"SET {name} = '{value}'")
        if data is not None:
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                head, _, kind = statement.rpartition(" FORMAT ")
                connection.query(f"{head} FROM INFILE '{file.name}' FORMAT {kind.strip()}")
            return b""
        parameters = {name[6:]: value for name, value in asked.items() if name.startswith("param_")}
        answer = connection.query(statement, asked.get("default_format", "TabSeparated"), params=parameters)
        return answer.bytes() or b""
    finally:
        connection.close()


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
    server.folder = sys.argv[1]  # type: ignore[attr-defined]
    server.serve_forever()


if __name__ == "__main__":
    main()
