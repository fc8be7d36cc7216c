"""A broker that lets in only who has the password, or a certificate; and what is said where one is wrong."""
from __future__ import annotations

import datetime
import ipaddress
import logging
import time
import traceback
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from data_specs.errors import BusError
from tests.v2x.test_buses import read
from v2x.broker import DevelopmentBroker, Node, free_ports
from v2x.broker_jars import what_is_missing
from v2x.kafka import KafkaBus
from v2x.kafka_settings import KafkaSettings

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SECRET, WRONG = "open sesame 4711", "open barley 0815"


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certify(folder: Path, name: str, authority: tuple[ec.EllipticCurvePrivateKey, str] | None) -> ec.EllipticCurvePrivateKey:
    """Write name.pem and name.key, signed by an authority, or by itself as one."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    signer, issuer = authority or (key, name)
    certificate = (
        x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer)).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(signer, hashes.SHA256()))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / f"{name}.pem").write_bytes(public)
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}.both").write_bytes(private + public)
    return key


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A broker's SASL_SSL address, its address for certificates, and the folder of keys."""
    if missing := what_is_missing():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("keys")
    authority = certify(folder, "authority", None)
    for name in ("broker", "worker"):
        certify(folder, name, (authority, "authority"))
    certify(folder, "stranger", None)
    plain, mutual = free_ports(2)

    def settings(node: Node) -> dict[str, object]:
        said = {"SASL_SSL": node.port, "SSL": mutual, "PLAINTEXT": plain}
        addresses = ",".join(f"{name}://127.0.0.1:{port}" for name, port in said.items())
        return {
            "listeners": f"{addresses},CONTROLLER://127.0.0.1:{node.controller_port}", "advertised.listeners": addresses,
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,SSL:SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "ssl.keystore.type": "PEM", "ssl.keystore.location": folder / "broker.both",
            "ssl.truststore.type": "PEM", "ssl.truststore.location": folder / "authority.pem",
            "listener.name.ssl.ssl.client.auth": "required", "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config":
                f'org.apache.kafka.common.security.plain.PlainLoginModule required user_worker="{SECRET}";'}

    with DevelopmentBroker(settings=settings) as started:
        yield started.bootstrap, f"127.0.0.1:{mutual}", folder


def with_password(folder: Path, password: str) -> KafkaSettings:
    return KafkaSettings("SASL_SSL", str(folder / "authority.pem"), mechanism="PLAIN", user="worker", password=password)


def goes_through(bus: KafkaBus, topic: str) -> bool:
    bus.publish(topic, b"x", key="k", time_ns=1)
    bus.flush()
    found = read(bus.subscribe([topic], group=f"g-{topic}"), 1)
    bus.close()
    return [record.value for record in found] == [b"x"]


def test_the_right_password_lets_in_and_is_logged_nowhere(guarded, caplog):
    caplog.set_level(logging.DEBUG)
    assert goes_through(KafkaBus(guarded[0], settings=with_password(guarded[2], SECRET)), "by-password")
    assert SECRET not in caplog.text
    assert len(caplog.records) > 20  # the client did say something


def test_a_wrong_password_is_told_within_seconds_and_not_shown(guarded, caplog):
    caplog.set_level(logging.DEBUG)
    started = time.monotonic()
    with pytest.raises(BusError, match=r"kafka://127.0.0.1:\d+: cannot connect: .*[Aa]uthentication") as caught:
        KafkaBus(guarded[0], settings=with_password(guarded[2], WRONG))
    assert time.monotonic() - started < 15.0
    assert WRONG not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_no_password_at_all_is_told(guarded):
    plain = KafkaSettings("SSL", str(guarded[2] / "authority.pem"))
    with pytest.raises(BusError, match="cannot connect: "):
        KafkaBus(guarded[0], settings=plain)


def test_a_certificate_lets_in_where_no_password_is_asked_for(guarded):
    folder = guarded[2]
    settings = KafkaSettings("SSL", str(folder / "authority.pem"), str(folder / "worker.pem"), str(folder / "worker.key"))
    assert goes_through(KafkaBus(guarded[1], settings=settings), "by-certificate")


@pytest.mark.parametrize("name", ["stranger", ""])
def test_a_strangers_certificate_or_none_is_turned_away(guarded, name):
    folder = guarded[2]
    own = (str(folder / f"{name}.pem"), str(folder / f"{name}.key")) if name else ("", "")
    with pytest.raises(BusError, match=r"kafka://127.0.0.1:\d+: .*(TLS|certificate|ertificate|connect)"):
        KafkaBus(guarded[1], settings=KafkaSettings("SSL", str(folder / "authority.pem"), *own))


def test_a_broker_whose_certificate_a_stranger_signed_is_not_trusted(guarded):
    with pytest.raises(BusError, match=r"no broker answers \(127.0.0.1:\d+: TLS: .*"):
        KafkaBus(guarded[0], settings=KafkaSettings("SASL_SSL", str(guarded[2] / "stranger.pem"), mechanism="PLAIN",
                                                    user="worker", password=SECRET))


def test_speaking_plainly_to_a_guarded_address_is_told(guarded):
    with pytest.raises(BusError, match=r"no broker answers \(127.0.0.1:\d+: "):
        KafkaBus(guarded[0])
