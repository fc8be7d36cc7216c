import json
import socket
import subprocess
import sys

from replay.doctor import MISSING, OFF, OK, Finding, examine, show


def by_part(findings):
    return {finding.part.split("]")[0].lstrip("["): finding for finding in findings}


def test_everything_looked_for_says_what_was_found_and_what_to_do_if_it_is_not_there(tmp_path):
    findings = by_part(examine(tmp_path / "no-jars"))
    assert findings["python"].state == OK and findings["base"].state == OK
    assert "numpy" in findings["base"].found and "typer" in findings["base"].found
    assert findings["broker jars"].state == OFF and "broker start" in findings["broker jars"].remedy
    assert all(finding.remedy for finding in findings.values() if finding.state != OK)


def test_a_missing_extra_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["numpy>=2", 'not-there[x]>=1; extra == "kafka"'])
    kafka = by_part(examine())["kafka"]
    assert (kafka.state, kafka.found) == (MISSING, "lacks not-there")
    assert "pip install 'roadweave[kafka]'" in kafka.remedy


def test_a_running_broker_is_seen(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert by_part(examine(broker_port=port))["broker"].state == OK
    assert by_part(examine(broker_port=port))["broker"].state == OFF


def test_with_json_one_object_says_whether_anything_is_missing(capsys):
    show([Finding("python", OK, "3.11", ""), Finding("weights", MISSING, "none", "train")], as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is False
    assert said["findings"][1] == {"part": "weights", "state": "missing", "found": "none", "remedy": "train"}


def test_looking_imports_none_of_the_heavy_libraries():
    program = "import sys; from replay.doctor import examine; examine(); print({'torch', 'numpy', 'open3d'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"
