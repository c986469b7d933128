"""Who reaches the page: names and origins of requests, addresses to listen on, a path behind a proxy, a password."""

import pytest
from helpers.synthetic import finished_run
from helpers.visitors import Browser, serve

from patchrl import api
from patchrl.cli.main import main
from patchrl.errors import ConfigError
from patchrl.ui import serving

JOIN = "/gradio_api/queue/join"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Serves the page over an empty folder and closes it after; returns a browser of it."""
    demos = []
    for name in ("SPACE_ID", "PATCHRL_PUBLIC", "PATCHRL_PASSWORD", "GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH"):
        monkeypatch.delenv(name, raising=False)

    def start(**options) -> Browser:
        demo, url = serve(tmp_path, **options)
        demos.append(demo)
        return Browser(url)

    yield start
    for demo in demos:
        demo.close()


@pytest.mark.slow
def test_a_foreign_name_and_a_foreign_page_are_refused_at_home(page):
    browser = page()
    port = browser.http.base_url.port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert browser.http.get("/config", headers={"host": host}).status_code == 200
    for host in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "", "[", "127.0.0.1@evil.example"):
        answer = browser.http.get("/config", headers={"host": host, "x-forwarded-host": "127.0.0.1"})
        assert answer.status_code in (400, 403), host
    for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "file://", "http://["):
        answer = browser.http.post(JOIN, json={}, headers={"origin": origin})
        assert answer.status_code == 403 and "own page only" in answer.text
    assert browser.http.post(JOIN, json={}, headers={"origin": f"http://localhost:{port}"}).status_code != 403


@pytest.mark.slow
def test_behind_a_proxy_the_page_knows_its_path_and_its_name(page):
    browser = page(root_path="https://lab.example.org/patchrl")
    answer = browser.http.get("/config", headers={"host": "lab.example.org"})
    assert answer.json()["root"] == "https://lab.example.org/patchrl"
    assert browser.http.get("/config", headers={"host": "evil.example"}).status_code == 403
    assert page(root_path="/patchrl").http.get("/config").json()["root"].endswith("/patchrl")


@pytest.mark.slow
def test_a_password_is_asked_for_and_opens_the_page(page, monkeypatch):
    monkeypatch.setenv("PATCHRL_PASSWORD", "one for the class")
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    browser = page()
    assert browser.http.get("/config").status_code == 401
    wrong = browser.http.post("/login", data={"username": "patchrl", "password": "guessed"})
    assert wrong.status_code == 400 and browser.http.get("/config").status_code == 401
    right = browser.http.post("/login", data={"username": "patchrl", "password": "one for the class"})
    assert right.status_code == 200 and browser.http.get("/config").status_code == 200


@pytest.mark.slow
def test_the_page_brings_what_story_says(page, tmp_path, monkeypatch):
    browser = page()
    first = browser.http.get("/").text
    assert "After plain SFT, SmolLM2-135M answers" in first and "The capital of Russia is Moscow." in first
    assert int(browser.http.get("/").headers["content-length"]) == len(first.encode())
    assert "After plain SFT, the lab" in browser.http.get("/", params={"run": api.RECORDED_ID}).text
    strange = browser.http.get("/", params={"run": "<b>x"}).text
    assert "&lt;b&gt;x" in strange and "<b>x" not in strange
    for elsewhere in ({"tab": "runs"}, {"row": "3"}, {"present": "1"}):
        assert "first-view" not in browser.http.get("/", params=elsewhere).text
    mine = finished_run(tmp_path, 4)
    own = browser.http.get("/", params={"run": mine}).text
    assert "Its rewrite" in own and "not one of yours" not in own
    assert "not one of yours" in page(public=True).http.get("/", params={"run": mine}).text
    monkeypatch.setenv("PATCHRL_PASSWORD", "one for the class")
    assert "first-view" not in page().http.get("/").text


@pytest.mark.slow
def test_a_public_page_offers_the_paths_that_it_needs(page):
    browser = page(public=True)
    assert "patchrl-visitor" in browser.visit().headers["set-cookie"]
    assert "set-cookie" not in browser.visit().headers  # it has one
    for path in ("/config", "/theme.css", "/gradio_api/info", "/gradio_api/startup-events"):
        assert browser.http.get(path).status_code == 200, path
    closed = (
        "/monitoring",
        "/gradio_api/deep_link?session_hash=x",
        "/gradio_api/file=https://example.org/x",
        "/host/x",
    )
    for path in (*closed, "/gradio_api/proxy=https://x.hf.space", "/gradio_api/openapi.json", "/gradio_api/file=data"):
        assert browser.http.get(path).status_code == 403, path
    for path in (
        "/gradio_api/upload",
        "/gradio_api/run/predict",
        "/gradio_api/api/predict",
        "/gradio_api/process_recording",
    ):
        assert browser.http.post(path, json={}).status_code == 403, path
    assert browser.http.get("/config", headers={"host": "space.example.org"}).status_code == 200
    foreign = {"host": "space.example.org", "origin": "https://evil.example"}
    assert browser.http.post(JOIN, json={}, headers=foreign).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "lab.example.org"])
def test_others_reach_the_page_only_in_public_or_with_a_password(tmp_path, monkeypatch, capsys, host):
    for name in ("SPACE_ID", "PATCHRL_PUBLIC", "PATCHRL_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="--public, or set a password"):
        serving.launch(str(tmp_path), host=host)
    monkeypatch.setenv("GRADIO_SERVER_NAME", host)
    assert main(["ui", "--runs-dir", str(tmp_path)]) != 0
    assert capsys.readouterr().err.startswith(f"patchrl: --host {host}:")


@pytest.mark.parametrize(("name", "value"), [("SPACE_ID", "someone/patchrl"), ("PATCHRL_PUBLIC", "1")])
def test_a_space_and_an_environment_variable_make_the_page_public(monkeypatch, name, value):
    for other in ("SPACE_ID", "PATCHRL_PUBLIC"):
        monkeypatch.delenv(other, raising=False)
    assert not serving.is_public()
    monkeypatch.setenv(name, value)
    assert serving.is_public()
