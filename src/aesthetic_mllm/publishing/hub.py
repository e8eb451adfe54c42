"""Sending a checkpoint's folder to the Hub in one commit, by huggingface_hub; what goes wrong is one message with a remedy."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from .checkpoint_files import ADAPTERS, CHECKPOINT, CODE, OTHER_WEIGHTS, belongs, folder_files
from .folder_check import Problem, check_folder

MESSAGE = "Upload a checkpoint of aesthetic-mllm"
# Of what an earlier commit left, what would be loaded with, or told of, other weights; pictures and the like stay.
# So does code of the user's own: only what `save_pretrained` writes is replaced.
REPLACED = tuple(
    pattern
    for pattern in dict.fromkeys((*CHECKPOINT, *ADAPTERS, *OTHER_WEIGHTS, *sorted(CODE)))
    if pattern not in ("LICENSE", "NOTICE")
)


class PushError(Exception):
    """A checkpoint could not be sent; the message says why, and what to do.

    Args:
        message: for a user.
        again: whether the same call may succeed later.
    """

    def __init__(self, message: str, again: bool = False):
        super().__init__(message)
        self.again = again


@dataclass(frozen=True)
class Pushed:
    """What was sent.

    Args:
        repository: its Hub id.
        url: of the commit, or of the pull request.
        files: paths in the repository that make up the checkpoint, with their sizes.
        deleted: paths that an earlier commit had left.
    """

    repository: str
    url: str
    files: dict[str, int]
    deleted: Sequence[str]


def push_folder(
    folder: Path,
    repository: str,
    *,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
    token: str | None = None,
) -> Pushed:
    """Sends the files that make up a checkpoint, in one commit. What is at the Hub already is not sent again.

    The folder is not checked: see [`check_folder`].

    Args:
        folder: as `save_pretrained` of model and processor left it, or of LoRA adapters.
        repository: "owner/name", or a name of the user's own; made where there is none.
        private: nobody else sees it; of a repository that is there already it is not changed.
        revision: branch, made where there is none; default the main one.
        create_pr: as a pull request, which needs no right to write.
        message: of the commit.
        token: default what `hf auth login` stored, or the environment's HF_TOKEN.

    Raises:
        PushError: it could not be sent.
    """
    api, files = HfApi(token=token), folder_files(folder).own
    with clear_errors(repository, token, create_pr):
        if token is None and get_token() is None:
            raise LocalTokenNotFoundError("no token")
        if create_pr:  # to what is there; one may propose without the right to make it
            repository = _known(api, repository)
        else:
            repository = api.create_repo(repository, private=private or None, exist_ok=True).repo_id
        if private and not api.model_info(repository).private:
            raise PushError(
                f"{repository} is there already, and everybody can see it. Make it private on its settings page, or push to "
                "another name. Nothing was sent."
            )
        if revision is not None and not create_pr:
            api.create_branch(repository, branch=revision, exist_ok=True)
        # the state that is looked at is the one that is changed: two pushes at once must not leave files of both
        parent = api.model_info(repository, revision=None if create_pr else revision).sha
        there = api.list_repo_files(repository, revision=parent)
        deleted = [name for name in there if belongs(name, REPLACED) and name not in files]
        operations: list[Any] = [CommitOperationAdd(name, folder / name) for name in files]
        operations += [CommitOperationDelete(name) for name in deleted]
        # not upload_folder, which splits what is large into several commits where hf_xet is installed
        commit = api.create_commit(
            repository,
            operations,
            commit_message=message or MESSAGE,
            revision=None if create_pr else revision,
            create_pr=create_pr,
            parent_commit=parent,
        )
    return Pushed(repository, commit.pr_url or commit.commit_url, files, deleted)


def check_target(repository: str, revision: str | None = None) -> None:
    """Raises [`PushError`] where a repository's or a branch's name is none, before anything is read or sent."""
    with clear_errors(repository):
        validate_repo_id(repository)
    if revision is not None and (not re.fullmatch(r"[\w.+-]+(?:/[\w.+-]+)*", revision) or ".." in revision):
        raise PushError(f"{revision!r} is no name of a branch. Give one such as next.")


def _known(api: HfApi, repository: str) -> str:
    try:
        return str(api.model_info(repository).id)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401 and not _token_known(api):
            raise
        raise PushError(
            f"{repository} is not there, or is hidden from you: nothing can be proposed to it. Leave --create-pr out to make it."
        ) from error


def _token_known(api: HfApi) -> bool:
    try:
        return bool(api.whoami())
    except HfHubHTTPError:
        return False


def check_before_push(folder: Path, loads: bool = True) -> list[Problem]:
    """The problems of a folder that do not keep it from working: what is not described enough.

    Raises:
        PushError: it would not work, or tell what must not be told.
    """
    problems = check_folder(folder, loads)
    harmful = [problem for problem in problems if problem.harms]
    if harmful:
        raise PushError(f"{folder} cannot be sent: {' '.join(map(str, harmful))}")
    return problems


@contextmanager
def clear_errors(repository: str, token: str | None = None, create_pr: bool = False) -> Iterator[None]:
    """What the Hub's client raises inside, as a [`PushError`].

    Args:
        repository, token, create_pr: as of [`push_folder`].
    """
    try:
        yield
    except PushError:
        raise
    except Exception as error:
        told = _told(error, repository, token, create_pr)
        if told is None:
            raise
        raise told from error


def _told(error: BaseException, repository: str, token: str | None, create_pr: bool) -> PushError | None:
    """The message of what went wrong; `None` for what is none of the Hub's errors."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:  # uploads wrap what has happened to them
        chain.append(error)
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    for each in chain:
        if isinstance(each, LocalTokenNotFoundError):
            return PushError("no token of the Hub was found. Log in with `hf auth login`, or set HF_TOKEN.")
        if isinstance(each, OfflineModeIsEnabled):
            return PushError("HF_HUB_OFFLINE is set, so nothing can be sent. Unset it.")
        if isinstance(each, HFValidationError):
            return PushError(f"{repository!r} is no name of a repository ({each}). Give OWNER/NAME.")
        if isinstance(each, HfHubHTTPError):
            return _told_by_status(each, repository, token, create_pr)
        if _is_connection(each):
            return PushError(
                f"the connection to {HfApi().endpoint} failed or broke off ({str(each).rstrip('.') or type(each).__name__}). "
                "Nothing was committed; run the same command again, which goes on with the files that are not there yet.",
                again=True,
            )
    for each in chain:
        if isinstance(each, ValueError) and "metadata" in str(each).lower():  # of the card, before anything is sent
            return PushError(f"the Hub refuses the card's metadata: {each}. Mend the first lines of README.md.")
    return None


def _is_connection(error: BaseException) -> bool:
    """Of the HTTP client, whose package has changed its name, or of the system."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"TransportError", "ConnectionError"}) or isinstance(error, TimeoutError)


def _told_by_status(error: HfHubHTTPError, repository: str, token: str | None, create_pr: bool) -> PushError:
    status = error.response.status_code
    server = " ".join((error.server_message or "").split())
    if status == 401 and not isinstance(error, RepositoryNotFoundError):
        return PushError("the Hub does not know the token. Log in with `hf auth login`, or set HF_TOKEN anew.")
    if isinstance(error, RevisionNotFoundError):
        return PushError(f"{repository} has no such revision. {server}")
    if status in (401, 403, 404):
        return PushError(_not_allowed(repository, token, create_pr))
    if status in (409, 412):
        return PushError(f"{repository} was changed meanwhile ({server}). Run the same command again.", again=True)
    if status == 429 or status >= 500:
        return PushError(f"the Hub answers {status} ({server or 'no reason told'}). Run the same command later.", again=True)
    return PushError(f"the Hub refuses it with {status}: {server or error}. Mend that, and run the same command again.")


def _not_allowed(repository: str, token: str | None, create_pr: bool) -> str:
    """Why one may not write, as far as the Hub tells."""
    try:
        who = HfApi(token=token).whoami()
    except Exception:  # what it was asked for has failed anyway
        who = {}
    user = str(who.get("name", ""))
    mine = {user, *(str(each.get("name")) for each in who.get("orgs") or ())}
    role = ((who.get("auth") or {}).get("accessToken") or {}).get("role")
    owner = repository.partition("/")[0] if "/" in repository else user
    if role == "read":
        return (
            f"the token of {user} can only read. Make one that can write at https://huggingface.co/settings/tokens, and log in "
            "with `hf auth login`."
        )
    if user and owner not in mine:
        pr = "" if create_pr else ", or propose it with --create-pr"
        name = repository.rpartition("/")[2]
        return f"{repository} belongs to {owner}, and you are {user}. Push to {user}/{name}{pr}."
    return f"this token may not write to {repository}. Give it that right at https://huggingface.co/settings/tokens."
