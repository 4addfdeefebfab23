"""Reports, comparisons and crates of two small runs; the pages are opened in a real browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.compare import compare_runs
from experiments.crate import run_crate, suite_crate
from experiments.report.page import Grid, Page, Section, render, shown, write
from experiments.report.run import run_page
from experiments.report.sweep import suite_page, sweep_page
from experiments.stem import REFERENCE, Verdict
from experiments.suite import Outcome
from simulation.config.errors import ConfigError
from simulation.config.load import load
from simulation.config.study import load_study
from simulation.config.sweep import Size
from simulation.runs.execute import execute
from simulation.runs.sweep.plan import plan
from simulation.runs.sweep.rows import rows_of, table_text

TEXT = """\
name: tiny
seeds: [1, 2]
hospitals: 4
data: {kind: breast_cancer, normalisation: public}
partition: iid
model: logistic
training: {local_steps: 2, batch_size: 8}
privacy: {kind: dp_sgd, epsilon: 4, delta: 1e-4}
federation: {rounds: 2, strategy: FixedFedAvg}
ledger: {kind: commit_reveal, store: memory}
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two seeds of one configuration, and the first of them with another learning rate."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(TEXT)
    one = load(folder / "tiny.yaml")
    other = replace(one, training=replace(one.training, learning_rate=0.2))
    done = [execute(one, 1, folder), execute(one, 2, folder), execute(other, 1, folder)]
    done.append(execute(other, 2, folder))
    assert all(result.failure is None for result in done)
    made = plan(load_study(folder / "tiny.yaml"), folder)
    (folder / "tiny" / "sweep-quick.csv").write_text(table_text(rows_of(made)))
    return [result.directory for result in done]


# ---- what a page says ---------------------------------------------------------------------------


def test_the_report_of_a_run_has_all_its_parts(runs: list[Path]) -> None:
    """What was run, results, figure, rounds, phases, privacy, ledger, faults, manifest, command."""
    page = run_page(runs[0])
    assert [section.title for section in page.sections] == [
        "What was run", "Figure", "Results", "Rounds", "Where the time went", "Privacy",
        "Ledger and messages", "Faults and attacks", "Provenance",
    ]  # fmt: skip
    text = render(page)
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    assert manifest["trace_digest"] in text
    assert f"wardchain run {runs[0]}/config.yaml --seed 1" in text
    assert "None: no fault, no attack, no refusal." in text
    (privacy,) = [block for section in page.sections if section.title == "Privacy"
                  for block in section.blocks if isinstance(block, Grid)]  # fmt: skip
    assert [row[0] for row in privacy.rows] == [f"hospital-0{i}" for i in range(4)]


def test_a_page_needs_nothing_but_itself(runs: list[Path]) -> None:
    """Self-contained: no address that a browser would fetch; the same run gives the same page."""
    text = render(run_page(runs[0]))
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"", text) == []
    assert "url(" not in text
    assert "@import" not in text
    assert text == render(run_page(runs[0]))


def test_text_is_never_taken_for_markup() -> None:
    """What a run says about itself is shown, not carried out."""
    page = Page("<b>", "lead", [Section("<i>", [Grid(("<u>",), [["<script>"]])])])
    text = render(page)
    for tag in ("<b>", "<i>", "<u>"):
        assert tag not in text
    assert text.count("<script>") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), ("", "–"), (True, "yes"), (1234567, "1,234,567"), (0.123456, "0.1235"),
     (1234.5, "1,234"), (2.0, "2"), ("word", "word"), (float("inf"), "inf")],
)  # fmt: skip
def test_numbers_are_shown_as_people_read_them(value: Any, text: str) -> None:
    """Four significant digits, thousands parted, nothing as a dash."""
    assert shown(value) == text


def test_the_report_of_a_sweep_has_every_run(runs: list[Path]) -> None:
    """Means over seeds with intervals, and a row for each run whatever became of it."""
    text = render(sweep_page(runs[0].parents[1]))
    assert "Points (quick)" in text
    assert text.count("<td>done</td>") == 2
    with pytest.raises(FileNotFoundError, match="holds no sweep"):
        sweep_page(runs[0])


def outcomes() -> list[Outcome]:
    """One of each kind."""
    figure = REFERENCE / "consensus_scaling.svg"
    verdict = Verdict(False, "3 is more than 2")
    return [
        Outcome("consensus_scaling", "a claim", verdict, figure, differences=["n 4: got 3"]),
        Outcome("heart_disease", "another", skipped="no data; fetch them"),
    ]


def test_the_report_of_the_suite_has_claims_verdicts_and_figures() -> None:
    """Every figure with its claim and verdict; what was skipped says why."""
    text = render(suite_page(outcomes(), Size.QUICK))
    for words in ("a claim", "3 is more than 2", "does not hold", "n 4: got 3",
                  "no data; fetch them", "python -m experiments consensus_scaling"):  # fmt: skip
        assert words in text
    assert text.count("data:image/svg+xml;base64,") == 1


# ---- in a browser -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium, where this machine has one."""
    program, driver = (
        next((found for name in names if (found := shutil.which(name))), None)
        for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
    )
    if program is None or driver is None:
        pytest.skip("needs chromium and chromedriver; on Debian: apt install chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    opened.quit()


@pytest.mark.parametrize("kind", ["run", "suite"])
def test_a_page_works_in_a_real_browser(
    browser: Any, runs: list[Path], tmp_path: Path, kind: str
) -> None:
    """Loads without error or network request, figures are there, tables sort, no overflow."""
    page = run_page(runs[0]) if kind == "run" else suite_page(outcomes(), Size.QUICK)
    path = write(page, tmp_path / "page.html")
    browser.get(path.as_uri())

    assert browser.get_log("browser") == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages
             if m["method"] == "Network.requestWillBeSent"}  # fmt: skip
    assert {url for url in asked if not url.startswith(("file:", "data:"))} == set()
    widths = browser.execute_script("return [...document.images].map(image => image.naturalWidth)")
    assert widths
    assert min(widths) > 100

    rows = "[...document.querySelector('table.sortable').tBodies[0].rows]"
    column = f"return {rows}.map(row => row.cells[%d].textContent)"
    place = 2 if kind == "run" else 0
    heads = browser.find_elements("css selector", "table.sortable")[0].find_elements(
        "css selector", "th button"
    )
    heads[place].click()
    up = browser.execute_script(column % place)
    heads[place].click()
    down = browser.execute_script(column % place)
    assert up != down or len(set(up)) == 1
    assert up == sorted(up, key=lambda text: float(text) if kind == "run" else text)

    for width in (360, 1200):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        wide = browser.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width


# ---- comparisons --------------------------------------------------------------------------------


def test_two_runs_are_compared_over_the_seeds_that_both_have(runs: list[Path]) -> None:
    """The configuration first, then metrics with paired intervals, then the first parting event."""
    found = compare_runs(runs[0], runs[2])
    (setting,) = found.settings
    assert (setting.path, setting.second) == ("training.learning_rate", 0.2)
    assert found.seeds == [1, 2]
    metric = next(m for m in found.metrics if m.name == "pooled.log_loss")
    assert metric.pairs is not None
    assert metric.pairs.difference.n == 2
    low, high = metric.pairs.difference.low, metric.pairs.difference.high
    assert low <= metric.pairs.difference.mean <= high
    assert found.same_seed
    assert found.parting is not None
    assert found.parting.first != found.parting.second


def test_a_run_parts_from_itself_nowhere(runs: list[Path]) -> None:
    """Equal traces have no parting, and other seeds are not asked."""
    same = compare_runs(runs[0], runs[0])
    assert same.settings == []
    assert same.parting is None
    assert all(m.pairs is None or m.pairs.effect == 0 for m in same.metrics)
    other = compare_runs(runs[0], runs[1])
    assert not other.same_seed
    assert other.parting is None


# ---- crates -------------------------------------------------------------------------------------


def entities(crate: Path) -> dict[str, dict[str, Any]]:
    """The crate's metadata by identifier."""
    graph = json.loads((crate / "ro-crate-metadata.json").read_text())["@graph"]
    return {entity["@id"]: entity for entity in graph}


def test_a_run_is_exported_with_every_file(runs: list[Path], tmp_path: Path) -> None:
    """All files, what made them, and the date of the run; a folder that exists is refused."""
    crate = run_crate(runs[0], tmp_path / "crate")
    found = entities(crate)
    files = {p.relative_to(runs[0]).as_posix() for p in runs[0].rglob("*") if p.is_file()}
    assert files <= {name for name, entity in found.items() if entity["@type"] == "File"}
    for name in files:
        assert (crate / name).read_bytes() == (runs[0] / name).read_bytes()
    (action,) = [e for e in found.values() if e["@type"] == "CreateAction"]
    assert action["name"] == "wardchain run config.yaml --seed 1"
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    assert found["./"]["datePublished"] == manifest["started"]
    with pytest.raises(ConfigError, match="is there already"):
        run_crate(runs[0], crate)


def test_the_suite_is_exported_with_configurations_and_code(tmp_path: Path) -> None:
    """Tables, figures and manifests with what made them."""
    crate = suite_crate(["consensus_scaling"], REFERENCE, tmp_path / "crate")
    found = entities(crate)
    for name in ("figures/consensus_scaling.csv", "configs/consensus_scaling.yaml",
                 "experiments/consensus_scaling.py"):  # fmt: skip
        assert found[name]["@type"] == "File"
        assert (crate / name).is_file()
    with pytest.raises(ConfigError, match="holds no results"):
        suite_crate(["consensus_scaling"], tmp_path, tmp_path / "other")
