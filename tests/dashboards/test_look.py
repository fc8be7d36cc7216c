from dashboards import look


def test_what_comes_from_outside_is_escaped():
    for html in (look.facts_line([("<b>", "<script>")]), look.tiles([("<a>", "<i>", "<u>")]),
                 look.table("<t>", ["<h>"], [["<td onclick=x>"]]), look.bars("<s>", [1, 2], "<m>")):
        for wrong in ("<script>", "<i>", "<h>", "<td onclick", "<s>"):
            assert wrong not in html


def test_a_state_has_a_sign_and_a_colour_and_other_colons_have_none():
    html = look.table("units", ["unit", "seen"], [["a", "silent:3.0 s"], ["b", "12:30"]])
    assert '<span class="rw-state rw-silent">○ 3.0 s</span>' in html
    assert "<td>12:30</td>" in html


def test_an_unknown_figure_is_a_dash_and_a_known_one_is_grouped():
    assert look.number(float("nan")) == "–"
    assert look.number(12345.6) == "12,346"


def test_bars_need_two_values_and_stand_over_their_own_range():
    assert look.bars("x", [1.0], "ms") == ""
    html = look.bars("x", [0.0, 5.0, 10.0], "ms")
    assert [part.split("%")[0] for part in html.split("height:")[1:]] == ["2", "50", "100"]
