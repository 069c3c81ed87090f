"""No call goes to an address that is not public, whatever form it is written in; nothing is followed, all is capped."""

from __future__ import annotations

import socket
import threading
import time

import httpx
import pytest

from durable.openapi import addresses
from durable.openapi.errors import AddressRefused, AnswerLost, ApiUnreachable
from durable.openapi.wire import Limits, send
from tests.openapi.server import Reply

REFUSED = """
    127.0.0.1 127.1 2130706433 0x7f000001 0177.0.0.1 0x7f.1 localhost 127.255.255.254
    0 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.100.100.200 100.64.0.1
    192.0.0.8 192.0.0.192 192.88.99.1 198.18.0.1 192.0.2.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255
    [::] [::1] [::127.0.0.1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:169.254.169.254] [::ffff:0:127.0.0.1]
    [64:ff9b::7f00:1] [64:ff9b::127.0.0.1] [64:ff9b:1::7f00:1] [2002:7f00:1::] [2002:a9fe:a9fe::1]
    [2001:0:7f00:1::] [2001:db8::1] [fe80::1] [fec0::1] [fc00::1] [fd00:ec2::254] [ff02::1] [ff0e::1] [100::1] [5f00::1]
    127.0.0.1. ①②⑦.⓪.⓪.①
""".split()  # noqa: SIM905 - read as a table


@pytest.mark.parametrize("host", REFUSED)
def test_an_address_that_is_not_public_is_refused(host, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket, "create_connection", never)
    monkeypatch.setattr(socket.socket, "connect", never)
    with pytest.raises((AddressRefused, ApiUnreachable, httpx.InvalidURL)) as caught:
        send(httpx.Request("GET", f"http://{host}/"), Limits(5))
    if isinstance(caught.value, AddressRefused):
        assert "private_hosts" in str(caught.value)
    elif isinstance(caught.value, ApiUnreachable):  # no name of this machine's resolver: nothing to connect to
        assert "name is not known" in str(caught.value)


def test_most_of_them_are_refused_by_their_address():
    refused = [host for host in REFUSED if _refused(host)]
    assert len(refused) > len(REFUSED) - 5


def _refused(host):
    try:
        addresses.resolve(host, 80)
    except AddressRefused:
        return True
    except ApiUnreachable:
        return False
    raise AssertionError(host)


@pytest.mark.parametrize("host", ["1.1.1.1", "8.8.8.8", "93.184.216.34", "[2606:4700:4700::1111]", "[::ffff:8.8.8.8]"])
def test_public_addresses_are_let_through(host):
    assert addresses.resolve(host, 443)


def names(monkeypatch, *answers):
    """The name server's answers, one after another; returns how often it was asked."""
    asked = []

    def getaddrinfo(host, port, *_, **__):
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_one_private_address_among_public_ones_refuses_the_host(monkeypatch):
    names(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(AddressRefused, match=r"api\.example resolves to 10\.0\.0\.1"):
        send(httpx.Request("GET", "http://api.example/"), Limits(5))


def test_a_second_answer_of_the_name_server_has_no_effect(monkeypatch):
    """Rebinding: a public address when it is checked, a private one when it is connected to."""
    asked = names(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    went_to = []

    def create_connection(address, *_, **__):
        went_to.append(address)
        raise OSError("stopped here")

    monkeypatch.setattr(socket, "create_connection", create_connection)
    with pytest.raises(ApiUnreachable):
        send(httpx.Request("GET", "http://api.example:8080/"), Limits(5))
    assert asked == ["api.example"]
    assert went_to == [("8.8.8.8", 8080)]


def test_the_host_header_stays_the_name(api, monkeypatch):
    port = api.http.server_address[1]
    names(monkeypatch, ["127.0.0.1"])
    answer = send(httpx.Request("GET", f"http://api.example:{port}/"), Limits(5, private_hosts=["API.example"]))
    assert (answer.status, api.only.headers["host"]) == (200, f"api.example:{port}")


def test_only_the_named_hosts_may_be_private(api):
    with pytest.raises(AddressRefused):
        send(
            httpx.Request("GET", f"http://localhost:{api.http.server_address[1]}/"), Limits(private_hosts=["127.0.0.1"])
        )
    assert api.arrived == []


def here(**options):
    return Limits(**{"seconds": 5, "private_hosts": ["127.0.0.1"], **options})


def test_redirects_are_not_followed(api):
    api.replies = [Reply(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})]
    assert send(httpx.Request("GET", api.url), here()).status == 302
    assert len(api.arrived) == 1


def test_neither_proxies_nor_credentials_come_from_the_environment(api, monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert send(httpx.Request("GET", api.url), here()).status == 200
    assert "authorization" not in api.only.headers


def test_an_answer_that_is_too_large_is_cut(api):
    api.replies = [Reply(body=b"x" * 2000)]
    with pytest.raises(AnswerLost, match="larger than 1000 bytes"):
        send(httpx.Request("GET", api.url), here(size=1000))


def test_an_answer_that_was_not_to_be_compressed_is_refused(api):
    api.replies = [Reply(body=b"\x1f\x8b", headers={"CONTENT-ENCODING": "gzip"})]
    with pytest.raises(AnswerLost, match="coding 'gzip'"):
        send(httpx.Request("GET", api.url), here())
    assert api.only.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("drip", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_server_that_drips_does_not_hold_a_call(api, drip):
    stop = threading.Event()

    def dripping(handler):
        handler.wfile.write(drip)
        while not stop.wait(0.02):
            handler.wfile.write(b"x")
            handler.wfile.flush()

    def act(handler):
        try:
            dripping(handler)
        except OSError:
            pass
        handler.close_connection = True

    api.replies = [Reply(act=act)]
    began = time.monotonic()
    with pytest.raises(AnswerLost):
        send(httpx.Request("GET", api.url), here(seconds=0.3))
    stop.set()
    assert time.monotonic() - began < 3


def test_what_goes_wrong_after_sending_leaves_the_outcome_open(api):
    def hang_up(handler):
        handler.close_connection = True

    api.replies = [Reply(act=hang_up), Reply(act=lambda handler: handler.wfile.write(b"what is this\r\n\r\n"))]
    for _ in range(2):
        with pytest.raises(AnswerLost, match="was sent"):
            send(httpx.Request("POST", api.url, content=b"x"), here())


def test_tls_still_checks_the_name(monkeypatch):
    import ssl

    from durable.openapi.wire import _tls

    assert (_tls().verify_mode, _tls().check_hostname) == (ssl.CERT_REQUIRED, True)
