"""The commands of editing, as a user runs them, and their one-sentence refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from i2i_edit.captions import CaptionEncoder, CaptionTranslator
from i2i_edit.style_encoder import StyleEncoder
from i2i_edit.vectors import load_vector
from PIL import Image

from i2i.cli import run as command
from i2i.engine import checkpoint
from i2i.errors import I2IError
from i2i.use.loaded import load


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that ends with status 2 and no traceback."""
    status = command(arguments)
    said = capsys.readouterr().err
    assert status != 0
    assert "Traceback" not in said
    return " ".join(said.replace("│", " ").split())


def test_directions_and_edits(run_folder: Path, captions: Path, tmp_path: Path, capsys) -> None:
    run, out = str(run_folder), tmp_path / "out.png"
    assert command(["directions", run, "--method", "sefa", "--count", "2"]) == 0
    assert command(["edit", run, "--seed", "3", "--direction", "sefa1=2", "--output", str(out)]) == 0
    assert Image.open(out).size == (16, 16)
    vector = tmp_path / "both.safetensors"
    text = ["--text", "red hair", "--text-encoder", str(captions), "--text-steps", "2", "--save-vector", str(vector)]
    assert command(["edit", run, "--seed", "3", "--direction", "sefa0=-1", *text, "--output", str(out)]) == 0
    again = tmp_path / "again.png"
    assert command(["edit", run, "--seed", "3", "--vector", f"{vector}:1", "--output", str(again)]) == 0
    assert out.read_bytes() == again.read_bytes()
    assert load_vector(vector).ws is not None

    known = refused(["edit", run, "--seed", "3", "--direction", "smile=1"], capsys)
    assert "has no direction 'smile'; it has sefa0, sefa1, and i2i directions finds more" in known
    assert "expected NAME=STRENGTH, got 'sefa0'" in refused(
        ["edit", run, "--seed", "3", "--direction", "sefa0"], capsys
    )
    assert "expected either IMAGE or --seed" in refused(["edit", run], capsys)
    assert "got an empty text" in refused(["edit", run, "--seed", "3", "--text", " "], capsys)
    assert "a text needs --text-encoder" in refused(["edit", run, "--seed", "3", "--text", "red hair"], capsys)
    wrong = ["edit", run, "--seed", "3", "--text", "red horse", "--text-encoder", str(captions)]
    assert "no caption has the word 'horse'" in refused(wrong, capsys)
    assert "needs either --labels or --tagger" in refused(["directions", run, "--method", "tags"], capsys)


def test_a_vector_of_another_generator_is_refused(run_folder: Path, other_run: Path, tmp_path: Path, capsys) -> None:
    folder = tmp_path / "directions"
    assert (
        command(["directions", str(run_folder), "--method", "ganspace", "--samples", "50", "--output", str(folder)])
        == 0
    )
    vector = folder / "ganspace0.safetensors"
    said = refused(["edit", str(other_run), "--seed", "3", "--vector", str(vector)], capsys)
    assert "this vector belongs to another generator" in said


def test_project_with_an_encoder(run_folder: Path, encoder: Path, tmp_path: Path, capsys) -> None:
    run, image, file = str(run_folder), tmp_path / "face.png", tmp_path / "face.safetensors"
    Image.new("RGB", (40, 30), (200, 120, 90)).save(image)
    assert command(["project", run, str(image), "--encoder", str(encoder), "--steps", "0", "--output", str(file)]) == 0
    assert (tmp_path / "face.projected.png").is_file()
    assert command(["edit", run, str(file), "--output", str(tmp_path / "out.png")]) == 0
    assert "--steps 0 needs --encoder" in refused(["project", run, str(image), "--steps", "0"], capsys)
    said = refused(["project", run, str(image), "--encoder", run, "--steps", "0"], capsys)
    assert "expected a run of a style encoder" in said
    translator = load(encoder, "cpu").translator
    assert isinstance(translator, StyleEncoder)
    frozen, source = translator.generator.state_dict(), checkpoint.find(run_folder).weights(averaged=True)
    assert all(torch.equal(value, source[f"generator.{name}"]) for name, value in frozen.items())
    assert load(encoder, "cpu").translate(image, "image").size == (16, 16)


def test_a_mapper_is_trained_for_a_text(run_folder: Path, captions: Path, tmp_path: Path) -> None:
    mapper = tmp_path / "mapper.safetensors"
    text = [
        "--text",
        "red hair",
        "--text-encoder",
        str(captions),
        "--steps",
        "2",
        "--level",
        "medium",
        "--output",
        str(mapper),
    ]
    assert command(["text-mapper", str(run_folder), *text]) == 0
    out = tmp_path / "out.png"
    assert command(["edit", str(run_folder), "--seed", "1", "--mapper", f"{mapper}:1", "--output", str(out)]) == 0


def test_a_global_direction_changes_conversions_to_rgb(run_folder: Path, captions: Path, tmp_path: Path) -> None:
    text = ["--text", "red hair", "--neutral", "blue hair", "--text-encoder", str(captions), "--rgb", "--beta", "0.01"]
    assert command(["directions", str(run_folder), "--method", "text", *text, "--output", str(tmp_path)]) == 0
    (path,) = tmp_path.glob("*.safetensors")
    assert "b16.torgb" in load_vector(path).styles


def test_the_caption_encoder_is_a_run_of_its_own(captions: Path, run_folder: Path) -> None:
    encoder = CaptionEncoder(captions)
    assert isinstance(encoder.translator, CaptionTranslator)
    assert encoder.embed_image(torch.zeros(2, 3, 20, 20)).shape == (2, 64)
    assert encoder.embed_text(["red hair", "glasses, smile"]).shape == (2, 64)
    with pytest.raises(I2IError, match="expected a run of caption_encoder, found one of stylegan2_small"):
        CaptionEncoder(run_folder)


def test_a_pipeline_generates_frames_of_an_edit(run_folder: Path, tmp_path: Path, capsys) -> None:
    assert command(["directions", str(run_folder), "--method", "sefa", "--count", "1"]) == 0
    chain = tmp_path / "chain.toml"
    chain.write_text(
        f'[[stages]]\ntype = "edit"\nrun = "{run_folder}"\nseed = 3\nframes = 4\ndirections = {{ sefa0 = 2.0 }}\n'
        f'[output]\npath = "{tmp_path / "frames"}"\n'
    )
    assert command(["pipeline", str(chain)]) == 0
    assert "1. edit: 16 x 16 pixels, 4 frames at 25 per second" in capsys.readouterr().out
    for number, strength in ((0, 0), (3, 2)):
        alone = tmp_path / f"{number}.png"
        edited = ["--direction", f"sefa0={strength}"]
        assert command(["edit", str(run_folder), "--seed", "3", *edited, "--output", str(alone)]) == 0
        frame = Image.open(tmp_path / "frames" / f"{number:06}.png")
        assert frame.tobytes() == Image.open(alone).convert("RGB").tobytes()
    chain.write_text(chain.read_text().replace("{ sefa0 = 2.0 }", "{ smile = 2.0 }"))
    assert "has no direction 'smile'" in refused(["pipeline", str(chain)], capsys)
