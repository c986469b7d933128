"""A folder as a repository of the Hugging Face Hub: created, checked and filled in one commit."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from patchrl.errors import HubError
from patchrl.text import number

# What is pushed -> the kind of repository it becomes.
REPO_TYPES = {"dataset": "dataset", "adapter": "model"}
_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9])?"
REPO = re.compile(rf"{_NAME}/{_NAME}")


def check_request(kind: str, repo: str) -> None:
    """Raise HubError for what cannot be pushed at all: an unknown kind, or a name that no repository can have."""
    if kind not in REPO_TYPES:
        raise HubError(f"Push {kind!r}: choose one of {', '.join(REPO_TYPES)}.")
    if not REPO.fullmatch(repo) or "--" in repo or ".." in repo or len(repo) > 96 or repo.endswith(".git"):
        raise HubError(f"Repository {repo!r}: write OWNER/NAME, with letters, digits, single - and ., and _.")


def token_of(token: str | None) -> str:
    """The token to push with: the one given, else the login of this machine's owner.

    On Spaces nobody but the visitor may pay for a push: the Space's own token is never used. Raises HubError without a
    token.
    """
    if token:
        return token
    if os.environ.get("SPACE_ID"):
        raise HubError("Sign in first: on Spaces a push needs your own account, and never uses the Space's.")
    from huggingface_hub import get_token

    login = get_token()
    if not login:
        raise HubError(
            "This machine is not signed in to the Hub: run `hf auth login`, or set HF_TOKEN, and push again."
        )
    return login


def upload(
    kind: str, repo: str, folder: Path, *, token: str, private: bool, on_step: Callable[[str], None] = lambda step: None
) -> str:
    """Make the repository where it is missing, put the folder's files into it by one commit, and return its address.

    An existing repository must already be as private or public as requested. Raises HubError with one sentence for everything
    that goes wrong; the commit is made whole or not at all.
    """
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    api, type_ = HfApi(token=token), REPO_TYPES[kind]
    files = sorted(path for path in folder.iterdir() if path.is_file())
    try:
        on_step(f"Asking the Hub for {repo}")
        address = api.create_repo(repo, repo_type=type_, private=private, exist_ok=True)
        existing = api.repo_info(repo, repo_type=type_)
        if bool(existing.private) != private:
            current, requested = ("private", "public") if existing.private else ("public", "private")
            raise HubError(
                f"{repo} exists and is {current}, and a push changes that of no repository: choose another name, or make it "
                f"{requested} in its settings on the Hub."
            )
        size = sum(path.stat().st_size for path in files) / 1e6
        on_step(f"Uploading {len(files)} files, {number(size, 1)} MB, to {repo}")
        # Not upload_folder: with Xet it may make several commits of one folder, and splits one that fails.
        api.create_commit(
            repo,
            [CommitOperationAdd(path.name, path) for path in files],
            commit_message=f"PatchRL {kind}",
            repo_type=type_,
        )
    except HfHubHTTPError as error:
        raise HubError(_refusal(error.response.status_code, error.server_message, repo, type_)) from None
    except OfflineModeIsEnabled:
        raise HubError("The Hub is switched off here by HF_HUB_OFFLINE; unset it and push again.") from None
    except (HTTPError, OSError) as error:
        raise HubError(f"The Hub does not answer ({type(error).__name__}); check the network and push again.") from None
    except ValueError as error:  # the card's head, which the Hub checks before anything is uploaded
        raise HubError(f"The Hub refuses the card: {_line(str(error))}.") from None
    return str(address)


def _refusal(status: int, message: str | None, repo: str, type_: str) -> str:
    """Why the Hub refused, in a sentence that says what to do."""
    owner = repo.partition("/")[0]
    if status == 401:
        return "The Hub does not accept this token; sign in again and push once more."
    if status in (402, 403):
        return f"This token may not write to {repo}: use one with write access to {owner}, or another owner."
    if status == 404:
        return f"{repo} is no {type_} this token can see, and its name is taken: choose another name."
    if status == 429 or status >= 500:
        return f"The Hub is busy or out of order (status {status}); push again later."
    return f"The Hub refuses {repo} (status {status}): {_line(message or 'no reason given')}."


def _line(text: str) -> str:
    return " ".join(text.split())[:300].rstrip(".")
