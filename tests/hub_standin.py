"""A Hugging Face Hub on loopback: enough of the HTTP API for unmodified clients to create, push, list and read back.

    with standing_in(tmp_path) as hub:           # hub.url, hub.log of (method, path, status)
        HfApi(endpoint=hub.url, token="hf_any")

Uploads go over classic LFS (set HF_HUB_DISABLE_XET=1 in the client), in parts (`chunk=65536`), or over xet
(`xet=True`): there client and stand-in share a folder, hf_xet's own `local://` store. Faults can be ordered:

    hub.faults.append(Fault("POST", "/commit/", 503))          # once; `times=2` for two
    hub.faults.append(Fault("PUT", "/_lfs/", cut=True))        # reads half of the body, then hangs up
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import fnmatch
import hashlib
import json
import re
import struct
import tempfile
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

GITATTR = "".join(
    f"*.{e} filter=lfs diff=lfs merge=lfs -text\n"
    for e in [
        "7z",
        "arrow",
        "bin",
        "bz2",
        "gz",
        "lz4",
        "msgpack",
        "npy",
        "npz",
        "parquet",
        "pickle",
        "pkl",
        "rar",
        "tar",
        "tgz",
        "xz",
        "zip",
        "zst",
    ]
)
LFS_GLOBS = [line.split()[0] for line in GITATTR.splitlines()]
REGULAR_MAX = 10 * 2**20  # the hub stores larger files, and binaries, as LFS/xet
TYPES = {"datasets": "dataset", "models": "model", "spaces": "space"}


class HubError(Exception):
    def __init__(self, status, code="", msg="", **body):
        self.status, self.code, self.msg, self.body = status, code, msg or code, body


class Store:
    """Repos in memory, blobs content-addressed on disk (sha256)."""

    def __init__(self, root):
        self.root = Path(root)
        (self.root / "blobs").mkdir(parents=True, exist_ok=True)
        self.repos, self.lock, self.parts, self.xet = {}, threading.RLock(), {}, {}

    def put(self, data):
        oid = hashlib.sha256(data).hexdigest()
        (self.root / "blobs" / oid).write_bytes(data)
        return oid

    def get(self, oid):
        return (self.root / "blobs" / oid).read_bytes()

    def has(self, oid):
        return (self.root / "blobs" / oid).exists()

    def pull_xet(self, oid):
        """Find sha256 `oid` in the shards hf_xet left in the local:// store, and rebuild the bytes with hf_xet."""
        for shard in (self.root / "cas/xet/xorbs/shards").glob("*.mdb"):
            d, o = shard.read_bytes(), 48
            while (fh := d[o : o + 32]) != b"\xff" * 32:  # file section: header, segments, [verification], [sha256]
                flags, n = struct.unpack("<II", d[o + 32 : o + 40])
                o += 48
                size = sum(struct.unpack("<I", d[o + 48 * i + 36 : o + 48 * i + 40])[0] for i in range(n))
                o += 48 * n * (2 if flags >> 31 else 1)
                if flags >> 30 & 1:
                    if _xet_hex(d[o : o + 32]) == oid:
                        self._rebuild(_xet_hex(fh), size, oid)
                        return
                    o += 48

    def _rebuild(self, xet, size, oid):
        import hf_xet

        with tempfile.TemporaryDirectory() as t:
            with hf_xet.XetSession().new_file_download_group(
                endpoint=f"local://{self.root.resolve()}/cas", token="t", token_expiry_unix_secs=2**31
            ) as g:
                g.start_download_file(hf_xet.XetFileInfo(xet, size), t + "/f")
            if self.put(Path(t, "f").read_bytes()) != oid:
                raise HubError(400, "", "xet content does not match sha256")
        self.xet[oid] = xet

    def entry(self, data, lfs):
        sha256 = self.put(data)
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(data)}\n".encode()
        git = pointer if lfs else data
        return {
            "oid": hashlib.sha1(b"blob %d\0" % len(git) + git).hexdigest(),
            "size": len(data),
            "sha256": sha256,
            "lfs": lfs,
            "pointer": len(pointer),
        }

    def commit(self, repo, files, title, branch, desc=""):
        parent = repo["branches"].get(branch)
        date = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sha = hashlib.sha1(
            json.dumps(
                [parent, title, date, time.monotonic_ns(), sorted((p, f["oid"]) for p, f in files.items())]
            ).encode()
        ).hexdigest()
        repo["commits"][sha] = {
            "id": sha, "title": title, "message": desc, "date": date, "parent": parent, "files": files,
        }  # fmt: skip
        repo["branches"][branch] = sha
        return sha

    def repo(self, kind, rid):
        try:
            return self.repos[kind, rid]
        except KeyError:
            raise HubError(404, "RepoNotFound", "Repository not found") from None

    def rev(self, repo, rev):
        rev = unquote(rev)
        sha = repo["branches"].get(rev) or repo["tags"].get(rev) or (rev if rev in repo["commits"] else None)
        if not sha:
            raise HubError(404, "RevisionNotFound", f"Invalid rev id: {rev}")
        return repo["commits"][sha]


def _xet_hex(raw):
    """Return a xet hash as hex: four little-endian 64-bit numbers."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    S = property(lambda self: self.server.store)

    # ---- plumbing -------------------------------------------------------
    def log_message(self, fmt, *a):
        self.server.log.append((self.command, self.path, fmt % a))

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            out = b""
            while n := int(self.rfile.readline().split(b";")[0], 16):
                out += self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
            return out
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, obj=b"", status=200, headers=()):
        data = obj if isinstance(obj, bytes) else json.dumps(obj).encode()
        self.send_response(status)
        for k, v in dict(headers).items():
            self.send_header(k, v)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(data)))
        if not isinstance(obj, bytes):
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def fault(self):
        """Return the ordered fault that this request meets, if any."""
        for fault in self.server.faults:
            if fault.times and fault.method == self.command and fault.path in self.path:
                fault.times -= 1
                return fault
        return None

    def route(self):
        """Answer a request: a fault, or what its endpoint says."""
        fault = self.fault()
        if fault and fault.cut:
            self.rfile.read(int(self.headers.get("Content-Length") or 2) // 2)
            self.server.log.append((self.command, self.path, "cut"))
            self.close_connection = True
            self.connection.close()
            return None
        u = urlsplit(self.path)
        self.q = parse_qs(u.query)
        self.raw = self.body()
        try:
            if fault and fault.status:
                raise HubError(fault.status, "", fault.message)
            for method, pat, fn in ROUTES:
                if self.command in method and (m := re.fullmatch(pat, u.path)):
                    if fn.__name__ in NEEDS_TOKEN and not self.headers.get("Authorization", "").startswith("Bearer "):
                        raise HubError(401, "", "Invalid username or password.")
                    if fault and fault.lost:
                        self.send = lambda *a, **k: None
                        self.close_connection = True
                    with self.S.lock:
                        return fn(
                            self, **{k: v and (unquote(v) if k == "path" else v) for k, v in m.groupdict().items()}
                        )
            raise HubError(404, "", f"no such endpoint {self.command} {u.path}")
        except HubError as e:
            self.send(
                {"error": e.msg, **e.body},
                e.status,
                {"X-Error-Code": e.code, "X-Error-Message": e.msg} if e.code else {},
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = route

    json = property(lambda self: json.loads(self.raw or b"{}"))
    base = property(lambda self: self.server.url)

    # ---- repos ----------------------------------------------------------
    def whoami(self):
        self.send(
            {
                "type": "user",
                "id": "0",
                "name": self.server.user,
                "fullname": "stand-in",
                "orgs": [],
                "auth": {"type": "access_token", "accessToken": {"displayName": "t", "role": "write"}},
            }
        )

    def create(self):
        j = self.json
        kind = j.get("type") or "model"
        rid = f"{j.get('organization') or self.server.user}/{j['name']}"
        url = f"{self.base}/{'' if kind == 'model' else kind + 's/'}{rid}"
        if rid.split("/", maxsplit=1)[0] != self.server.user:
            raise HubError(403, "", "You don't have the rights to create a dataset under this namespace")
        if (kind, rid) in self.S.repos:
            raise HubError(409, "", "You already created this repo", url=url)
        r = self.S.repos[kind, rid] = {
            "id": rid,
            "kind": kind,
            "private": bool(j.get("private") or j.get("visibility") == "private"),
            "branches": {},
            "tags": {},
            "commits": {},
        }
        self.S.commit(r, {".gitattributes": self.S.entry(GITATTR.encode(), False)}, "initial commit", "main")
        self.send({"url": url, "name": rid, "id": rid})

    def delete(self):
        j = self.json
        if not self.S.repos.pop(
            (j.get("type") or "model", f"{j.get('organization') or self.server.user}/{j['name']}"), None
        ):
            raise HubError(404, "RepoNotFound")
        self.send({})

    def settings(self, kind, rid):
        r = self.S.repo(TYPES[kind], rid)
        r["private"] = bool(self.json.get("private", self.json.get("visibility") == "private"))
        self.send({})

    def info(self, kind, rid, rev=None):
        r = self.S.repo(TYPES[kind], rid)
        c = self.S.rev(r, rev or "main")
        self.send(
            {
                "_id": rid,
                "id": rid,
                "author": rid.split("/")[0],
                "sha": c["id"],
                "lastModified": c["date"],
                "createdAt": c["date"],
                "private": r["private"],
                "gated": False,
                "disabled": False,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": [{"rfilename": p} for p in sorted(c["files"])],
            }
        )

    def refs(self, kind, rid):
        r = self.S.repo(TYPES[kind], rid)
        branches, tags = ([{"name": n, "ref": f"refs/{place}/{n}", "targetCommit": sha} for n, sha in r[kind].items()]
                          for kind, place in (("branches", "heads"), ("tags", "tags")))  # fmt: skip
        self.send({"branches": branches, "tags": tags, "converts": []})

    def commits(self, kind, rid, rev):
        r = self.S.repo(TYPES[kind], rid)
        c = self.S.rev(r, rev)
        out = []
        while c:
            out.append(
                {
                    "id": c["id"],
                    "title": c["title"],
                    "message": c["message"],
                    "date": c["date"],
                    "authors": [{"user": self.server.user}],
                }
            )
            c = r["commits"].get(c["parent"])
        self.send(out)

    def ref(self, kind, rid, what, rev):
        r = self.S.repo(TYPES[kind], rid)
        rev = unquote(rev)
        j = self.json if self.raw else {}
        d = r["branches" if what == "branch" else "tags"]
        name = rev if what == "branch" or self.command == "DELETE" else j["tag"]
        if self.command == "DELETE":
            if d.pop(name, None) is None:
                raise HubError(404, "RevisionNotFound")
        elif name in d:
            raise HubError(409, "", f"Reference {name} already exists")
        else:
            d[name] = self.S.rev(r, j.get("startingPoint", "main") if what == "branch" else rev)["id"]
        self.send({})

    # ---- reading --------------------------------------------------------
    @staticmethod
    def item(p, f):
        if f is None:
            return {"type": "directory", "path": p, "oid": hashlib.sha1(p.encode()).hexdigest(), "size": 0}
        return {
            "type": "file",
            "path": p,
            "oid": f["oid"],
            "size": f["size"],
            **({"lfs": {"oid": f["sha256"], "size": f["size"], "pointerSize": f["pointer"]}} if f["lfs"] else {}),
        }

    @staticmethod
    def dirs(files):
        return {"/".join(p.split("/")[:i]) for p in files for i in range(1, p.count("/") + 1)}

    def tree(self, kind, rid, rev, path=None):
        files = self.S.rev(self.S.repo(TYPES[kind], rid), rev)["files"]
        pre = path.rstrip("/") + "/" if path else ""
        if path and path not in self.dirs(files):
            raise HubError(404, "EntryNotFound", f"{path} does not exist")
        rec = self.q.get("recursive", ["false"])[0].lower() in ("true", "1")
        every = {**dict.fromkeys(self.dirs(files)), **files}
        items = [
            self.item(p, f)
            for p, f in sorted(every.items())
            if p.startswith(pre) and p != path and (rec or "/" not in p[len(pre) :])
        ]
        off = int(self.q.get("cursor", ["0"])[0])
        n = self.server.page
        hdr = {}
        if off + n < len(items):
            hdr["Link"] = f'<{self.base}{urlsplit(self.path).path}?recursive={rec}&cursor={off + n}>; rel="next"'
        self.send(items[off : off + n], headers=hdr)

    def paths_info(self, kind, rid, rev):
        files = self.S.rev(self.S.repo(TYPES[kind], rid), rev)["files"]
        form = self.json if "json" in self.headers.get("Content-Type", "") else parse_qs(self.raw.decode())
        self.send([self.item(p, files.get(p)) for p in form.get("paths", []) if p in files or p in self.dirs(files)])

    def resolve(self, kind, rid, rev, path):
        r = self.S.repo(TYPES[kind or "models"], rid)
        c = self.S.rev(r, rev)
        f = c["files"].get(path)
        if r["private"] and not self.headers.get("Authorization"):
            raise HubError(401, "RepoNotFound", "Invalid username or password.")
        if not f:
            missing = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", "X-Repo-Commit": c["id"]}
            self.send({"error": "Entry not found"}, 404, missing)
            return
        hdr = {
            "X-Repo-Commit": c["id"],
            "Accept-Ranges": "bytes",
            "ETag": f'"{f["oid"]}"',
            "Content-Disposition": f'inline; filename="{path.split("/")[-1]}"',
        }
        if self.server.xet and f["sha256"] in self.S.xet:
            hdr.update(
                {
                    "X-Xet-Hash": self.S.xet[f["sha256"]],
                    "Link": f'<{self.base}/api/{kind or "models"}/{rid}/xet-read-token/{c["id"]}>; rel="xet-auth"',
                }
            )
        # The real hub answers LFS files with 302 to its CDN. The CDN must be on another host name: the client
        # follows same-host redirects itself on HEAD and then misses X-Repo-Commit. Hence localhost, not 127.0.0.1.
        if f["lfs"] and self.server.cdn:
            place = f"http://localhost:{self.server.server_address[1]}/_cdn/{f['sha256']}"
            linked = {"X-Linked-Size": str(f["size"]), "X-Linked-Etag": f'"{f["sha256"]}"', "Location": place}
            self.send(b"", 302, hdr | linked)
            return
        self.blob(f["sha256"], hdr)

    def blob(self, oid, hdr=()):
        data = self.S.get(oid)
        hdr = {"ETag": f'"{oid}"', "Accept-Ranges": "bytes", **dict(hdr)}
        status = 200
        if m := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")):
            a = int(m[1]) if m[1] else len(data) - int(m[2])
            b = min(int(m[2]) if m[1] and m[2] else len(data) - 1, len(data) - 1)
            hdr["Content-Range"] = f"bytes {a}-{b}/{len(data)}"
            data = data[a : b + 1]
            status = 206
        self.send(data, status, {**hdr, "Content-Length": str(len(data)), "Content-Type": "application/octet-stream"})

    # ---- writing --------------------------------------------------------
    def preupload(self, kind, rid, rev):
        r = self.S.repo(TYPES[kind], rid)
        files = self.S.rev(r, rev)["files"]
        out = []
        ignore = [g for g in self.json.get("gitIgnore", "").split() if not g.startswith("#")]
        for f in self.json["files"]:
            name = f["path"].split("/")[-1]
            sample = base64.b64decode(f["sample"])
            lfs = f["size"] > REGULAR_MAX or any(fnmatch.fnmatch(name, g) for g in LFS_GLOBS) or b"\0" in sample
            old = files.get(f["path"])
            out.append(
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if lfs else "regular",
                    "shouldIgnore": any(fnmatch.fnmatch(f["path"], g) for g in ignore),
                    "oid": (old["sha256"] if old["lfs"] else old["oid"]) if old else None,
                }
            )
        self.send({"files": out, "commitOid": self.S.rev(r, rev)["id"]})

    def batch(self, rid, kind=None):
        self.S.repo(TYPES[kind or "models"], rid)
        out = []
        j = self.json
        chunk = self.server.chunk
        for o in j["objects"]:
            a = {}
            if not self.S.has(o["oid"]):
                up = {"href": f"{self.base}/_lfs/{o['oid']}", "header": {}}
                if chunk and o["size"] > chunk and "multipart" in j["transfers"]:
                    up = {
                        "href": f"{self.base}/_lfs/{o['oid']}/complete",
                        "header": {
                            "chunk_size": str(chunk),
                            **{
                                str(i + 1): f"{self.base}/_lfs/{o['oid']}/part/{i + 1}"
                                for i in range(-(-o["size"] // chunk))
                            },
                        },
                    }
                a = {"actions": {"upload": up, "verify": {"href": f"{self.base}/_lfs/{o['oid']}/verify"}}}
            out.append({"oid": o["oid"], "size": o["size"], "authenticated": True, **a})
        self.send({"transfer": "multipart" if chunk else "basic", "objects": out})

    def lfs_put(self, oid):
        if hashlib.sha256(self.raw).hexdigest() != oid:
            raise HubError(400, "", "sha256 mismatch")
        self.S.put(self.raw)
        self.send(b"", headers={"ETag": f'"{oid}"'})

    def lfs_part(self, oid, n):
        self.S.parts[oid, int(n)] = self.raw
        self.send(b"", headers={"ETag": f'"{hashlib.md5(self.raw).hexdigest()}"'})

    def lfs_complete(self, oid):
        self.raw = b"".join(self.S.parts.pop((oid, part["partNumber"])) for part in self.json["parts"])
        self.lfs_put(oid)

    def lfs_verify(self, oid):
        if not self.S.has(oid) or len(self.S.get(oid)) != self.json["size"]:
            raise HubError(404, "", "object not found")
        self.send({})

    def xet_token(self, kind, rid, what, rev):
        self.S.repo(TYPES[kind], rid)
        if not self.server.xet:
            raise HubError(404, "", "xet is off: set HF_HUB_DISABLE_XET=1, or start with --xet")
        cas, exp = f"local://{self.S.root.resolve()}/cas", int(time.time()) + 3600
        self.send(
            {"casUrl": cas, "accessToken": "t", "exp": exp},
            headers={"X-Xet-Cas-Url": cas, "X-Xet-Access-Token": "t", "X-Xet-Token-Expiration": str(exp)},
        )

    def changed(self, files, operation, value):
        """Return the files of a commit after one of its operations."""
        path = value.get("path", "")
        if operation == "file":
            content = value["content"]
            data = base64.b64decode(content) if value.get("encoding") == "base64" else content.encode()
            return {**files, path: self.S.entry(data, False)}
        if operation == "lfsFile":
            if self.server.xet and not self.S.has(value["oid"]):
                self.S.pull_xet(value["oid"])
            if not self.S.has(value["oid"]):
                raise HubError(400, "", f"LFS object {value['oid']} not uploaded")
            return {**files, path: self.S.entry(self.S.get(value["oid"]), True)}
        if operation == "deletedFile":
            if path not in files:
                raise HubError(404, "EntryNotFound", f"{path} does not exist")
            return {name: known for name, known in files.items() if name != path}
        if operation == "deletedFolder":
            return {name: known for name, known in files.items() if not name.startswith(path.rstrip("/") + "/")}
        raise HubError(400, "", f"unknown operation {operation}")

    def commit(self, kind, rid, rev):
        r = self.S.repo(TYPES[kind], rid)
        rev = unquote(rev)
        base = self.S.rev(r, rev)
        lines = [json.loads(line) for line in self.raw.splitlines()]
        head = next(line["value"] for line in lines if line["key"] == "header")
        files = dict(base["files"])
        for line in lines:
            if line["key"] != "header":
                files = self.changed(files, line["key"], line["value"])
        if head.get("parentCommit") not in (None, base["id"]):
            raise HubError(412, "", "A commit has happened since. Please refresh and try again.")
        if rev not in r["branches"]:
            raise HubError(400, "", "can only commit to a branch")
        pr = "create_pr" in self.q
        branch = f"refs/pr/{1 + sum(b.startswith('refs/pr/') for b in r['branches'])}" if pr else rev
        if pr:
            r["branches"][branch] = base["id"]
        sha = self.S.commit(r, files, head["summary"], branch, head.get("description", ""))
        url = f"{self.base}/{'' if kind == 'models' else kind + '/'}{rid}"
        self.send(
            {
                "success": True,
                "commitOid": sha,
                "commitUrl": f"{url}/commit/{sha}",
                "hookOutput": "",
                **({"pullRequestUrl": f"{url}/discussions/{branch[8:]}"} if pr else {}),
            }
        )

    def yaml(self):
        m = re.match(r"(?:\ufeff)?---\r?\n(.*?)\r?\n---", self.json["content"], re.DOTALL)
        err = []  # the real hub has the full schema; keep the checks that bite
        if (
            m
            and (b := re.search(r"^license:\s*(\S+)\s*$", m[1], re.MULTILINE))
            and not re.fullmatch(r"[a-z0-9.\-]+", b[1])
        ):
            err.append({"message": '"license" must be one of the known ids'})
        self.send(
            {"errors": err, "warnings": [] if m else [{"message": "empty or missing yaml metadata in repo card"}]},
            400 if err else 200,
        )


ID = r"(?P<kind>datasets|models|spaces)/(?P<rid>[\w.\-]+(?:/[\w.\-]+)?)"
WEB = r"/(?:(?P<kind>datasets|spaces)/)?(?P<rid>[\w.\-]+/[\w.\-]+)"
OID, REV = r"(?P<oid>[0-9a-f]{64})", r"(?P<rev>[^/]+)"
H = Handler
ROUTES = [
    ("GET", "/api/whoami-v2", H.whoami),
    ("POST", "/api/repos/create", H.create),
    ("DELETE", "/api/repos/delete", H.delete),
    ("POST", "/api/validate-yaml", H.yaml),
    ("PUT", f"/api/{ID}/settings", H.settings),
    ("GET", f"/api/{ID}/refs", H.refs),
    ("GET", f"/api/{ID}/commits/{REV}", H.commits),
    ("POST DELETE", f"/api/{ID}/(?P<what>branch|tag)/{REV}", H.ref),
    ("GET", f"/api/{ID}/tree/{REV}(?:/(?P<path>.+))?", H.tree),
    ("POST", f"/api/{ID}/paths-info/{REV}", H.paths_info),
    ("POST", f"/api/{ID}/preupload/{REV}", H.preupload),
    ("POST", f"/api/{ID}/commit/{REV}", H.commit),
    ("GET", f"/api/{ID}/revision/{REV}", H.info),
    ("GET", f"/api/{ID}", H.info),
    ("GET", f"/api/{ID}/xet-(?P<what>read|write)-token/{REV}", H.xet_token),
    ("POST", f"{WEB}\\.git/info/lfs/objects/batch", H.batch),
    ("PUT", f"/_lfs/{OID}", H.lfs_put),
    ("PUT", f"/_lfs/{OID}/part/(?P<n>\\d+)", H.lfs_part),
    ("POST", f"/_lfs/{OID}/complete", H.lfs_complete),
    ("POST", f"/_lfs/{OID}/verify", H.lfs_verify),
    ("GET HEAD", f"/_cdn/{OID}", H.blob),
    ("GET HEAD", f"{WEB}/resolve/{REV}/(?P<path>.+)", H.resolve),
]
NEEDS_TOKEN = {"create", "delete", "settings", "ref", "preupload", "batch", "commit", "whoami"}


@dataclass
class Fault:
    """An answer that the next matching request gets instead of its own."""

    method: str
    path: str
    """A part of the path."""
    status: int = 0
    cut: bool = False
    lost: bool = False
    """Done, and the connection closed instead of an answer."""
    times: int = 1
    message: str = "out of order"


@contextlib.contextmanager
def standing_in(root, *, chunk=0, page=1000, cdn=True, user="tester", xet=False):
    """Serve on 127.0.0.1 while inside; the server has `url`, `log`, `faults` and `store`.

    `chunk`: files above this many bytes are uploaded in parts. `page`: entries of one listing. `cdn`: large files are
    redirected to another host name, as the Hub does. `user`: whose token every token is.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.store, server.log, server.faults = Store(root), [], []
    server.chunk, server.page, server.cdn, server.user, server.xet = chunk, page, cdn, user, xet
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
