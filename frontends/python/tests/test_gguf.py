"""Language models, on the file that the other tests of the project use (`GIRIH_MODELS`, `GIRIH_REQUIRE_MODELS=1`)."""

import os
import pathlib

import pytest

import girih

MODEL = pathlib.Path(os.environ.get("GIRIH_MODELS", "")) / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def model():
    if not MODEL.is_file():
        if os.environ.get("GIRIH_REQUIRE_MODELS") == "1":
            pytest.fail(f"{MODEL} is not there")
        pytest.skip("no model")
    return girih.GGUF(MODEL, device="cpu", context=256)


def test_an_answer_comes_in_pieces(model):
    assert (model.device, model.architecture, model.context) == ("cpu", "llama", 256)
    answer = model.generate("What is the capital of France?", max_tokens=12)
    pieces = list(answer)
    assert len(pieces) > 3 and "Paris" in "".join(pieces)
    assert answer.text == "".join(pieces) == str(answer)
    assert answer.finish == "stop" and len(answer.tokens) <= 12
    assert answer.figures["prompt_tokens"] > 20


def test_conversations_and_limits(model):
    talk = [{"role": "user", "content": "What is the capital of France?"}]
    assert "Paris" in model.generate(talk, max_tokens=12).text
    short = model.generate("One, two, three,", max_tokens=2, raw=True)
    assert len(short.tokens) == 2 and short.finish == "length"
    drawn = [model.generate("A", max_tokens=4, temperature=1.5, seed=s, raw=True).tokens for s in (1, 1, 2)]
    assert drawn[0] == drawn[1]


def test_an_answer_let_go_ends(model):
    answer = model.generate("Count to one thousand.", max_tokens=200)
    next(iter(answer))
    del answer
    # The next one is served although nobody read the first to its end.
    assert model.generate("Hi", max_tokens=1).finish in ("length", "stop")


def test_mistakes(model, tmp_path):
    with pytest.raises(girih.Error) as e:
        model.generate("word " * 400, max_tokens=1).text
    assert e.value.code == "M015"
    with pytest.raises(girih.Error):
        model.generate("x", temperature=-1.0).text
    nothing = tmp_path / "no.gguf"
    nothing.write_bytes(b"nothing of the kind")
    for path in (nothing, tmp_path / "absent.gguf"):
        with pytest.raises(girih.Error) as e:
            girih.GGUF(path, device="cpu")
        assert e.value.code.startswith("M")
