#!/usr/bin/env python3
"""Builds whole CUDA programs with `girih nvcc`, runs them, and asks their own self-checks.

    programs.py CORPUS [--girih PATH] [--device cpu] [--only REGEX] [--timeout S] [--markdown]

CORPUS holds the folders `samples` (NVIDIA's cuda-samples) and `llmc` (llm.c), fetched beside this repository. What is built and how
a program says that it passed is in programs.tsv. Two kinds of edits are made to copies of sources, both named in the table: smaller
problem sizes, where the program's own would take hours on a processor, and nothing else.
"""

import argparse
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent


def rows():
    """The table: suite, folder, sources, arguments, sizes, what a pass looks like."""
    for line in (HERE / "programs.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            cells = [cell.strip() for cell in line.split("|")]
            yield dict(zip(["suite", "name", "folder", "sources", "args", "sizes", "passed"], cells, strict=True))


def resize(text, sizes):
    """Sets `int B = 8;` and the like to smaller numbers; a size that is not there is an error of the table."""
    head, main, text = text.partition("int main(")
    for size in sizes.split():
        name, value = size.split("=")
        text, n = re.subn(rf"(\b{name}\s*=\s*)[0-9][0-9 *]*(?=[;,])", rf"\g<1>{value}", text, count=1)
        if n == 0:
            sys.exit(f"there is no size `{name}`")
    return head + main + text


def build(row, corpus, girih, out):
    """The program, or why there is none."""
    folder = corpus / row["suite"] / row["folder"]
    work = out / row["name"]
    shutil.copytree(folder, work, dirs_exist_ok=True)
    sources = row["sources"].split()
    if row["sizes"]:
        first = work / sources[0]
        first.write_text(resize(first.read_text(), row["sizes"]))
    common = corpus / "samples" / "Common"
    command = [girih, "nvcc", *sources, "-I", ".", "-I", "inc", "-I", common, "-O2", "-o", "program"]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        return None, "does not build: " + (errors or ["?"])[0].strip()
    return work / "program", ""


def run(program, args, passed, device, timeout):
    """Whether the output says that the check passed; the last reason why not. What follows the check is not waited for."""
    environment = {**os.environ, "GIRIH_DEVICE": device}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(program.parent)
        os.execve(program, [str(program), *args], environment)
    text, end, status = "", time.monotonic() + timeout, None
    try:
        while time.monotonic() < end:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:
                piece = b""
            if not piece:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                break
            text += piece.decode(errors="replace").replace("\r", "")
            # A pattern that needs the exit status ends in `$`.
            if not passed.endswith("$") and re.search(passed, text):
                return True, ""
    finally:
        if status is None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(terminal)
    refused = re.search(r"^(error\[.*)$", text, re.M)
    pattern = passed.removesuffix("$")
    if status == 0 and re.search(pattern, text) and (pattern or not refused):
        return True, ""
    if refused:
        return False, refused.group(1)
    if status is None:
        return False, f"not done after {timeout} s"
    lines = [line for line in text.splitlines() if re.search("fail|error|mismatch", line, re.I)] or text.splitlines()
    return False, f"exit status {status}: {(lines or ['no output'])[-1].strip()[:160]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("--girih", default=os.environ.get("GIRIH", "girih"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="")
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    corpus, results = options.corpus.resolve(), []
    with tempfile.TemporaryDirectory() as out:
        for row in rows():
            if not re.search(options.only, f"{row['suite']}/{row['name']}"):
                continue
            program, why = build(row, corpus, options.girih, pathlib.Path(out))
            for args in row["args"].split(";") if program else [""]:
                good = False
                begin = time.monotonic()
                if program:
                    good, why = run(program, args.split(), row["passed"], options.device, options.timeout)
                name = f"{row['name']} {args.strip()}".strip()
                results.append((row["suite"], name, good, why))
                if options.markdown:
                    print(f"| {row['suite']} | {name} | {'passes' if good else why} |", flush=True)
                else:
                    print(f"{'ok  ' if good else 'FAIL'} {row['suite']:8} {name:34} {time.monotonic() - begin:6.1f} s  {why}", flush=True)
    passed = sum(good for _, _, good, _ in results)
    print(f"{passed} of {len(results)} pass on {options.device}")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
