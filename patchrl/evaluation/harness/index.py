"""The harness's task names. As a script, tells which of the names on standard input do not exist."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from lm_eval.tasks import TaskManager

MAX_SUGGESTIONS = 3


def manager_for(names: Iterable[str], folders: Sequence[str]) -> TaskManager:
    """A task manager that knows those of the names that exist; `folders` are PatchRL's and maybe a person's own.

    Reading the harness's 14,000 task files takes seconds, and is spared where the folders have every name. A
    group in a person's folder may be made of the harness's own tasks, so that these are read for it.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    local = TaskManager(include_path=list(folders), include_defaults=False)
    for name in names:
        entry = local.task_index.get(name)
        if entry is None or (name in local.all_groups and entry.yaml_path.parent != Path(folders[0])):
            return TaskManager(include_path=list(folders))
    return local


def main() -> None:
    query = json.load(sys.stdin)
    known = manager_for(query["names"], query["folders"]).all_tasks
    unknown = {n: get_close_matches(n, known, MAX_SUGGESTIONS) for n in query["names"] if n not in set(known)}
    print(json.dumps(unknown))


if __name__ == "__main__":
    main()
