"""The documents, executed: Python in the READMEs runs, and examples of errors give the error they describe."""

import pathlib
import re
import subprocess
import sys

import pytest

import girih

ROOT = pathlib.Path(__file__).resolve().parents[3]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def blocks(page):
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def run(code, folder, name):
    """In a file, as its readers would: kernels need a source."""
    path = folder / name
    path.write_text(code, encoding="utf-8")
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("page", ["README.md", "frontends/python/README.md"])
def test_the_readmes_run(page, tmp_path):
    found = blocks(page)
    assert found, f"{page} has no Python"
    for at, code in enumerate(found):
        done = run(code, tmp_path, f"block{at}.py")
        assert done.returncode == 0, done.stderr


def sections():
    found = []
    page = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        code = BLOCK.search(section)
        if code:
            found.append(pytest.param(section[:4], code[1], id=section[:4]))
    return found


@pytest.mark.parametrize("code, example", sections())
def test_errors_happen_as_described(code, example, tmp_path):
    path = tmp_path / "example.py"
    path.write_text(example)
    with pytest.raises(girih.Error) as e:
        exec(compile(example, str(path), "exec"), {"__name__": "example"})
    assert e.value.code == code, e.value


def test_the_doctor(device):
    done = subprocess.run([sys.executable, "-m", "girih.doctor"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"\n{device}: " in done.stdout and done.stdout.rstrip().endswith("All good.")
