import pytest

from data_specs.errors import InputError, MissingInput
from v2x.kafka_settings import KafkaSettings, read_settings

SECRET = "correct horse battery"


def test_nothing_said_is_a_plain_connection():
    assert read_settings({"HOME": "/root"}) == KafkaSettings()


def test_a_file_is_read_and_the_environment_overrules_it(tmp_path):
    (tmp_path / "pw").write_text(f"{SECRET}\nnot this\n")
    (tmp_path / "kafka.toml").write_text(
        'protocol = "SASL_SSL"\nca_file = "ca.pem"\nuser = "worker"\npassword_file = "pw"\nmechanism = "PLAIN"\n')
    said = read_settings({"ROADWEAVE_KAFKA_CONFIG": str(tmp_path / "kafka.toml"), "ROADWEAVE_KAFKA_USER": "gateway"})
    assert said == KafkaSettings("SASL_SSL", str(tmp_path / "ca.pem"), mechanism="PLAIN", user="gateway", password=SECRET)


def test_secrets_are_in_no_repr_and_in_no_text():
    said = KafkaSettings("SASL_SSL", user="worker", password=SECRET, key_password="hidden too")
    assert SECRET not in repr(said) + str(said) and "hidden too" not in repr(said)
    assert said.without_secrets(f"cannot use {SECRET}: no") == "cannot use (hidden): no"


@pytest.mark.parametrize(("text", "told"), [
    ("protocol = 'TLS'", "protocol: 'TLS', expected one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"),
    ("protocol = 'SASL_SSL'", "protocol SASL_SSL: no user, expected user and password"),
    ("protocol = 'SASL_SSL'\nuser = 'a'", "protocol SASL_SSL: no password, expected user and password"),
    ("certificate_file = 'a.pem'", "certificate_file and key_file: one of them alone"),
    ("mechanism = 'GSSAPI'", "mechanism: 'GSSAPI', expected one of PLAIN"),
    (f"pasword = '{SECRET}'", r"key 'pasword' \(str\), expected texts named protocol"),
    ("user = 5", r"key 'user' \(int\), expected texts named"),
    (f"password = {SECRET}", "TOMLDecodeError, expected TOML"),
])
def test_a_file_that_is_wrong_is_named_without_its_secrets(tmp_path, text, told):
    (tmp_path / "kafka.toml").write_text(text)
    with pytest.raises(InputError, match=told) as caught:
        read_settings({"ROADWEAVE_KAFKA_CONFIG": str(tmp_path / "kafka.toml")})
    assert SECRET not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"kafka.toml: missing, expected the settings of a Kafka connection"):
        read_settings({"ROADWEAVE_KAFKA_CONFIG": str(tmp_path / "kafka.toml")})


def test_certificates_that_cannot_be_used_are_named(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(InputError, match=r"ca.pem: .*, expected certificates and a key in PEM"):
        KafkaSettings("SSL", str(tmp_path / "ca.pem")).tls()
