"""Embeddings of a sample of texts by source, as a run stores them, and the map that Compare and report draw of them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from patchrl.runs.folder import RunFolder
from patchrl.runs.projection import project

Vectors = dict[str, tuple[list[str], np.ndarray]]


def write_embeddings(path: Path, ids: Sequence[str], vectors: dict[str, np.ndarray]) -> None:
    """Write the ids of N examples and, by source, vectors of shape (N, D) in half precision."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with temporary.open("wb") as file:
        halves: dict[str, Any] = {name: vectors_ND.astype(np.float16) for name, vectors_ND in vectors.items()}
        np.savez(file, ids=np.array(ids), **halves)
    temporary.replace(path)


def read_embeddings(folder: RunFolder, arms: Sequence[str]) -> Vectors:
    """Ids and vectors of shape (N, D) by source: expert, own and prompted from the scan, then the arms'.

    Missing sources and damaged files are left out.
    """
    vectors = read_vectors(folder.embeddings("scan"))
    for arm in arms:
        vectors |= read_vectors(folder.embeddings(arm))
    return vectors


def embedding_map(folder: RunFolder) -> dict[str, Any] | None:
    """All sources on the plane of their first two principal components.

    `points` of shape (N, 2) and `ids` by source (expert, own, prompted, rl), and the shares of variance
    that both axes have `explained`; None before the scan.
    """
    vectors = read_embeddings(folder, ("rl",))
    plane = project({name: vectors_ND for name, (_, vectors_ND) in vectors.items()})
    if plane is None:
        return None
    points = {name: points_N2.tolist() for name, points_N2 in plane.points.items()}
    return {"points": points, "ids": {name: ids for name, (ids, _) in vectors.items()}, "explained": plane.explained}


def read_vectors(path: Path) -> Vectors:
    """Ids and vectors by source of one file; empty where it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids = [str(row_id) for row_id in stored["ids"]]
            vectors = {name: stored[name].astype(np.float32) for name in stored.files if name != "ids"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError):
        return {}
    by_text: Vectors = {}
    if any(vectors_ND.ndim != 2 or len(vectors_ND) != len(ids) for vectors_ND in vectors.values()):
        return {}
    for name, vectors_ND in vectors.items():
        finite = np.isfinite(vectors_ND).all(1)  # an empty text has no place
        by_text[name] = [row_id for row_id, is_finite in zip(ids, finite, strict=True) if is_finite], vectors_ND[finite]
    return by_text
