"""Take the documentation's pictures from the running app.

`python examples/take_pictures.py RUN` takes those of a finished run, and `--lab` draws those of the lab's studies, which need
neither run nor app (from the checkout: `python -m examples.take_pictures --lab`); `--live` follows a run that is going on and makes `curves.webp`, an animation of its curves as they grow.
"""

import argparse
import io
import shutil
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright
from plotly.offline import get_plotlyjs

from examples.nano_lab import cost_map, dial
from examples.nano_lab.lab_figures import cost_figures, dial_figures

FOLDER = Path(__file__).parent / "pictures"
# file -> (tab, in it what must be there, what is shown)
PICTURES = {
    "rewrite": ("Compare", "#samples tr[data-index='5']", "#samples-detail"),
    "spread": ("Compare", "#distribution-slider .main-svg", "#distribution-slider"),
    "forgetting": ("Forgetting", "[data-chart=plane] .main-svg", "[data-chart=plane]"),
}
SETTLE_MS = 1000
FRAME_SECONDS = 2.0  # between two frames of the animation
FRAME_MS, LAST_FRAME_MS = 180, 2500
MAX_FRAMES = 60
MAX_BYTES = 1_500_000
SIZE = (1080, 476)  # two rows of three curves


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
    """Those of the lab's studies, drawn on an empty page."""
    figures = {
        "dial": dial_figures(dial.shipped(), dial.own_style()),
        "cost-map": cost_figures(cost_map.shipped()[0]),
    }
    for name, drawn in figures.items():
        slots = "".join(f"<div data-figure='{figure}'></div>" for figure in drawn)
        page.set_content(
            f"<style>body{{margin:0}}main{{display:grid;grid-template-columns:1fr 1fr}}</style><main>{slots}</main>"
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


def follow(page: Page) -> list[Image.Image]:
    """A frame whenever the curves have grown, until the training of the rewriter ends."""
    page.get_by_role("tab", name="Training").click()
    curves = page.locator("[data-chart=reward] .main-svg")
    curves.first.wait_for(timeout=300_000)
    frames: list[Image.Image] = []
    newest, changed = -1, time.monotonic()
    while time.monotonic() - changed < 60 and "train" in page.locator("#status").inner_text():
        points = page.evaluate("document.querySelector('[data-chart=reward]').data.reduce((n, t) => n + t.x.length, 0)")
        if points != newest:
            newest, changed = points, time.monotonic()
            picture = page.locator(".patchrl-figure:visible").first.screenshot()
            frames.append(cut(Image.open(io.BytesIO(picture)).convert("RGB")))
            print(f"frame {len(frames)}", flush=True)
        page.wait_for_timeout(1000 * FRAME_SECONDS)
    return frames


def cut(picture: Image.Image) -> Image.Image:
    """The upper part of the curves, in the shape of a frame."""
    height = min(picture.height, picture.width * SIZE[1] // SIZE[0])
    return picture.crop((0, 0, picture.width, height)).resize(SIZE, Image.Resampling.LANCZOS)


def save_animation(frames: list[Image.Image], path: Path) -> None:
    """An endless WebP of at most MAX_FRAMES frames and MAX_BYTES bytes; the last frame rests."""
    chosen = [frames[round(i * (len(frames) - 1) / max(1, MAX_FRAMES - 1))] for i in range(MAX_FRAMES)]
    chosen = frames if len(frames) <= MAX_FRAMES else chosen
    times = [FRAME_MS] * (len(chosen) - 1) + [LAST_FRAME_MS]
    for quality in (80, 60, 40, 20):
        chosen[0].save(
            path, save_all=True, append_images=chosen[1:], duration=times, loop=0, quality=quality, method=6, minimize_size=True
        )  # fmt: skip
        if path.stat().st_size <= MAX_BYTES:
            break
    print(f"{path}: {len(chosen)} frames, {path.stat().st_size / 1e6:.2f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "run", nargs="?", default="recorded-nano", help="id of a run: finished, or with --live going on"
    )
    parser.add_argument("--lab", action="store_true", help="only the pictures of the lab's studies")
    parser.add_argument("--live", action="store_true", help="make the animation of a run while its rewriter trains")
    parser.add_argument("--url", default="http://127.0.0.1:7860", help="where the app runs")
    parser.add_argument("--into", type=Path, default=FOLDER, help="folder of the animation")
    options = parser.parse_args()
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280 if options.live else 1080, "height": 900})
        if options.lab:
            take_lab_pictures(page)
            browser.close()
            return
        page.goto(f"{options.url}/?run={options.run}")
        page.locator("#start").wait_for()
        page.wait_for_function("document.querySelector('#status').innerText.trim()")
        if options.live:
            frames = follow(page)
            if not frames:
                raise SystemExit(f"{options.run} is not training its rewriter; start --live while it does.")
            save_animation(frames, options.into / "curves.webp")
        else:
            take_pictures(page)
        browser.close()


if __name__ == "__main__":
    main()
