"""Take the documentation's pictures from the running app.

`python examples/take_pictures.py RUN` takes those of a finished run, `--story` those of Story alone, `--lab` draws those of
the studies, which need neither run nor app (from the checkout: `python -m examples.take_pictures --lab`). `--live`
follows a run that is going on to its end and makes `story.webp`, 20 seconds of Story while its panels fill.
"""

import argparse
import io
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from plotly.offline import get_plotlyjs

from examples.nano_lab import cost_map, dial
from examples.nano_lab.lab_figures import cost_figures, dial_figures
from examples.real_model import results as real_model
from tests.benchmarks import growth
from tests.helpers.serve import browser_path

FOLDER = Path(__file__).parent / "pictures"
# file -> (tab, in it what must be there, what is shown)
PICTURES = {
    "rewrite": ("Compare", "#samples tr[data-index='5']", "#samples-detail"),
    "spread": ("Compare", "#distribution-slider .main-svg", "#distribution-slider"),
    "forgetting": ("Forgetting", "[data-chart=plane] .main-svg", "[data-chart=plane]"),
}
SETTLE_MS = 1000
VIEW = {"width": 1280, "height": 800}  # of Story
FRAME_SECONDS = 1.5  # between two screenshots of a run
FRAMES_MS, LAST_FRAME_MS = 17_500, 2500  # all frames but the last, and the last: 20 seconds
MAX_FRAMES = 60
MAX_BYTES = 1_500_000
SIZE = (1024, 640)


def take_pictures(page: Page) -> None:
    """All pictures of a finished run."""
    for name, (tab, ready, shown) in PICTURES.items():
        page.get_by_role("tab", name=tab).click()
        page.locator(ready).first.wait_for()
        if name == "rewrite":
            page.locator(ready).first.click()
            page.locator("#samples-detail .tok").first.wait_for()
        shoot(page, name, shown)


def take_lab_pictures(page: Page) -> None:
    """Those of the lab's studies and the real model's, drawn on an empty page."""
    figures = {
        "dial": dial_figures(dial.shipped(), dial.own_style()),
        "cost-map": cost_figures(cost_map.shipped()[0]),
        "fronts": {"fronts": real_model.fronts()},
        "growth": growth.panels(),
    }
    for name, drawn in figures.items():
        slots = "".join(f"<div data-figure='{figure}'></div>" for figure in drawn)
        columns = "1fr " * (len(drawn) if len(drawn) < 4 else 2)
        page.set_content(
            f"<style>body{{margin:0}}main{{display:grid;grid-template-columns:{columns}}}</style><main>{slots}</main>"
        )
        page.add_script_tag(content=get_plotlyjs())
        page.evaluate(
            "figures => Object.entries(figures).forEach(([name, figure]) => "
            "Plotly.newPlot(document.querySelector(`[data-figure=${name}]`), figure.data, figure.layout, {displayModeBar: false}))",
            drawn,
        )
        shoot(page, name, "main")


def shoot(page: Page, name: str, shown: str) -> None:
    page.wait_for_timeout(SETTLE_MS)
    page.locator(shown).first.screenshot(path=FOLDER / f"{name}.png")


def follow(page: Page) -> list[bytes]:
    """Screenshots of Story, one every FRAME_SECONDS, until the run has ended."""
    status, frames = page.locator("#status"), []
    while not any(end in status.inner_text() for end in ("done after", "failed", "stopped", "cancelled")):
        frames.append(page.screenshot())
        page.wait_for_timeout(1000 * FRAME_SECONDS)
    page.wait_for_timeout(SETTLE_MS)
    return [*frames, page.screenshot()]


def save_animation(frames: list[bytes], path: Path) -> None:
    """An endless WebP of at most MAX_FRAMES frames and MAX_BYTES bytes; the last frame rests."""
    count = min(len(frames), MAX_FRAMES)
    chosen = [frames[round(i * (len(frames) - 1) / max(1, count - 1))] for i in range(count)]
    pictures = [Image.open(io.BytesIO(f)).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS) for f in chosen]
    times = [FRAMES_MS // max(1, count - 1)] * (count - 1) + [LAST_FRAME_MS]
    for quality in (80, 60, 40, 20):
        pictures[0].save(
            path, save_all=True, append_images=pictures[1:], duration=times, loop=0, quality=quality, method=6, minimize_size=True
        )  # fmt: skip
        if path.stat().st_size <= MAX_BYTES:
            break
    print(f"{path}: {count} frames, {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "run", nargs="?", default="recorded-nano", help="id of a run: finished, or with --live going on"
    )
    parser.add_argument("--lab", action="store_true", help="only the pictures of the studies")
    parser.add_argument("--story", action="store_true", help="only the picture of Story, as a visitor first sees it")
    parser.add_argument("--live", action="store_true", help="make the animation of Story while the run goes on")
    parser.add_argument("--url", default="http://127.0.0.1:7860", help="where the app runs")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the animation")
    options = parser.parse_args()
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        on_story = options.live or options.story
        page = browser.new_page(viewport=VIEW if on_story else {"width": 1080, "height": 900})
        if options.lab:
            take_lab_pictures(page)
            browser.close()
            return
        page.goto(f"{options.url}/?run={options.run}")
        page.wait_for_function(
            "document.querySelector('#status') && document.querySelector('#status').innerText.trim()"
        )
        if options.live:
            page.locator("#stages").get_by_text("Warm start").first.wait_for()
            save_animation(follow(page), options.into / "story.webp")
        elif options.story:
            page.locator("[data-chart=story-plane] .main-svg").first.wait_for()
            page.wait_for_timeout(SETTLE_MS)
            page.screenshot(path=FOLDER / "story.png")
        else:
            take_pictures(page)
        browser.close()


if __name__ == "__main__":
    main()
