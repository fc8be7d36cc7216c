import re
from html.parser import HTMLParser

import numpy as np
import pytest

from data_specs.results import RunResult, Score
from replay.draw import Axes, Line, interval, plot, rounded_up
from replay.gate import Limit, judge
from replay.report import html_page
from replay.report_moments import moment_figure, worst_moments
from replay.results_folder import DriveResult
from tests.replay.metrics.test_outcomes import random_drives
from tests.replay.test_gate import results_of, worse

VOID = {"meta", "path", "circle", "rect", "polyline"}


class Balanced(HTMLParser):
    """Refuses tags that do not close, and keeps what was seen."""

    def __init__(self, page):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def sides():
    drives = random_drives(11)
    return results_of([worse(drive, 0.4) for drive in drives]), results_of(drives)


@pytest.fixture(scope="module")
def page(sides):
    return html_page(judge(*sides, [Limit("mAP", "all", 0.005)], rounds=100), *sides, "http://here:1/")


def test_a_page_is_whole_and_loads_nothing(page):
    seen = Balanced(page).seen
    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in seen}
    assert not any({"src", "srcset", "data", "xlink:href"} & attrs.keys() for _, attrs in seen)
    assert "url(" not in page and "@import" not in page


def test_a_page_has_verdict_curves_calibration_and_moments_with_links(page):
    assert "Gate: FAIL" in page and "calibration, run" in page and "Worst moments" in page and "ECE 0." in page
    links = [attrs["href"] for tag, attrs in Balanced(page).seen if tag == "a"]
    assert links and all(re.fullmatch(r"http://here:1/drive\?drive=d\d+&t=\d+\.\d{3}", link) for link in links)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page)


def test_names_of_scores_and_drives_cannot_break_the_page():
    evil = '<script>alert("1")</script>'
    some = [DriveResult(f"{evil}{i}", evil, RunResult(evil, (f"{evil}{i}",), (Score(evil, 0.5, "1", "all", 60),)), None)
            for i in range(11)]
    page = html_page(judge(some, some, [Limit(evil, "all", 0.1)], rounds=100), some, some)
    Balanced(page)
    assert "<script" not in page


def test_the_worst_moment_is_the_one_that_lost_most_and_one_drive_gives_few(sides):
    worst = worst_moments(*sides)
    badness = [moment.badness for moment in worst]
    assert badness == sorted(badness, reverse=True) and badness[0][0] > 0
    assert len({moment.drive.drive_id for moment in worst}) == len(worst)  # these drives last no second
    first = worst[0]
    assert first.lost.sum() >= first.missed - first.missed_before > 0
    drawn = moment_figure(first, "http://here")
    assert drawn.count('class="lost"') == first.lost.sum() and drawn.count('class="wrong"') == first.wrong


def test_a_run_with_nothing_wrong_has_no_worst_moment():
    perfect = results_of(random_drives(1))
    truths = perfect[0].outcomes[perfect[0].outcomes.is_truth & perfect[0].outcomes.right[:, 2]]
    same = [DriveResult("d", "d", perfect[0].result, truths[truths.score >= 0.3])]
    assert worst_moments(same, same) == []


def test_points_beyond_an_axis_stand_on_its_edge_and_unknown_ones_are_left_out():
    line = Line("a <b>", "run", np.array([-1.0, 0.5, np.nan, 2.0]), np.array([0.5, 2.0, 0.1, 0.5]), dots=True)
    drawn = plot("t", Axes("x", "y"), [line], np.array([0.5, 1.0]))
    assert drawn.count("<circle") == 3 and drawn.count("<rect") == 2 and "a &lt;b&gt;" in drawn
    assert 'cx="46.0"' in drawn and 'cx="318.0"' in drawn and "nan" not in drawn


def test_an_interval_that_is_not_known_is_not_drawn():
    assert "<circle" not in interval(np.nan, np.nan, np.nan, 0.1, 1.0, "pass")
    assert interval(-0.1, 0.0, 0.1, 0.05, 0.2, "pass").count('class="pass"') == 2


@pytest.mark.parametrize("value, up", [(0.0, 1.0), (-3.0, 1.0), (0.1, 0.1), (0.11, 0.2), (0.39, 0.5), (7.0, 10.0), (1.0, 1.0)])
def test_axes_end_at_round_numbers(value, up):
    assert rounded_up(value) == pytest.approx(up)
