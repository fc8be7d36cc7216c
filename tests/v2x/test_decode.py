import gzip
import json
import subprocess
import sys
from pathlib import Path

from tests.v2x.golden import vectors
from tests.v2x.radio import ethernet, geonetworking, signed, write_pcap
from v2x.codecs.bits import MAX_OCTETS
from v2x.decode import decode_line

ROOT = Path(__file__).resolve().parents[2]
CAM = vectors("vectors_dev", "cam_en302637_2_v141")[0]
DENM = vectors("vectors_dev", "denm_en302637_3_v131")[0]


def run(source: str, given: bytes = b"") -> tuple[int, list[dict], str]:
    """Exit code, answers and standard error of the command."""
    done = subprocess.run([sys.executable, "roadweave.py", "decode", source], cwd=ROOT, input=given, capture_output=True,
                          timeout=300, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_each_line_gets_its_answer_in_order_good_or_bad():
    lines = [CAM["uper_hex"], "", "0g", "020", "0202", DENM["uper_hex"].upper()]
    code, answers, _ = run("-", "\n".join(lines).encode())
    assert code == 1
    assert answers[0] == {"wire_format": "etsi-cam-1.4.1", "pdu": CAM["value"]}
    assert answers[5] == {"wire_format": "etsi-denm-1.3.1", "pdu": DENM["value"]}
    assert [answer["offset_bits"] for answer in answers[1:5]] == [0, 4, 8, 16]
    assert all(answer.keys() == {"error", "offset_bits"} for answer in answers[1:5])


def test_good_messages_alone_exit_with_zero(tmp_path):
    path = tmp_path / "messages.txt"
    path.write_text(f"{CAM['uper_hex']}\r\n{DENM['uper_hex']}\r\n")
    code, answers, errors = run(str(path))
    assert (code, len(answers), errors) == (0, 2, "")


def test_a_message_is_answered_before_the_next_one_comes():
    with subprocess.Popen([sys.executable, "roadweave.py", "decode", "-"], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        for vector in (CAM, DENM):
            process.stdin.write(vector["uper_hex"].encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["pdu"] == vector["value"]
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_frames_of_a_capture_are_answered_and_those_without_a_message_refused(tmp_path):
    cam = bytes.fromhex(CAM["uper_hex"])
    path = write_pcap(tmp_path / "a.pcap", [
        ethernet(geonetworking(cam, port=2001)), ethernet(b"arp", ethertype=0x0806), ethernet(signed(geonetworking(cam)))])
    packed = tmp_path / "a.pcap.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for source, given in ((str(path), b""), (str(packed), b""), ("-", path.read_bytes())):
        code, answers, _ = run(source, given)
        assert (code, ["pdu" in answer for answer in answers]) == (1, [True, False, True])
        assert answers[1]["error"].startswith("no V2X message: ")


def test_a_capture_that_breaks_off_ends_with_a_line_that_says_so(tmp_path):
    path = write_pcap(tmp_path / "a.pcap", [ethernet(geonetworking(bytes.fromhex(CAM["uper_hex"])))] * 2)
    path.write_bytes(path.read_bytes()[:-3])
    code, answers, _ = run(str(path))
    assert (code, len(answers)) == (1, 2)
    assert "octets of the packet at byte" in answers[1]["error"]


def test_what_cannot_be_read_at_all_is_one_line_and_exit_code_two(tmp_path):
    code, answers, errors = run(str(tmp_path / "none"))
    assert (code, answers) == (2, [])
    assert errors.count("\n") == 1 and "missing" in errors
    strange = tmp_path / "a.pcapng"
    strange.write_bytes(b"\x0a\x0d\x0d\x0a" + bytes(40))
    code, answers, errors = run(str(strange))
    assert (code, answers) == (2, []) and "byte-order magic 00000000" in errors


def test_a_line_longer_than_any_message_is_refused():
    answer = decode_line(b"00" * (MAX_OCTETS + 1))
    assert answer == {"error": f"more than {MAX_OCTETS} octets", "offset_bits": 8 * MAX_OCTETS}
