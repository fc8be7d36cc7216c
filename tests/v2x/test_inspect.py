import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from data_specs.errors import DecodeError, InputError
from tests.v2x.any_value import any_value
from tests.v2x.golden import vectors
from tests.v2x.test_cpm_v211 import mutated
from v2x.codecs import cpm_tr103562, cpm_v211
from v2x.codecs.trace import meaning_of, trace
from v2x.inspect import inspect_message, read_octets

GOOD = [bytes.fromhex(vector["uper_hex"]) for vector in vectors("vectors_dev")]
PEDESTRIAN = ("020e000012670286a080100ea7969e839a3a1680190140000ca0d2a103601350209004022406417704b1041b0080580b0008bec204d201d7f7"
              "2407680ee4dfee13bb8000208350")


@given(st.randoms(use_true_random=False), st.sampled_from([*cpm_v211.FORMS, *cpm_tr103562.FORMS]))
def test_reading_step_by_step_gives_what_the_compiled_reader_gives(rng, form):
    codec = (cpm_v211.FORMS if form in cpm_v211.FORMS else cpm_tr103562.FORMS)[form]
    octets = codec.encode(any_value(codec.kind, rng))
    value, pieces, error = trace(octets, codec.kind, "CPM")
    assert error is None and value == codec.decode(octets)
    assert sum(piece.width for piece in pieces) <= 8 * len(octets)


def test_both_readers_refuse_the_same_broken_messages_at_the_same_bit():
    """Except where a run of fields is cut off: the compiled reader takes a run as a whole, so it notices the end first."""
    rng = random.Random(7)
    codec = cpm_v211.FORMS[cpm_v211.WIRE_FORMAT]
    for count in range(600):
        octets = mutated(GOOD[count % len(GOOD)], rng)
        value, _, error = trace(octets, codec.kind, "CPM")
        try:
            assert codec.decode(octets) == value
        except DecodeError as compiled:
            assert error is not None
            cut = "bits left" in compiled.got
            assert error.offset_bits < compiled.offset_bits if cut and error.got != compiled.got and (
                "bits left" not in error.got) else error.offset_bits == compiled.offset_bits


def test_pieces_follow_one_another_and_cover_all_but_the_fill():
    for octets in GOOD:
        inspection = inspect_message(octets)
        at = 0
        for piece in inspection.pieces:
            assert 0 <= piece.bit - at < 8  # the fill behind a container
            at = piece.bit + piece.width
        assert 0 <= 8 * len(octets) - at < 16


def test_fields_are_shown_in_their_units_and_special_values_by_name():
    shown = {piece.path: piece for piece in inspect_message(bytes.fromhex(PEDESTRIAN)).pieces}
    seen = "CPM.payload.cpmContainers[2].containerData.perceivedObjects[0]"
    x = shown[f"{seen}.position.xCoordinate.value"]
    assert (x.bit, x.width, x.value, x.meaning) == (414, 18, 1234, "12.34 m")
    assert shown["CPM.payload.managementContainer.referencePosition.latitude"].meaning == "52.520008 degree"
    assert meaning_of(3601, "0.1 degree", "unavailable") == "unavailable"
    assert meaning_of(7, "", None) == ""


def test_hex_files_of_either_kind_and_nothing_else_are_read(tmp_path):
    octets, path = bytes.fromhex(PEDESTRIAN), tmp_path / "cpm"
    path.write_text(PEDESTRIAN[:64] + "\n" + PEDESTRIAN[64:] + "\n", encoding="ascii")
    assert read_octets(str(path)) == read_octets(PEDESTRIAN) == octets
    path.write_bytes(octets)
    assert read_octets(str(path)) == octets
    with pytest.raises(InputError, match="neither hex nor a file"):
        read_octets("xyz")


def test_the_command_tells_a_message_and_fails_on_a_broken_one():
    from roadweave import app

    whole = CliRunner().invoke(app, ["inspect", PEDESTRIAN, "--json"])
    assert whole.exit_code == 0
    assert json.loads(whole.stdout)["error"] is None
    broken = CliRunner().invoke(app, ["inspect", PEDESTRIAN[:80], "--json"])
    assert isinstance(broken.exception, DecodeError)
    told = json.loads(broken.stdout)
    assert told["error"]["bit"] <= 320 and len(told["fields"]) > 10


def test_every_format_of_the_door_is_told():
    for message, name in (("cam_en302637_2_v141", "etsi-cam-1.4.1"), ("denm_en302637_3_v131", "etsi-denm-1.3.1")):
        vector = vectors("vectors_dev", message)[0]
        found = inspect_message(bytes.fromhex(vector["uper_hex"]))
        assert (found.wire_format, found.error) == (name, None)
        assert sum(piece.width for piece in found.pieces) > 4 * (len(found.octets) - 1)
