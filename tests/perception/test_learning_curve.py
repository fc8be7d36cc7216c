import xml.etree.ElementTree as ET

from perception.learning_curve import learning_curve_svg, write_learning_curve

ROWS = [{"samples": 100, "box": 4.0, "heatmap": 2.0}, {"samples": 200, "box": 2.0, "heatmap": float("nan")},
        {"samples": 400, "box": 3.0, "heatmap": 1.0}]
SVG = "{http://www.w3.org/2000/svg}"


def lines(svg: str) -> list[list[tuple[float, float]]]:
    found = ET.fromstring(svg).iter(f"{SVG}polyline")
    return [[(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())] for line in found]


def test_each_loss_has_a_panel_and_unknown_ones_none():
    svg = learning_curve_svg(ROWS, ["heatmap", "box", "depth"])
    texts = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert "heatmap 1" in texts and "box 3" in texts and not any("depth" in str(text) for text in texts)


def test_a_line_runs_over_the_samples_with_small_losses_below_and_gaps_left_out():
    heatmap, box = lines(learning_curve_svg(ROWS, ["heatmap", "box"]))
    assert len(heatmap) == 2 and len(box) == 3
    (x0, y0), (x1, y1), (x2, y2) = box
    assert (x2 - x1) / (x1 - x0) == 2.0
    assert y0 < y2 < y1


def test_a_run_without_rows_gives_an_empty_picture_and_a_level_one_a_line(tmp_path):
    assert lines(learning_curve_svg([], ["box"])) == []
    assert len(lines(learning_curve_svg([{"samples": 50, "box": 1.0}], ["box"]))) == 1
    write_learning_curve(ROWS, ["box"], tmp_path / "a.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]
