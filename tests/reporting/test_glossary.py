"""One meaning a word: what the page shows is what the docs say."""

import re
from pathlib import Path

from patchrl.reporting import glossary
from patchrl.ui.app import CAPTIONS

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def words(page: Path) -> dict[str, str]:
    """The rows of the tables `word | meaning` of a page."""
    tables = re.findall(
        r"^\| word \| meaning \|\n\|---\|---\|\n((?:\|.*\n)+)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: meaning for table in tables for name, meaning in ROW.findall(table)}


def test_the_docs_say_of_each_word_what_the_page_says():
    assert words(DOCS / "glossary.md") == glossary.TERMS
    for page in DOCS.glob("*.md"):
        defined = words(page)
        differing = {name for name in defined.keys() & glossary.TERMS.keys() if defined[name] != glossary.TERMS[name]}
        # results.md says of its own tables which task and how many skills.
        assert not differing - ({"target", "general"} if page.name == "results.md" else set()), page.name


def test_every_caption_explains_terms_that_exist_and_shows_nothing_else():
    for caption in CAPTIONS.values():
        html = glossary.explained(caption)
        assert html.count('class="term"') == caption.count("[") >= 3 and "[" not in html
    assert 'aria-label="rewrites: a new target text' in glossary.explained("The [rewrite|rewrites] <b>")
    assert "&lt;b&gt;" in glossary.explained("[gate] <b>")
