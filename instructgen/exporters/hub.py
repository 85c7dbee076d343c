"""An exported folder -> a dataset repository of the Hugging Face Hub, in one commit; and back.

    push(Path("datasets/first"), "ann/first", Access(token="hf_..."))

Files that the Hub already has are not sent; data files of an earlier push that are gone are deleted; everything else
in the repository stays. Cut off in the middle, the same call goes on: what arrived is kept by the Hub.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict

import instructgen.files as files
from instructgen.errors import ExportError, HubError
from instructgen.exporters import card
from instructgen.exporters.folder import MANIFEST, read_manifest
from instructgen.exporters.vocabulary import problems

if TYPE_CHECKING:
    from huggingface_hub import HfApi

T = TypeVar("T")
README = "README.md"
PULLED = ".pulled.json"
"""In a pulled folder: which files came from where."""
ARRIVING = ".pulling"
"""In it while a pull is under way: what has arrived so far."""
RETRIED = frozenset({409, 412, 429, 500, 502, 503, 504})
"""Answers after which a commit is tried again: another writer was faster, or the Hub is busy."""
ATTEMPTS = 6
FIRST_PAUSE = 1.0
"""Seconds before the second attempt; doubled each time."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
_TAG = re.compile(r"(?!.*(\.\.|\.lock$|\.$))\w[\w.-]*")
"""What git takes for a tag, and a little less."""
_DATA = re.compile(r"\w[\w-]*/\w[\w.-]*|dataset_info\.json|croissant\.json")
"""Paths that an export writes beside card and manifest."""


@dataclass(frozen=True)
class Access:
    """How to reach the Hub; what is left empty, the environment says (HF_TOKEN, HF_ENDPOINT)."""

    token: str = ""
    endpoint: str = ""
    pause: Callable[[float], None] = field(default=time.sleep)
    """Waits between attempts."""

    def api(self) -> HfApi:
        """Return the client."""
        from huggingface_hub import HfApi

        return HfApi(endpoint=self.endpoint or None, token=self.token or None, library_name="instructgen")


class Plan(BaseModel):
    """What a push would change."""

    model_config = ConfigDict(frozen=True)

    repo: str
    creates: bool
    """True when the repository does not exist yet."""
    branches: bool
    """True when the branch does not exist yet; it begins at main."""
    parent: str
    """Commit that the plan was made against, "" for a new repository."""
    add: tuple[str, ...]
    delete: tuple[str, ...]
    unchanged: tuple[str, ...]
    bytes: int
    """Size of the files to send."""

    @property
    def is_empty(self) -> bool:
        """True when the Hub already has all of it."""
        return not (self.add or self.delete)


class Pushed(BaseModel):
    """What a push did."""

    model_config = ConfigDict(frozen=True)

    plan: Plan
    commit: str
    """Hash of the commit that holds the dataset now."""
    url: str
    """Page of the commit or of the pull request."""


def push(
    folder: Path,
    repo: str,
    access: Access = Access(),
    *,
    private: bool = False,
    revision: str = "main",
    create_pr: bool = False,
    tag: str = "",
    message: str = "",
) -> Pushed:
    """Publish a finished export. Raises: HubError that says what the Hub refused and what to do; DataError."""
    manifest = _checked(folder, repo)
    if tag and not _TAG.fullmatch(tag):
        raise HubError(f"tag: {tag!r} is no name for a version; expected letters, digits, '-', '_', '.', e.g. v1.0")
    api = access.api()
    for attempt in range(ATTEMPTS):
        try:
            with _explained(repo, api.endpoint):
                made = _commit(api, folder, manifest, repo, private, revision, create_pr, message)
            break
        except _Again as again:
            if attempt == ATTEMPTS - 1:
                raise HubError(
                    f"{repo}: the Hub still says {again} after {ATTEMPTS} attempts; push again later"
                ) from again
            access.pause(FIRST_PAUSE * 2**attempt)
    if tag:
        with _explained(repo, api.endpoint, tag=tag):
            api.create_tag(repo, tag=tag, revision=made.commit, repo_type="dataset")
    return made


def plan(folder: Path, repo: str, access: Access = Access(), *, revision: str = "main") -> Plan:
    """Return what `push` would change, changing nothing. Raises: HubError, DataError."""
    manifest = _checked(folder, repo)
    api = access.api()
    with _explained(repo, api.endpoint):
        return _planned(api, folder, manifest, repo, revision)[0]


def pull(repo: str, into: Path, access: Access = Access(), *, revision: str = "main", overwrite: bool = False) -> Path:
    """Fetch a dataset repository into a folder, which every command reads; in an earlier pull, files that the
    repository no longer has go. What a cut connection left is used by the next pull. Raises: HubError, ExportError.
    """
    _check_name(repo)
    arriving = into / ARRIVING
    files.claim(into, ARRIVING if arriving.is_dir() else PULLED, overwrite=overwrite)
    api = access.api()
    with _explained(repo, api.endpoint):
        commit = api.repo_info(repo, repo_type="dataset", revision=revision).sha or revision
        names = set(_remote(api, repo, commit))
        api.snapshot_download(repo, repo_type="dataset", revision=commit, local_dir=arriving)
    try:
        _settle(into, arriving, names, {"repo": repo, "commit": commit})
    except OSError as error:
        raise ExportError(f"{into}: cannot be written: {files.describe(error)}") from error
    return into


def _settle(into: Path, arriving: Path, names: set[str], known: dict[str, Any]) -> None:
    """Put what has arrived in the place of an earlier pull; the manifest goes first and comes last."""
    import shutil

    old = set[str]()
    if (into / PULLED).is_file():
        old = set(files.loads((into / PULLED).read_bytes()).get("files", ()))

    def note(held: set[str]) -> None:
        with files.whole_file(into / PULLED) as file:
            file.write(files.dumps(known | {"files": sorted(held)}) + b"\n")

    note(old | names)
    for name in sorted(old, key=lambda name: name != MANIFEST):
        (into / name).unlink(missing_ok=True)
    for folder in {(into / name).parent for name in old - names} - {into}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    for name in sorted(names, key=lambda name: name == MANIFEST):
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        (arriving / name).replace(into / name)
    note(names)
    shutil.rmtree(arriving)


def _check_name(repo: str) -> None:
    if not _NAME.fullmatch(repo) or ".." in repo or "--" in repo:
        raise HubError(f"{repo!r} is no name of a dataset; expected user/name with letters, digits, '-', '_', '.'")


def _checked(folder: Path, repo: str) -> dict[str, Any]:
    """Return the manifest of a folder whose files are what it says, with a card that the Hub will take."""
    _check_name(repo)
    manifest = read_manifest(folder)
    for name, known in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != known["bytes"] or _sha256(path) != known["sha256"]:
            raise HubError(f"{path} is missing or was changed since the export; export again, then push")
    front, _ = card.split_card(files.read_text(folder / README))
    wrong = problems(front)
    if wrong:
        raise HubError(f"{folder / README}: the Hub would refuse the card: {'; '.join(wrong)}")
    return manifest


def _commit(
    api: HfApi,
    folder: Path,
    manifest: dict[str, Any],
    repo: str,
    private: bool,
    revision: str,
    create_pr: bool,
    message: str,
) -> Pushed:
    """Make the repository if there is none, and one commit if there is a difference."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    planned, contents = _planned(api, folder, manifest, repo, revision)
    if planned.creates:
        api.create_repo(repo, repo_type="dataset", private=private)
        planned = planned.model_copy(update={"parent": api.repo_info(repo, repo_type="dataset").sha or ""})
    elif private:
        api.update_repo_settings(repo, repo_type="dataset", private=True)
    if planned.branches:
        api.create_branch(repo, repo_type="dataset", branch=revision, exist_ok=True)
    if planned.is_empty:
        return Pushed(plan=planned, commit=planned.parent, url=f"{api.endpoint}/datasets/{repo}")
    operations = [CommitOperationAdd(name, contents[name]) for name in planned.add]
    gone = [CommitOperationDelete(name) for name in planned.delete]
    done = api.create_commit(
        repo,
        [*operations, *gone],
        commit_message=message or f"Publish {manifest['samples']:,} samples",
        repo_type="dataset",
        revision=revision,
        create_pr=create_pr,
        parent_commit=planned.parent or None,
    )
    return Pushed(plan=planned, commit=done.oid, url=done.pr_url or done.commit_url)


def _planned(
    api: HfApi, folder: Path, manifest: dict[str, Any], repo: str, revision: str
) -> tuple[Plan, dict[str, Path | bytes]]:
    """Return the plan, and name -> file or bytes of all that the repository shall hold."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    contents: dict[str, Path | bytes] = {name: folder / name for name in manifest["files"]}
    contents[MANIFEST] = folder / MANIFEST
    known = True
    try:
        parent = api.repo_info(repo, repo_type="dataset", revision=revision).sha or ""
    except RepositoryNotFoundError:
        parent = ""
    except RevisionNotFoundError:
        known, parent = False, api.repo_info(repo, repo_type="dataset").sha or ""
    remote = _remote(api, repo, parent) if parent else {}
    contents[README] = _card(api, folder, repo, parent if README in remote else "")
    add = [name for name, content in sorted(contents.items()) if remote.get(name) not in _oids(content)]
    ours = _brought(api, repo, parent) if MANIFEST in remote else set()
    gone = [name for name in sorted(remote) if name not in contents and name in ours and _DATA.fullmatch(name)]
    made = Plan(
        repo=repo,
        creates=not parent,
        branches=not known or (not parent and revision != "main"),
        parent=parent,
        add=tuple(add),
        delete=tuple(gone),
        unchanged=tuple(sorted(set(contents) - set(add))),
        bytes=sum(_size(contents[name]) for name in add),
    )
    return made, contents


def _remote(api: HfApi, repo: str, revision: str) -> dict[str, str]:
    """Return path -> sha256 (large files) or git's hash of what the repository holds."""
    from huggingface_hub.hf_api import RepoFile

    tree = api.list_repo_tree(repo, repo_type="dataset", revision=revision, recursive=True)
    return {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree if isinstance(one, RepoFile)}


def _brought(api: HfApi, repo: str, parent: str) -> set[str]:
    """Return the files that an earlier push brought: the manifest there names them."""
    try:
        found = files.loads(_fetched(api, repo, parent, MANIFEST))
    except ValueError:
        return set()
    return (
        set(found.get("files", {})) if isinstance(found, dict) and found.get("written_by") == "instructgen" else set()
    )


def _fetched(api: HfApi, repo: str, revision: str, name: str) -> bytes:
    return Path(api.hf_hub_download(repo, name, repo_type="dataset", revision=revision)).read_bytes()


def _card(api: HfApi, folder: Path, repo: str, revision: str) -> bytes:
    """Return the card to publish: our blocks, with what people wrote around them there if nobody did so here."""
    text = files.read_text(folder / README).replace("PATH_OR_NAME", repo)
    if revision:
        there = _fetched(api, repo, revision, README).decode("utf-8", "replace")
        if card.by_hand(there) and not card.by_hand(text):
            front, _ = card.split_card(text)
            text = card.render(front, card.blocks(text), there)
    return text.encode()


def _size(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _oids(content: Path | bytes) -> set[str]:
    """Return both hashes that the Hub may list a content under: sha256 and git's blob hash."""
    whole = hashlib.sha256()
    git = hashlib.sha1(f"blob {_size(content)}\0".encode(), usedforsecurity=False)
    for piece in [content] if isinstance(content, bytes) else _pieces(content):
        whole.update(piece)
        git.update(piece)
    return {whole.hexdigest(), git.hexdigest()}


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


class _Again(HubError):  # noqa: N818 - where nothing tries again, its message is for the user
    """The Hub's answer is one that passes."""


@contextmanager
def _explained(repo: str, endpoint: str, tag: str = "") -> Iterator[None]:
    """Turn the client's errors into one message each, or into `_Again`."""
    import httpx2
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except RevisionNotFoundError as error:
        raise HubError(f"{repo}: no such revision there; name a branch or tag that exists") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = error.server_message or str(error).splitlines()[0]
        if tag and status == 409:
            raise HubError(f"{repo}: the tag {tag!r} exists already; choose another, or delete it there") from error
        if status in RETRIED and "already created" not in said:
            raise _Again(f"{status} ({said})") from error
        if isinstance(error, RepositoryNotFoundError) and status == 404:
            raise HubError(
                f"{repo}: no such dataset at {endpoint}, or not yours to see; check the name and the token"
            ) from error
        raise HubError(f"{repo}: {_reason(status, said, endpoint)}") from error
    except ValueError as error:
        if "YAML" in str(error) or "metadata" in str(error):
            raise HubError(f"{repo}: the Hub refuses the card: {' '.join(str(error).split())}") from error
        raise
    except (
        httpx2.HTTPError,
        LocalEntryNotFoundError,
        ConnectionError,
        RuntimeError,
    ) as error:  # hf_xet reports its own as RuntimeError
        raise _Again(f"no answer from {endpoint}: {error or type(error).__name__}") from error


def _reason(status: int, said: str, endpoint: str) -> str:
    hints = {
        401: f"{endpoint} does not know us (401: {said}); give a token with --token or HF_TOKEN",
        403: f"the token may not write there (403: {said}); use one with write access to this name",
        404: f"not found at {endpoint} (404: {said})",
        409: f"the name is taken (409: {said}); choose another name",
        413: f"a file is too large (413: {said}); export with a smaller Options.shard_bytes",
    }
    return hints.get(status, f"the Hub refused it ({status}: {said})")
