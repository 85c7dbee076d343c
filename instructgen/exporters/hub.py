"""An exported folder -> a dataset repository of the Hugging Face Hub, in one commit; and back.

    push(Path("datasets/first"), "ann/first", Access(token="hf_..."))

Files that the Hub already has are not sent; data files of an earlier push that are gone are deleted; everything else
in the repository stays. Cut off in the middle, the same call goes on: what arrived is kept by the Hub.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

import instructgen.files as files
from instructgen.errors import ExportError, HubError
from instructgen.exporters import card
from instructgen.exporters.folder import MANIFEST, read_manifest
from instructgen.exporters.hub_access import ARRIVING, Access, asked_once, explained
from instructgen.exporters.vocabulary import problems

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["Access", "Plan", "Pushed", "plan", "pull", "push"]

README = "README.md"
PULLED = ".pulled.json"
"""In a pulled folder: which files came from where."""
_NAME = re.compile(
    r"(?!.*(\.\.|--)|.*\.git$)[a-z0-9]([\w.-]{0,94}\w)?/[a-z0-9]([\w.-]{0,94}\w)?", re.IGNORECASE | re.ASCII
)
"""What the Hub takes for user/name, and a little less."""
_TAG = re.compile(r"(?!.*(\.\.|\.lock$|\.$)|HEAD$)\w[\w.-]*")
"""What git takes for a tag or a part of a branch's name, and a little less."""
_DATA = re.compile(r"\w[\w-]*/\w[\w.-]*|dataset_info\.json|croissant\.json")
"""Paths that an export writes beside card and manifest."""


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
    replaced: tuple[str, ...] = ()
    """What people wrote into the card on the Hub that this folder's card says otherwise."""
    tag: str = ""
    """Name that the version gets."""
    tagged: bool = False
    """True when it has it already."""

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
    errand = _Errand(access.api(), folder, repo, _checked(folder, repo), revision, tag)
    if tag and create_pr:
        raise HubError(
            f"tag: a pull request is no version yet; push without a tag, and again with {tag!r} when it is merged"
        )
    endpoint = errand.api.endpoint
    plans: list[Plan] = []
    made = access.patiently(lambda: _commit(errand, plans, private, create_pr, message), repo, endpoint)
    if made.plan.is_empty and not plans[0].is_empty:  # the commit was made, and its answer lost
        made = made.model_copy(update={"plan": plans[0].model_copy(update={"tagged": made.plan.tagged})})
    if tag and not made.plan.tagged:
        access.patiently(lambda: _name(errand, made.commit), repo, endpoint)
    return made


def plan(folder: Path, repo: str, access: Access = Access(), *, revision: str = "main", tag: str = "") -> Plan:
    """Return what `push` would change, changing nothing. Raises: HubError, DataError."""
    errand = _Errand(access.api(), folder, repo, _checked(folder, repo), revision, tag)
    with explained(repo, errand.api.endpoint):
        return _planned(errand)[0]


def pull(repo: str, into: Path, access: Access = Access(), *, revision: str = "main", overwrite: bool = False) -> Path:
    """Fetch a dataset repository into a folder, which every command reads; in an earlier pull, files that the
    repository no longer has go. What a cut connection left is used by the next pull. Raises: HubError, ExportError.
    """
    _check_name(repo)
    arriving = into / ARRIVING
    files.claim(into, ARRIVING if arriving.is_dir() else PULLED, overwrite=overwrite)
    api = access.api()
    with explained(repo, api.endpoint):
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
    if not _NAME.fullmatch(repo):
        raise HubError(
            f"{repo!r} is no name of a dataset; expected user/name with letters, digits, '-', '_', '.' "
            "(none of these at an end, no '--', '..', '.git')"
        )


def _checked(folder: Path, repo: str) -> dict[str, Any]:
    """Return the manifest of a folder whose files are what it says, with a card that the Hub will take."""
    _check_name(repo)
    manifest = read_manifest(folder)
    for name, known in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != known["bytes"] or _sha256(path) != known["sha256"]:
            raise HubError(f"{path} is missing or was changed since the export; export again, then push")
    front, _ = card.split_card(files.read_text(folder / README), str(folder / README))
    wrong = problems(front)
    if wrong:
        raise HubError(f"{folder / README}: the Hub would refuse the card: {'; '.join(wrong)}")
    return manifest


@dataclass(frozen=True)
class _Errand:
    """What is to be published, and where."""

    api: HfApi
    folder: Path
    repo: str
    manifest: Mapping[str, Any]
    revision: str
    tag: str

    def __post_init__(self) -> None:
        """Raise HubError for a tag or a branch that git would refuse."""
        if self.tag and not _TAG.fullmatch(self.tag):
            raise HubError(
                f"tag: {self.tag!r} is no name for a version; expected letters, digits, '-', '_', '.', e.g. v1.0"
            )
        if not all(map(_TAG.fullmatch, self.revision.split("/"))):
            raise HubError(
                f"revision: {self.revision!r} is no name of a branch; expected letters, digits, '-', '_', '.', '/'"
            )
        if self.tag == self.revision:
            raise HubError(f"tag: {self.tag!r} is the branch's name; a version needs one of its own, e.g. v1.0")

    def names(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return tag -> commit, and branch -> commit, of the repository."""
        refs = self.api.list_repo_refs(self.repo, repo_type="dataset")
        tags, branches = ({one.name: one.target_commit for one in some} for some in (refs.tags, refs.branches))
        return tags, branches


def _commit(errand: _Errand, plans: list[Plan], private: bool, create_pr: bool, message: str) -> Pushed:
    """Make the repository if there is none, and one commit if there is a difference; the plan joins `plans`."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    api, repo, revision = errand.api, errand.repo, errand.revision
    planned, contents = _planned(errand)
    plans.append(planned)
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
    if create_pr:  # first, so that it can be tried again, as opening a request cannot
        api.preupload_lfs_files(repo, operations, repo_type="dataset", revision=revision, create_pr=True)
    with asked_once(f"{api.endpoint}/datasets/{repo}/discussions") if create_pr else nullcontext():
        done = api.create_commit(
            repo,
            [*operations, *gone],
            commit_message=message or f"Publish {errand.manifest['samples']:,} samples",
            repo_type="dataset",
            revision=revision,
            create_pr=create_pr,
            parent_commit=planned.parent or None,
        )
    return Pushed(plan=planned, commit=done.oid, url=done.pr_url or done.commit_url)


def _name(errand: _Errand, commit: str) -> None:
    """Give a commit its tag, which it has if the answer to an earlier attempt was lost."""
    there = errand.names()[0].get(errand.tag)
    if there is None:
        errand.api.create_tag(errand.repo, tag=errand.tag, revision=commit, repo_type="dataset")
    elif there != commit:
        raise HubError(
            f"{errand.repo}: the data is there, as commit {commit[:12]}, but somebody gave its tag {errand.tag!r} to "
            f"{there[:12]} meanwhile; push again with another --tag"
        )


def _planned(errand: _Errand) -> tuple[Plan, dict[str, Path | bytes]]:
    """Return the plan, and name -> file or bytes of all that the repository shall hold."""
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    api, folder, repo, revision = errand.api, errand.folder, errand.repo, errand.revision
    contents: dict[str, Path | bytes] = {name: folder / name for name in errand.manifest["files"]}
    contents[MANIFEST] = folder / MANIFEST
    known = True
    try:
        parent = api.repo_info(repo, repo_type="dataset", revision=revision).sha or ""
    except RepositoryNotFoundError:
        parent = ""
    except RevisionNotFoundError:
        known, parent = False, api.repo_info(repo, repo_type="dataset").sha or ""
    if revision.startswith("refs/") and not (known and parent):
        raise HubError(
            f"{repo}: there is no {revision!r}; an open pull request is named refs/pr/NUMBER, --create-pr opens one, "
            "and a branch goes by its name alone"
        )
    remote = _remote(api, repo, parent) if parent else {}
    contents[README], replaced = _card(api, folder, repo, parent if README in remote else "")
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
        replaced=tuple(replaced),
        tag=errand.tag,
    )
    if parent and (errand.tag or revision != "main"):
        made = made.model_copy(update={"tagged": _has_tag(errand, made)})
    return made, contents


def _has_tag(errand: _Errand, planned: Plan) -> bool:
    """Tell whether the version has its tag already. Raises: HubError when tag or branch name something else there."""
    (tags, branches), tag, revision = errand.names(), errand.tag, errand.revision
    if not (planned.branches or revision in branches or revision.startswith("refs/")):
        kind = "tag" if revision in tags else "commit"
        raise HubError(f"{errand.repo}: {revision!r} is a {kind} there, not a branch; name a branch to push to")
    if tag in branches:
        raise HubError(f"{errand.repo}: {tag!r} is a branch there; choose another --tag")
    if tag not in tags or (planned.is_empty and tags[tag] == planned.parent):
        return tag in tags
    raise HubError(
        f"{errand.repo}: the tag {tag!r} exists already and names commit {tags[tag][:12]}, not what is to be pushed; "
        f"nothing was sent. Choose another --tag, or delete it there: "
        f"hf repos tag delete {errand.repo} {tag} --type dataset"
    )


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


def _card(api: HfApi, folder: Path, repo: str, revision: str) -> tuple[bytes, list[str]]:
    """Return the card to publish, with what people wrote there, and what of that it replaces."""
    text, replaced = card.addressed(files.read_text(folder / README), repo), list[str]()
    if revision:
        there = _fetched(api, repo, revision, README).decode("utf-8", "replace")
        text, replaced = card.joined(text, there, f"{README} of {repo} on the Hub")
    return text.encode(), replaced


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
