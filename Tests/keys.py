"""What each suite of tests depends on, as a digest: `keys.py` prints a line "NAME DIGEST" for each test target of Package.swift, over the
sources of the targets that it depends on, its own, and the manifest; `keys.py PATH ...` prints the digest of those files and folders.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
digests = {}


def digest(paths):
    """The digest of files and folders, by their names and bytes; of folders, what git does not ignore by habit."""
    whole = hashlib.sha256()
    for path in sorted(set(paths)):
        if path not in digests:
            files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
            part = hashlib.sha256()
            for file in files:
                part.update(str(file.relative_to(root)).encode() + b"\0")
                part.update(hashlib.sha256(file.read_bytes()).digest())
            digests[path] = part.digest()
        whole.update(digests[path])
    return whole.hexdigest()


if len(sys.argv) > 1:
    print(digest([root / path for path in sys.argv[1:]]))
    sys.exit()

described = subprocess.run(["swift", "package", "--scratch-path", os.environ.get("KILN_SCRATCH", ".build"), "describe", "--type", "json"],
                           cwd=root, capture_output=True, text=True, check=True).stdout
targets = {target["name"]: target for target in json.loads(described)["targets"]}


def closure(name, found):
    if name in targets and name not in found:
        found.add(name)
        for below in targets[name].get("target_dependencies", []):
            closure(below, found)
        # What a plugin builds into a target comes from elsewhere in the tree.
        if name == "KilnLLVM":
            found.update({"EmbedTool", "KilnRuntime", "KilnEmulator"})
    return found


# What tests read beside the sources that they are built from.
others = ["Tests/Goldens", "Package.swift", "README.md", "Tests/build"]
for name, target in sorted(targets.items()):
    if target["type"] == "test":
        # The architecture's tests read the whole tree.
        paths = ["Sources", "Runtime", "Tests"] if name == "ArchitectureTests" else [targets[t]["path"] for t in closure(name, set())]
        print(name, digest([root / path for path in paths + others]))
