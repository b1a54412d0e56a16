import html.parser
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from apptemplates.evaluation.audit import by_group
from apptemplates.evaluation.explanation_figures import contribution_bars
from apptemplates.evaluation.intervals import Metric
from apptemplates.evaluation.page import fragment, image, page
from apptemplates.evaluation.report import Report

EMPTY = {"area", "br", "col", "hr", "img", "input", "link", "meta"}


class Reader(html.parser.HTMLParser):
    """Checks that tags are closed in turn, and keeps what a browser would fetch and read."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.tags, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


class Finding:
    def __init__(self, severity, message):
        self.severity, self.message = severity, message
        self.code, self.place, self.fix = "rare-class", "column 'label'", "<b>learn</b> from more"


def full():
    random = np.random.default_rng(0)
    label = random.integers(0, 2, 600)
    region = random.choice(np.array(["north", "<script>alert(1)</script>"], dtype=object), 600)
    right = np.where(region == "north", label, 1 - label)
    groups = by_group(
        lambda truth, answers: {"accuracy": float((truth["label"] == answers["alarm"]).mean())},
        {"label": label},
        {"alarm": right},
        region,
        repeats=20,
    )
    photograph = Figure(figsize=(4, 4))
    photograph.add_subplot().imshow(random.random((200, 200)))
    photograph.set_label('a "photograph" <of> noise')
    return Report(
        "<b>Fraud</b> & co",
        metrics={
            "average precision": Metric(0.712, 0.69, 0.735),
            "ECE": Metric(0.01),
            "cost per 1,000": Metric(512.0, 400.0, 600.0),
        },
        baseline={"name": "<i>amount</i>", "metrics": {"average precision": Metric(0.4, 0.38, 0.42)}},
        groups={"region": groups},
        calibration={"temperature": 1.3, "curve": {"probability": [0.1]}},
        latency={"p50_ms": 0.12},
        size={"parameters": 12345},
        data={"records": 60000, "left out": [f"file {number}.png" for number in range(300)]},
        verdict=["First & foremost.", "Second.", "Third."],
        findings=[Finding("note", "a note"), Finding("error", "an <error>")],
        table=pd.DataFrame({"name": [f"row {number}" for number in range(500)], "value": range(500)}),
        figures=[contribution_bars(["$amount", "hour"], np.array([1.0, -1.0])), photograph],
        notes={"<u>trust</u>": True},
    )


def test_the_page_is_whole_and_fetches_nothing():
    text = page(full())
    reader = read(text)
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert len(reader.addresses) == 2 and all(address.startswith("data:image/") for address in reader.addresses)
    assert not re.search(r"https?://|url\(|@import|<script|<link|javascript:", text)
    assert "default-src 'none'" in text and 'name="viewport"' in text


def test_what_users_wrote_is_text_and_not_markup():
    said = "".join(read(page(full())).text)
    for raw in ("<b>Fraud</b> & co", "<i>amount</i>", "<script>alert(1)</script>", "an <error>", "<u>trust</u>"):
        assert raw in said
    assert "a &quot;photograph&quot; &lt;of&gt; noise" in page(full())


def test_the_verdict_comes_first_and_every_part_is_there():
    said = "\n".join(read(page(full())).text)
    order = ["First & foremost.", "0.712", "Metrics", "Findings", "Figures", "By region", "Facts", "Table"]
    places = [said.index(part) for part in order]
    assert places == sorted(places)
    assert said.index("an <error>") < said.index("a note")  # the worst finding first
    assert "▲ better" in said and "lowest" in said and "highest" in said and "less is better" in said
    assert "row 99" in said and "row 100" not in said and "The first 100 of 500 rows" in said


@pytest.mark.parametrize("kind", ["evaluation", "check", "explanation", "training"])
def test_empty_parts_leave_no_heading(kind):
    reader = read(page(Report("Nothing", kind=kind)))
    said = "".join(reader.text)
    for heading in ("Metrics", "Figures", "By ", "Facts", "Table", "Verdict"):
        assert heading not in said
    assert ("Nothing was found." in said) == (kind == "check")
    assert "table" not in reader.tags and "figure" not in reader.tags


def test_undefined_numbers_do_not_break_the_page():
    nan = float("nan")
    report = Report(
        "x",
        metrics={"AUC": Metric(nan, nan, nan), "loss": Metric(float("inf"), 0.0, float("inf"))},
        baseline={"metrics": {"AUC": Metric(nan), "loss": Metric(1.0)}},
        table=pd.DataFrame({"a": [None, np.nan], "b": [pd.NaT, pd.Timestamp("2020-01-01")]}),
    )
    said = "".join(read(page(report)).text)
    assert "nan" not in said.lower().replace("finance", "") and "infinite" in said


def test_a_notebook_gets_the_same_without_a_page_around_it():
    report = full()
    assert report._repr_html_() == fragment(report) and "<html" not in fragment(report)
    style = re.search(r"<style>(.*?)</style>", fragment(report), re.S)[1]
    rules = re.findall(r"(?:^|[};])\s*([^{};@]+)\{", style)
    assert rules and all(part.strip().startswith(".at-report") for rule in rules for part in rule.split(","))


def test_figures_take_the_smaller_form():
    lines = full().figures[0]
    points = Figure()
    points.add_subplot().plot(*np.random.default_rng(0).normal(size=(2, 20_000)), ".")
    assert image(lines).startswith("data:image/svg+xml;base64,") and image(lines) == image(lines)
    assert image(points).startswith("data:image/png;base64,")
