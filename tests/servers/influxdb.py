from pathlib import Path
from typing import Any

import httpx

from tests.servers.ports import HOST, free_port
from tests.servers.processes import Process, find_program

# InfluxDB 1.6 as Debian ships it, quiet, with what it does on its own switched off.
DATABASE_CONFIG = """
reporting-disabled = true
bind-address = "{host}:{rpc_port}"
[meta]
  dir = "{folder}/meta"
  logging-enabled = false
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[shard-precreation]
  enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "{host}:{database_port}"
  log-enabled = false
  max-body-size = 0
[logging]
  level = "warn"
"""

# Version 2 of the API before it. The master process is left out: a worker of it would run as another user.
PROXY_CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  map $arg_precision $precision_1x {{ default n; us u; ms ms; s s; }}
  upstream database {{ server {host}:{database_port} max_fails=0; keepalive 8; }}
  server {{
    listen {host}:{port};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "";
    location = /ping {{ proxy_pass http://database; }}
    location = /health {{ return 200 '{{"name": "influxdb", "status": "pass"}}'; }}
    location / {{
      if ($http_authorization != "Token {token}") {{
        return 401 '{{"code": "unauthorized", "message": "unauthorized access"}}';
      }}
      rewrite ^/api/v2/write$ /write?db=$arg_bucket&precision=$precision_1x? break;
      proxy_pass http://database;
    }}
  }}
}}
"""


class Influx:
    """InfluxDB 1.6 behind an nginx that gives it the write API of InfluxDB 2; a restart keeps ports and data.

    `database` and `proxy` can be stopped and paused one by one: a stopped database behind the proxy is a 502.
    """

    org = "plant"
    bucket = "vibration"
    token = "a-token-for-tests"

    def __init__(self, tmp_path: Path) -> None:
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._database_url = f"http://{HOST}:{(database_port := free_port())}"
        folder = tmp_path / f"influxdb-{self.port}"
        folder.mkdir(parents=True)
        values = {
            "folder": folder,
            "host": HOST,
            "port": self.port,
            "database_port": database_port,
            "rpc_port": free_port(),
            "token": self.token,
        }
        (folder / "influxdb.conf").write_text(DATABASE_CONFIG.format_map(values))
        (folder / "nginx.conf").write_text(PROXY_CONFIG.format_map(values))
        self.database = Process(
            [find_program("influxd"), "run", "-config", folder / "influxdb.conf"], log=folder / "influxd.log"
        )
        self.proxy = Process(
            [find_program("nginx"), "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"], log=folder / "nginx.log"
        )

    def start(self) -> None:
        """Start both and create the bucket."""
        self.start_database()
        try:
            self.proxy.start(lambda: _answers(f"{self.url}/ping"))
        except BaseException:
            self.database.kill()
            raise

    def start_database(self) -> None:
        self.database.start(lambda: _answers(f"{self._database_url}/ping"))
        self._influxql(f'CREATE DATABASE "{self.bucket}"')

    def stop(self) -> None:
        self.proxy.stop()
        self.database.stop()

    def kill(self) -> None:
        """End both as a power cut does; what was acknowledged is on disk."""
        self.proxy.kill()
        self.database.kill()

    def pause(self) -> None:
        """Freeze the database: requests are taken and not answered."""
        self.database.pause()

    def resume(self) -> None:
        self.database.resume()

    def query(self, influxql: str) -> list[dict[str, Any]]:
        """Return the rows, tags of a GROUP BY included; `time` is in ns since the epoch."""
        return [
            {**series.get("tags", {}), **dict(zip(series["columns"], row, strict=True))}
            for series in self._influxql(influxql).get("series", [])
            for row in series["values"]
        ]

    def count(self, measurement: str, field: str) -> int:
        """Return how many points of the measurement have the field."""
        rows = self.query(f'SELECT count("{field}") AS points FROM "{measurement}"')  # noqa: S608 - InfluxQL, of a test
        return int(rows[0]["points"]) if rows else 0

    def _influxql(self, text: str) -> dict[str, Any]:
        answer = httpx.post(
            f"{self._database_url}/query", params={"db": self.bucket, "epoch": "ns"}, data={"q": text}, timeout=60
        )
        result: dict[str, Any] = answer.raise_for_status().json()["results"][0]
        assert "error" not in result, f"InfluxDB refused {text!r}: {result['error']}"
        return result


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).is_success
    except httpx.TransportError:
        return False
