"""A public page as it opens, over raw HTTP: Start is pressed, every preset is chosen, files are sent, limits hold."""

import json

import pytest
from helpers.visitors import Browser, serve

from patchrl import api
from patchrl.jobs import launch, public
from patchrl.jobs.owners import owner_of
from patchrl.runs.folder import RunFolder

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Serves a public page over an empty folder; returns the folder and its address."""
    demos = []
    for name in ("SPACE_ID", "PATCHRL_PUBLIC", "PATCHRL_PASSWORD", "GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH"):
        monkeypatch.delenv(name, raising=False)

    def start():
        demo, url = serve(tmp_path, public=True)
        demos.append(demo)
        return tmp_path, url

    yield start
    for demo in demos:
        demo.close()


@pytest.fixture
def launched(monkeypatch):
    """Ids of the runs that were launched; no worker starts."""
    ids: list[str] = []
    monkeypatch.setattr(launch, "launch", lambda folder, upto, queue, webhook: ids.append(folder.id))
    return ids


class Form:
    """The settings that a visitor's page shows, and its buttons."""

    def __init__(self, url: str) -> None:
        self.browser = Browser(url)
        self.browser.visit()
        self.config = self.browser.config()
        self.parts = {part["id"]: part["props"] for part in self.config["components"]}
        functions = {function["api_name"]: function for function in self.config["dependencies"]}
        self.start, self.fill, self.upload = functions["start"], functions["fill"], functions["keep_upload"]
        self.values = {number: self.parts[number].get("value") for number in self.start["inputs"]}

    def choose(self, preset: str) -> None:
        (line,) = [x for x in self.browser.call(self.fill["id"], [preset]).split("data: ") if "process_completed" in x]
        self.values = dict(zip(self.fill["outputs"], json.loads(line)["output"]["data"], strict=True))

    def change(self, setting: str, value) -> None:
        self.values[next(number for number in self.values if self.parts[number]["elem_id"] == setting)] = value

    def press(self) -> str:
        return self.browser.call(self.start["id"], list(self.values.values()))


def presets_of(form: Form) -> list[str]:
    (preset,) = [props for props in form.parts.values() if props.get("label") == "Preset"]
    assert preset["value"] == preset["choices"][0][1]
    return [name for _, name in preset["choices"]]


def test_the_first_press_on_start_is_accepted_and_so_is_every_preset(page, launched):
    runs_dir, url = page()
    form = Form(url)
    assert "Started." in form.press()
    (first,) = launched
    assert owner_of(RunFolder(runs_dir / first)) == form.browser.id
    assert api.open_run(first, runs_dir).config.study.name == public.OFFERED[0]
    for preset in presets_of(form):
        other = Form(url)
        other.choose(preset)
        assert "Started." in other.press()
        assert launched[-1].startswith(f"{preset}-")
    assert len(launched) == 1 + len(public.OFFERED)


def test_only_what_may_be_changed_can_be_changed_and_the_server_checks_it(page, launched):
    form = Form(page()[1])
    changeable = {name.replace(".", "-", 1) for name in public.CHANGEABLE}
    for number in form.values:
        assert form.parts[number]["interactive"] is (form.parts[number]["elem_id"] in changeable)
    form.change("rewriter-warm_start_steps", 400)
    assert "This public page keeps 40" in form.press() and not launched
    form.change("rewriter-warm_start_steps", 10**9)
    assert "rewriter-warm_start_steps" in form.press() and not launched


def test_nobody_starts_without_a_cookie(page, launched):
    form = Form(page()[1])
    form.browser.http.cookies.clear()
    assert "sent no cookie" in form.press() and not launched


def test_files_are_taken_only_where_the_host_allows_them(page, launched, monkeypatch):
    form = Form(page()[1])
    (upload,) = [props for props in form.parts.values() if props.get("elem_id") == "upload"]
    assert not upload["visible"]
    rows = b'{"question": "What is 2 + 2?", "solution": "2 + 2 = 4. The answer is 4."}\n' * 40
    assert form.browser.http.post("/gradio_api/upload", files={"files": ("rows.jsonl", rows)}).status_code == 403
    monkeypatch.setenv("PATCHRL_UPLOADS", "1")
    runs_dir, url = page()
    form = Form(url)
    answers = []
    for number in range(6):
        sent = form.browser.http.post("/gradio_api/upload", files={"files": ("rows.jsonl", rows + b"\n" * number)})
        answers.append(
            form.browser.call(form.upload["id"], [{"path": sent.json()[0], "meta": {"_type": "gradio.FileData"}}])
        )
    folder = public.uploads_folder(runs_dir, form.browser.id)
    assert [str(folder) in answer for answer in answers] == [True] * 5 + [False]
    assert "which is all that this page keeps" in answers[5]
    huge = form.browser.http.post("/gradio_api/upload", files={"files": ("rows.jsonl", bytes(21 * 10**6))})
    assert huge.status_code == 413


def test_a_visitors_study_runs_to_its_end_within_the_limits(page):
    runs_dir, url = page()
    form = Form(url)
    form.choose("nano-quick")
    for setting, value in (("data-train_size", 16), ("rewriter-steps", 1), ("finetune-epochs", 1)):
        form.change(setting, value)
    assert "Started." in form.press()
    (run,) = api.list_runs(runs_dir)
    status = run.wait(600)
    assert status["state"] == "done", status["error"]
    assert run.result() is not None
