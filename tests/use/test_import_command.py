"""Command lines of other codes become recipes; each flag is mapped, named as irrelevant, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from i2i.cli import run as run_command
from i2i.errors import I2IError
from i2i.recipe.recipe import Recipe
from i2i.use.command_lines import Code, cyclegan_flags, ugatit
from i2i.use.command_lines.convert import convert
from i2i.use.command_lines.flags import Flag

BN = {"type": "bn", "statistics": "batch"}
COMMANDS: dict[str, tuple[str, dict[str, Any]]] = {
    # Of the README and the scripts of pytorch-CycleGAN-and-pix2pix.
    "python train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan --use_wandb": (
        "cyclegan",
        {"data.root": "./datasets/maps", "train.epochs": 200, "data.load_size": 286, "train.trackers": ["wandb"]},
    ),
    "set -ex\npython train.py --dataroot ./datasets/maps --name maps_cyclegan --model cycle_gan "
    "--pool_size 50 --no_dropout": (
        "cyclegan",
        {"translator.pool": 50, "schedule.start": 0.5},
    ),
    "python train.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix "
    "--direction BtoA --use_wandb": (
        "pix2pix",
        {"translator.source": "b", "data.root": "./datasets/facades", "train.epochs": 200},
    ),
    "python train.py --dataroot ./datasets/facades --name facades_pix2pix --model pix2pix --netG "
    "unet_256 --direction BtoA "
    "--lambda_L1 100 --dataset_mode aligned --norm batch --pool_size 0": (
        "pix2pix",
        {"translator.generator.levels": 8, "translator.generator.norm": BN, "losses.l1.weight": 100},
    ),
    "torchrun --nproc_per_node=4 train.py --dataroot ./datasets/maps --name maps --model cycle_gan --norm instance": (
        "cyclegan",
        {"translator.generator.norm": "in", "translator.generator.bias": True},
    ),
    "python train.py --gpu_ids 0,1,2,3 --batch_size 16 --norm instance --dataroot ./datasets/maps "
    "--name maps_cyclegan "
    "--model cycle_gan --pool_size 50 --no_dropout": ("cyclegan", {"train.batch_size": 16}),
    # Of the discussions of its users.
    "python train.py --dataroot ./datasets/yicyclepix --name human --model cycle_gan --n_epochs 100 "
    "--n_epochs_decay 100 "
    "--lambda_A 25 --lambda_B 25 --batch_size 3 --netG resnet_6blocks --preprocess crop --load_size "
    "286 --crop_size 256 "
    "--display_id -1": (
        "cyclegan",
        {
            "translator.generator.blocks": 6,
            "losses.cycle.weight": 25,
            "losses.identity.weight": 12.5,
            "data.resize": "none",
        },
    ),
    "python3 train.py --dataroot ./datasets/human2simpson --name h2s --model cycle_gan --pool_size "
    "50 --no_dropout \\\n"
    " --loadSize 128 --fineSize 128 --display_winsize 128 --netG 'resnet_6blocks' --verbose --ngf 32 --ndf 32 "
    "--lambda_identity 0.5 --batch_size 4 --norm 'batch'": (
        "cyclegan",
        {
            "data.size": 128,
            "data.load_size": 128,
            "translator.generator.channels": 32,
            "translator.generator.bias": False,
        },
    ),
    "python train.py --continue_train --display_env=mapillary --loadSize=542 --fineSize=512 "
    "--dataroot /data/mapillary "
    "--name mapillary_512 --model cycle_gan --pool_size 50 --no_dropout --display_port 6006 "
    "--checkpoints_dir=/data/ckpts/": (
        "cyclegan",
        {"data.load_size": 542, "data.size": 512, "train.init": "cyclegan-pytorch:/data/ckpts/mapillary_512"},
    ),
    "python train.py --dataroot ./datasets/lsb_un --name lsb --model cycle_gan --netD n_layers "
    "--n_layers_D 4 --input_nc 1 "
    "--output_nc 3 --direction BtoA --lambda_A 10 --lambda_B 5 --lambda_identity 0.1 --no_lsgan": (
        "cyclegan",
        {
            "translator.discriminators.local.layers": 6,
            "data.channels": {"a": 3, "b": 1},
            "losses.cycle.weight": {"a": 5, "b": 10},
            "losses.identity.weight": {"a": 0.5, "b": 1},
            "losses.gan.type": "bce_gan",
        },
    ),
    # Of the README and the launchers of CUT.
    "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_CUT --CUT_mode CUT": (
        "cut",
        {"train.epochs": 400, "schedule.epochs": 400, "schedule.start": 0.5},
    ),
    "python train.py --dataroot ./datasets/grumpifycat --name grumpycat_FastCUT --CUT_mode FastCUT": (
        "fastcut",
        {"train.epochs": 200, "schedule.epochs": 200, "schedule.start": 0.75},
    ),
    "python train.py --dataroot ./datasets/cityscapes --direction BtoA --name cityscapes --CUT_mode CUT": (
        "cut",
        {"data.a": "./datasets/cityscapes/trainB", "data.b": "./datasets/cityscapes/trainA"},
    ),
    "python train.py --dataroot ./d --name n --model cut --no_antialias --no_antialias_up --normG "
    "batch --lambda_NCE 2 "
    "--nce_idt False --netF sample --num_patches 64": (
        "cut",
        {
            "translator.generator.down": "strided",
            "translator.generator.upsample": "transposed",
            "translator.taps": [0, 4, 8, 12, 16],
            "losses.nce.weight": 2,
            "losses.nce_identity.weight": 0,
            "translator.identity": False,
            "translator.width": "none",
        },
    ),
    "python train.py --model sincut --name singleimage_monet_etretat --dataroot ./datasets/monet_etretat": (
        "sincut",
        {"data.a": "datasets/monet_etretat/trainA/IMAGE.jpg", "train.epochs": 16},
    ),
    # Of both codes of U-GAT-IT.
    "> python main.py --dataset selfie2anime": ("ugatit", {"data.root": "dataset/selfie2anime"}),
    "python main.py --dataset selfie2anime --light True --batch_size 2 --iteration 500000 --n_dis 7 --device cpu": (
        "ugatit_light",
        {
            "train.steps": 500_000,
            "translator.discriminators.global_.layers": 8,
            "translator.discriminators.local.layers": 6,
        },
    ),
    "python main.py --dataset selfie2anime --epoch 50 --decay_epoch 25 --iteration 1000 --gan_type wgan-gp --GP_ld 9": (
        "ugatit_tf",
        {"train.steps": 50_000, "schedule.constant": 26, "schedule.decay": 24, "losses.gan.penalty": 9},
    ),
}
"""Command lines, the recipe that each extends, and values that it sets."""


@pytest.mark.parametrize("command", COMMANDS)
def test_command_lines_become_recipes(command: str, tmp_path: Path) -> None:
    base, values = COMMANDS[command]
    converted = convert(command)
    assert converted.base == base
    assert {key: converted.values().get(key) for key in values} == values
    file = tmp_path / "recipe.toml"
    file.write_text(converted.to_toml(command, "recipe.toml"), encoding="utf-8")
    assert Recipe.read(file).resolved() == Recipe.read(base, converted.values()).resolved()
    told = " ".join([*converted.notes, *(source for _, source in converted.settings.values())])
    named = [cyclegan_flags.OLDER.get(name, name) for name in re.findall(r"--(\w+)", command.partition(".py")[2])]
    assert [name for name in named if f"--{name}" not in told and name != "no_lsgan"] == []


VALUES: Mapping[str, str] = {
    "dataset_mode": "",
    "gan_mode": "vanilla",
    "gan_type": "hinge",
    "lr_policy": "cosine",
    "model": "",
    "netF": "sample",
    "netG": "resnet_6blocks",
    "nce_layers": "0,4",
    "preprocess": "crop",
    "phase": "train",
    "epoch": "latest",
    "normD": "batch",
    "normG": "batch",
    "norm": "batch",
    "save_epoch_freq": "5",
    "decay_epoch": "60",
}
"""Values of flags that take only some; a flag without one is left to other tests."""
CODES: Mapping[Code, tuple[Mapping[str, Flag], str]] = {
    "cyclegan": (cyclegan_flags.CYCLEGAN, "python train.py --dataroot ./maps --model cycle_gan"),
    "cut": (cyclegan_flags.CUT, "python train.py --dataroot ./maps --CUT_mode CUT"),
    "ugatit-pytorch": (ugatit.PYTORCH, "python main.py"),
    "ugatit-tensorflow": (ugatit.TENSORFLOW, "python main.py"),
}


@pytest.mark.parametrize("code", CODES)
def test_no_flag_is_silent(code: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flag is named next to the keys that it sets, with the reason why it needs none, or where it is refused."""
    flags, command = CODES[code]
    monkeypatch.setattr(Recipe, "read", lambda *_: None)  # checked by the test above
    for name, flag in flags.items():
        value = VALUES.get(name, {int: "2", float: "0.25", bool: "", str: "x"}[flag.type])
        if f"--{name}" in command or (flag.type is not bool and not value):
            continue
        if flag.choices and value == "x":
            value = flag.choices[-1]
        try:
            converted = convert(f"{command} --{name} {value}", code, images=100)
        except I2IError as error:
            told = [str(error)]
        else:
            told = [*converted.notes, *(source for _, source in converted.settings.values())]
        assert any(f"--{name}" in text for text in told), name


def test_epochs_as_in_the_other_code() -> None:
    command = "python train.py --dataroot ./maps --model cycle_gan --batch_size 2 --print_freq 100 --save_epoch_freq 10"
    values = convert(command, images=1001).values()
    assert values["schedule.type"] == "epoch_linear"
    assert (values["schedule.steps_per_epoch"], values["train.keep_every"], values["train.log_every"]) == (
        501,
        5010,
        50,
    )
    with pytest.raises(I2IError, match="--lr_policy step: counts epochs; give i2i import-command --images N"):
        convert(f"{command} --lr_policy step")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "python train.py --dataroot x --name y",
            r"no --model: .* say which with --from, one of cyclegan, cut, ugatit",
        ),
        (
            "python train.py --dataroot x --model cycle_gan --batch 4",
            r"has no flag --batch\. Did you mean --batch_size\?",
        ),
        (
            "python train.py --dataroot x --model cycle_gan --output x.toml",
            r"has no flag --output; give --output of i2i in front of their command",
        ),
        ("python train.py --dataroot x --model cycle_gan --batch_size", "--batch_size: expected a value"),
        (
            "python train.py --dataroot x --model cycle_gan --batch_size two",
            "--batch_size: expected an integer, got 'two'",
        ),
        (
            "python train.py --dataroot x --model colorization",
            "--model colorization: i2i has no such method; .* cycle_gan",
        ),
        ("python train.py --dataroot x --model cycle_gan --gan_mode wgangp", "without the gradient penalty"),
        (
            "python train.py --dataroot x --model cycle_gan --preprocess scale_width",
            "nearest: --preprocess scale_shortside",
        ),
        ("python train.py --dataroot x --model pix2pix --input_nc 1", "put A and B into two folders, set data.a"),
        ("python train.py --dataroot x --model cycle_gan --norm sync_batch", "--norm sync_batch: i2i has"),
        ("python train.py --dataroot x --model cut --netG stylegan2", "--netG stylegan2: i2i has resnet_9blocks and"),
        (
            "python train.py --dataroot x --model cycle_gan --serial_batches",
            "--serial_batches: samples are drawn in a new",
        ),
        (
            "python test.py --dataroot x --name y --model cycle_gan",
            "test.py: translates and trains nothing; run i2i import",
        ),
        ("python main.py --dataset selfie2anime --phase test", "--phase test: .* i2i import ugatit-pytorch CHECKPOINT"),
        (
            "python main.py --dataset s --n_dis 3",
            r"^--n_dis: "
            "translator.discriminators.local.layers: expected at least 3",
        ),
        ("python main.py --dataset s --epoch 20", "--decay_epoch: expected a number below --epoch 20, got 50"),
        (
            "python evaluate.py",
            r"expected a command line with train.py, test.py or main.py, got "
            "'python evaluate.py'",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(command: str, message: str) -> None:
    with pytest.raises(I2IError, match=message):
        convert(command)


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["python", "train.py", "--dataroot", "./maps", "--name", "maps", "--model", "cycle_gan", "--gpu_ids", "-1"]
    assert run_command(["import-command", "--output", "maps.toml", *words]) == 0
    text = Path("maps.toml").read_text(encoding="utf-8")
    assert text.startswith(f"# From: {' '.join(words)}\n#\n#   i2i train maps.toml --output runs/maps --device cpu\n")
    assert re.search(r'^root = "\./maps" +# --dataroot$', text, re.MULTILINE)
    assert "the learning rate falls at each step" in capsys.readouterr().err
    assert run_command(["import-command", " ".join(words)]) == 0
    assert capsys.readouterr().out.partition('extends = "cyclegan"')[2] == text.partition('extends = "cyclegan"')[2]
    assert run_command(["import-command", "--output", "maps.toml", *words]) == 2
