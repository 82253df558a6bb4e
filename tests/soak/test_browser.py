"""MLflow's pages and the report in a real browser; pictures of them are kept."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import mlflow
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.commands import environment
from tests.soak.servers import free_port, missing

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "build/screenshots"
SECONDS = 120_000
"""Milliseconds that a page may take on a busy machine."""
OWN = ("/mlflow/users/current", "ResizeObserver loop")
"""What MLflow's own pages complain of, whatever they show."""
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def home(demo) -> Path:
    return demo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        missing("Chromium", "chromium")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def view(home) -> Iterator[str]:
    """The address that `camid ui` tells."""
    command = "from camid.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", command, "ui", "--port", str(free_port()), "--no-open"],
        cwd=home,
        env=environment(home),
        stdout=subprocess.PIPE,
        stderr=(home / "ui.log").open("wb"),
        text=True,
    )
    assert server.stdout is not None
    told = server.stdout.readline()
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/#\S+", told)
    yield address
    server.terminate()
    server.wait()


def test_the_pages_end_with_the_command_that_is_killed(home):
    command = "from camid.cli import main; main()"
    with (home / "killed.log").open("wb") as log:
        ui = subprocess.Popen(
            [sys.executable, "-c", command, "ui", "--port", str(free_port()), "--no-open"],
            cwd=home,
            env=environment(home),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert ui.stdout is not None
    assert "http://127.0.0.1" in ui.stdout.readline()
    family = psutil.Process(ui.pid).children(recursive=True)
    assert family
    ui.kill()
    ui.communicate()
    assert not psutil.wait_procs(family, timeout=SECONDS / 1000)[1]


class Watched:
    """A page whose complaints, and requests to other machines, are noted."""

    def __init__(self, browser: Browser, size: dict[str, int], **options) -> None:
        self.page: Page = browser.new_page(viewport=size, **options)
        self.page.set_default_timeout(SECONDS)
        expect.set_options(timeout=SECONDS)
        self.complaints: list[str] = []
        self.abroad: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._request(request.url))

    def _console(self, message) -> None:
        text = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not any(own in text for own in OWN):
            self.complaints.append(text)

    def _request(self, url: str) -> None:
        if not re.match(r"http://127\.0\.0\.1[:/]|data:|blob:|file:", url):
            self.abroad.append(url)

    def shot(self, name: str, *, whole: bool = False) -> None:
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)

    def done(self) -> None:
        self.page.close()
        assert self.complaints == []
        assert self.abroad == []


def runs_of(home: Path) -> dict[str, str]:
    """Return the runs of the methods that were compared as pairs."""
    told = json.loads((home / "runs/demo/siamese/mlflow.json").read_text())["runs"]
    return {method: run for method, run in told.items() if method}


def test_the_view_shows_all_methods_beside_one_another(browser, view, home):
    watched = Watched(browser, DESKTOP)
    watched.page.goto(view)
    for method in ("lukas", "li", "classical", "pairnet", "siamese", "cnn", "cnn-embedding"):
        expect(watched.page.get_by_role("link", name=method, exact=True).first).to_be_visible()
    for heading in ("test/eer", "test/auc"):
        expect(watched.page.get_by_text(heading, exact=True).first).to_be_visible()
    client = mlflow.MlflowClient(f"sqlite:///{home}/mlflow.db")
    figures = client.get_run(runs_of(home)["lukas"]).data.metrics
    expect(watched.page.get_by_text(f"{figures['test/auc']:.5g}"[:6]).first).to_be_visible()
    watched.shot("runs")
    watched.done()


def test_runs_are_compared_figure_by_figure(browser, view, home):
    runs = runs_of(home)
    (server,) = re.findall(r"http://127\.0\.0\.1:\d+", view)
    chosen = quote(json.dumps([runs["lukas"], runs["siamese"]]))
    experiments = quote(json.dumps(re.findall(r"experiments/(\d+)/", view)))
    watched = Watched(browser, DESKTOP)
    watched.page.goto(f"{server}/#/compare-runs?runs={chosen}&experiments={experiments}")
    expect(watched.page.get_by_text("test/eer").first).to_be_visible()
    expect(watched.page.get_by_text("siamese").first).to_be_visible()
    watched.shot("compare", whole=True)
    watched.done()


def test_a_run_s_figures_load_from_its_artifacts(browser, view, home):
    run = runs_of(home)["siamese"]
    watched = Watched(browser, DESKTOP)
    base = view.partition("/runs")[0]
    for name in ("roc", "det", "learning"):
        watched.page.goto(f"{base}/runs/{run}/artifacts/figures/{name}.png")
        picture = watched.page.locator("img[src^='blob:'], img[src*='get-artifact']").first
        expect(picture).to_be_visible()
        watched.page.wait_for_function(
            "[...document.images].some(i => i.complete && i.naturalWidth > 500)"
        )
    watched.shot("artifact")
    watched.page.goto(f"{base}/runs/{run}/model-metrics")
    watched.page.get_by_role("searchbox", name="Search metric charts").fill("validation/")
    expect(watched.page.get_by_text("siamese (validation/auc)").first).to_be_visible()
    watched.shot("curves")
    watched.done()


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "light"), (PHONE, "dark")]
)
@pytest.mark.parametrize("part", ["", "siamese", "cnn"])
def test_a_report_opens_from_disk_and_fits_its_window(browser, home, part, size, scheme):
    file = home / "runs/demo" / part / "report.html"
    watched = Watched(browser, size, color_scheme=scheme)
    watched.page.goto(file.as_uri())
    loaded = watched.page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(loaded) >= 4
    assert min(loaded) > 500
    wide = watched.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    assert wide <= 0
    for link in watched.page.locator("nav a").all():
        target = link.get_attribute("href") or ""
        assert watched.page.locator(target).count() == 1
    watched.shot(f"report-{part or 'demo'}-{size['width']}-{scheme}", whole=True)
    watched.done()


def test_a_report_prints_with_all_that_is_folded(browser, home, tmp_path):
    watched = Watched(browser, DESKTOP)
    watched.page.goto((home / "runs/demo/siamese/report.html").as_uri())
    PICTURES.mkdir(parents=True, exist_ok=True)
    data = watched.page.pdf(path=PICTURES / "report.pdf", format="A4")
    assert data.startswith(b"%PDF")
    pages = len(re.findall(rb"/Type\s*/Page\b", data))
    assert 4 <= pages <= 60
    watched.done()


@pytest.fixture(scope="module")
def case(home, tmp_path_factory) -> Path:
    """A folder with a case report of both questions, on the demo's photographs."""
    folder = tmp_path_factory.mktemp("case")
    photographs = sorted((home / "runs/demo/photographs").rglob("*.jpg"))
    device = photographs[0].name.split("_")[1]
    own = [str(path) for path in photographs if path.name.split("_")[1] == device]

    def camid(*words: str) -> None:
        command = [sys.executable, "-c", "from camid.cli import main; main()", *words]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    camid("enrol", device, *own[2:])
    camid("identify", *own[:2], "--report", "identify.html")
    camid("verify", "--side", own[0], "--side", *own[2:5], "--report", "verify.html")
    return folder


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "light"), (PHONE, "dark")]
)
@pytest.mark.parametrize("question", ["identify", "verify"])
def test_a_case_report_opens_from_disk_and_fits_its_window(browser, case, question, size, scheme):
    watched = Watched(browser, size, color_scheme=scheme)
    watched.page.goto((case / f"{question}.html").as_uri())
    facts = json.loads((case / f"{question}.json").read_text())
    for answer in facts["answers"]:
        expect(watched.page.get_by_text(answer["answer"]).first).to_be_visible()
    loaded = watched.page.evaluate("[...document.images].map(i => i.naturalWidth)")
    assert len(loaded) == 2 * len(facts["answers"])
    assert min(loaded) > 500
    wide = watched.page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    assert wide <= 0
    watched.shot(f"case-{question}-{size['width']}-{scheme}", whole=True)
    watched.done()
