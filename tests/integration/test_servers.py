"""The test servers themselves: each does its job, refuses the wrong credentials, and comes back with its data."""

import smtplib
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Literal

import httpx
import paho.mqtt.publish
import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from paho.mqtt import MQTTException
from playwright.async_api import Browser

from tests.conftest import required
from tests.servers.certificates import issue
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import free_port, is_listening
from tests.servers.processes import Process, find_program
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until, until_async


def test_waiting_in_vain_names_what_was_waited_for() -> None:
    with pytest.raises(AssertionError, match="the tide"):
        until(lambda: False, 0.01, "the tide")


async def test_waiting_leaves_the_event_loop_free() -> None:
    calls = iter([False, False, True])
    await until_async(lambda: next(calls), 1, "the third call")
    with pytest.raises(AssertionError, match="the tide"):
        await until_async(lambda: False, 0.01, "the tide")


def test_a_missing_server_fails_the_test_in_one_line() -> None:
    with (
        pytest.raises(pytest.fail.Exception, match=r"^no-such-server is not installed: run `make servers`$"),
        required(),
    ):
        find_program("no-such-server")


def test_a_process_that_ends_early_shows_its_log(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo no room left; exit 3"], log=tmp_path / "log")
    with pytest.raises(AssertionError, match=r"exit code 3; its log ends:\nno room left"):
        process.start(lambda: False)
    assert not process.running


def test_a_process_that_never_gets_ready_is_not_left_behind(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "sleep 60 & echo $!; wait"], log=tmp_path / "log")
    with pytest.raises(AssertionError, match=r"0\.2 s in vain for sh to be ready"):
        process.start(lambda: False, timeout=0.2)
    grandchild = int((tmp_path / "log").read_text())
    until(lambda: not is_alive(grandchild), 5, "the end of the grandchild")


def test_a_server_dies_with_the_program_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from tests.servers.processes import Process;"
        "process = Process(['sleep', '60'], log=pathlib.Path(sys.argv[1]));"
        "started = lambda: pathlib.Path(f'/proc/{process.pid}/cmdline').read_bytes().startswith(b'sleep');"
        "process.start(started); print(process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "log"], capture_output=True, text=True, check=False)
    assert run.stdout, run.stderr
    until(lambda: not is_alive(int(run.stdout)), 5, "the end of the server")


def is_alive(pid: int) -> bool:
    """Tell whether the process runs; one that has ended and that nobody has reaped (a zombie) does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_ports_differ() -> None:
    assert len({free_port() for _ in range(50)}) == 50


def test_mosquitto_delivers_and_keeps_retained_messages_over_a_restart(mosquitto: Mosquitto) -> None:
    mosquitto.publish("plant/state", b"running", retain=True)
    mosquitto.stop()
    assert not is_listening(mosquitto.port)
    mosquitto.start()
    with mosquitto.record("plant/#") as recording:
        mosquitto.publish_all([("plant/reading", str(number)) for number in range(100)])
        messages = recording.wait_for(lambda messages: len(messages) == 101)
    assert (messages[0].topic, messages[0].payload, messages[0].retain) == ("plant/state", b"running", True)
    assert [int(message.payload) for message in messages[1:]] == list(range(100))
    assert {message.qos for message in messages} == {1}


def test_a_recording_goes_on_after_a_restart_of_mosquitto(mosquitto: Mosquitto) -> None:
    with mosquitto.record("plant/#") as recording:
        mosquitto.stop()
        mosquitto.start()
        mosquitto.publish("plant/reading", b"1")
        recording.wait_for(lambda messages: messages)
    with pytest.raises(AssertionError, match=r"received 1, the last are .*plant/reading"):
        recording.wait_for(lambda messages: len(messages) == 2, timeout=0.01)


def test_mosquitto_refuses_a_wrong_password(tmp_path: Path) -> None:
    server = Mosquitto(tmp_path, password="right")
    server.start()
    try:
        server.publish("plant/state", b"running")
        with pytest.raises(MQTTException, match=r"(?i)not authori"):
            paho.mqtt.publish.single(
                "t", hostname=server.host, port=server.port, auth={"username": server.username, "password": "wrong"}
            )
    finally:
        server.stop()


def test_mosquitto_with_tls_asks_for_the_clients_certificate_where_told(tmp_path: Path) -> None:
    files = issue(tmp_path / "certificates")
    server = Mosquitto(tmp_path, tls=files, config_lines=["require_certificate true"])
    server.start()
    try:
        with server.record("plant/#") as recording:
            server.publish("plant/state", b"running")
            recording.wait_for(lambda messages: messages)
        stranger = ssl.create_default_context(cafile=files.ca)
        with socket.create_connection((server.host, server.port), timeout=5) as connection:
            encrypted = stranger.wrap_socket(connection, server_hostname="localhost")
            with encrypted, pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
                encrypted.recv(1)
    finally:
        server.stop()


def test_a_paused_mosquitto_still_accepts_connections_and_stops(mosquitto: Mosquitto) -> None:
    mosquitto.pause()
    assert is_listening(mosquitto.port)
    mosquitto.stop()
    assert not is_listening(mosquitto.port)


def test_influx_keeps_what_the_real_client_wrote_over_a_crash(influx: Influx) -> None:
    line = b"vibration,sensor=VB\\ 1 level=1.5 1700000000000000001\nvibration,sensor=VB-2 level=2 1700000000000000002"
    write(influx, influx.token, line)
    influx.kill()
    influx.start()
    assert influx.count("vibration", "level") == 2
    assert influx.count("vibration", "no such field") == 0
    assert influx.query("SELECT level, sensor FROM vibration")[0] == {
        "time": 1700000000000000001,
        "level": 1.5,
        "sensor": "VB 1",
    }
    assert {row["sensor"] for row in influx.query("SELECT level FROM vibration GROUP BY sensor")} == {"VB 1", "VB-2"}


def test_influx_passes_queries_and_health_on(influx: Influx) -> None:
    write(influx, influx.token, b"vibration level=1 1700000000000000000")
    question = {"db": influx.bucket, "q": "SELECT level FROM vibration"}
    answer = httpx.get(f"{influx.url}/query", params=question, headers={"Authorization": f"Token {influx.token}"})
    assert answer.json()["results"][0]["series"][0]["values"] == [["2023-11-14T22:13:20Z", 1]]
    assert httpx.get(f"{influx.url}/query", params=question).status_code == 401
    assert httpx.get(f"{influx.url}/health").json() == {"name": "influxdb", "status": "pass"}


def test_influx_refuses_a_wrong_token_a_wrong_bucket_and_a_bad_line(influx: Influx) -> None:
    assert refused(influx, token="wrong") == 401
    assert refused(influx, bucket="other") == 404
    assert refused(influx, record=b"vibration level=") == 400
    influx.database.kill()
    assert refused(influx) == 502


def write(influx: Influx, token: str, record: bytes, bucket: str | None = None) -> None:
    with (
        InfluxDBClient(influx.url, token, org=influx.org, enable_gzip=True) as client,
        client.write_api(write_options=SYNCHRONOUS) as api,
    ):
        api.write(bucket or influx.bucket, influx.org, record=record, write_precision="ns")


def refused(influx: Influx, *, token: str | None = None, bucket: str | None = None, record: bytes = b"v x=1") -> int:
    with pytest.raises(ApiException) as refusal:
        write(influx, token or influx.token, record, bucket)
    return int(refusal.value.status)


Security = Literal["none", "starttls", "tls"]


@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_smtp_takes_mail_from_its_user_only(tmp_path: Path, security: Security) -> None:
    server = SmtpServer(tmp_path, security=security, username="gateway", password="right")
    server.start()
    try:
        send_mail(server, "right")
        with pytest.raises(smtplib.SMTPAuthenticationError):
            send_mail(server, "wrong")
        with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            send_mail(server, None)
    finally:
        server.stop()
    (received,) = server.messages
    assert (received.sender, received.recipients) == ("gateway@example.com", ["ops@example.com"])
    assert received.message["Subject"] == "Vibration é"
    assert received.message.get_content() == "12.5 m/s²\n"
    assert [received.at] == server.attempts


def test_smtp_with_starttls_refuses_mail_in_the_clear(tmp_path: Path) -> None:
    server = SmtpServer(tmp_path, security="starttls")
    server.start()
    try:
        with smtplib.SMTP(server.host, server.port) as client, pytest.raises(smtplib.SMTPException, match="STARTTLS"):
            client.sendmail("gateway@example.com", ["ops@example.com"], b"")
    finally:
        server.stop()


def test_smtp_answers_as_scripted_and_then_normally(smtp: SmtpServer) -> None:
    smtp.fail_next("451 4.3.0 later", "550 5.7.1 never")
    for code in (451, 550):
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            send_mail(smtp)
        assert refusal.value.smtp_code == code
    smtp.stop()
    smtp.start()
    send_mail(smtp)
    assert (len(smtp.messages), len(smtp.attempts)) == (1, 3)


@pytest.mark.parametrize("hang", ["greeting", "data"])
@pytest.mark.parametrize("security", ["none", "starttls", "tls"])
def test_smtp_falls_silent(tmp_path: Path, security: Security, hang: Literal["greeting", "data"]) -> None:
    server = SmtpServer(tmp_path, security=security, hang=hang)
    server.start()
    try:
        with pytest.raises((TimeoutError, smtplib.SMTPServerDisconnected), match="timed out"):
            send_mail(server, timeout=0.2)
    finally:
        server.stop()
    assert server.messages == []
    assert len(server.attempts) == (hang == "data")


def send_mail(server: SmtpServer, password: str | None = None, timeout: float = 5) -> None:
    context = ssl.create_default_context(cafile=server.ca)
    if server.security == "tls":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=timeout)
    with connection as client:
        if server.security == "starttls":
            client.starttls(context=context)
        if password is not None:
            client.login("gateway", password)
        content = (
            "Subject: =?utf-8?q?Vibration_=C3=A9?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n12.5 m/s²\r\n"
        )
        client.sendmail("gateway@example.com", ["ops@example.com"], content.encode())


SMS = {"From": "+15005550006", "To": "+46700000000", "Body": "Motor A: critical"}


def test_twilio_takes_a_message(twilio: TwilioServer) -> None:
    answer = send_sms(twilio, SMS)
    assert answer.status_code == 201
    assert answer.json()["sid"].startswith("SM")
    assert answer.json()["status"] == "queued"
    (received,) = twilio.messages
    assert received.form == SMS
    assert [received.at] == twilio.attempts


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"From": ""}, 21603),
        ({"To": ""}, 21604),
        ({"Body": ""}, 21602),
        ({"From": "12"}, 21212),
        ({"To": "0700000000"}, 21211),
        ({"Body": "x" * 1601}, 21617),
    ],
)
def test_twilio_refuses_what_twilio_refuses(twilio: TwilioServer, change: dict[str, str], code: int) -> None:
    answer = send_sms(twilio, SMS | change)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert twilio.messages == []


def test_twilio_refuses_wrong_credentials_other_paths_and_other_formats(twilio: TwilioServer) -> None:
    answer = send_sms(twilio, SMS, token="wrong")
    assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    account = (twilio.account_sid, twilio.auth_token)
    assert httpx.post(f"{twilio.base_url}/2010-04-01/Accounts/AC1/Messages.json", auth=account).status_code == 404
    url = f"{twilio.base_url}/2010-04-01/Accounts/{twilio.account_sid}/Messages.json"
    assert httpx.post(url, auth=account, json=SMS).status_code == 400
    assert twilio.messages == []


def test_twilio_fails_as_told_and_works_again_after_a_restart(twilio: TwilioServer) -> None:
    twilio.fail_next(429, {"code": 20429}, {"Retry-After": "3"})
    answer = send_sms(twilio, SMS)
    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (429, {"code": 20429}, "3")
    twilio.stop()
    with pytest.raises(httpx.ConnectError):
        send_sms(twilio, SMS)
    twilio.start()
    assert send_sms(twilio, SMS).status_code == 201


def test_twilio_falls_silent() -> None:
    server = TwilioServer(hang=True)
    server.start()
    try:
        with pytest.raises(httpx.ReadTimeout):
            send_sms(server, SMS, timeout=0.2)
    finally:
        server.stop()
    assert len(server.attempts) == 1


def send_sms(
    twilio: TwilioServer, form: dict[str, str], token: str | None = None, timeout: float = 5
) -> httpx.Response:
    url = f"{twilio.base_url}/2010-04-01/Accounts/{twilio.account_sid}/Messages.json"
    return httpx.post(url, data=form, auth=(twilio.account_sid, token or twilio.auth_token), timeout=timeout)


async def test_the_browser_runs_a_page(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content("<p></p><script>document.querySelector('p').textContent = 6 * 7</script>")
    assert await page.text_content("p") == "42"
