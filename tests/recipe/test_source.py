"""Where values come from: files that extend each other, `--set`, and the origin of each key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from i2i.recipe.files import read, shipped
from i2i.recipe.source import Problem, RecipeError, Source, dotted, place_of

Write = Callable[..., Path]


def refused(call: Callable[[], object]) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        call()
    return [str(problem) for problem in caught.value.problems]


def test_a_file_alone(write: Write) -> None:
    source = read(write("a = 1\n\n[b]\nc = [2]\n"))
    assert source.name == "mine"
    assert source.values == {"a": 1, "b": {"c": [2]}}
    assert source.origins == {
        (): "mine.toml",
        ("a",): "mine.toml:1",
        ("b",): "mine.toml:3",
        ("b", "c"): "mine.toml:4",
        ("b", "c", 0): "mine.toml:4",
    }


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbfa = 1\r\n# \xc3\xbc\r\nb = 2\r\n")
    source = read(tmp_path / "mine.toml")
    assert source.values == {"a": 1, "b": 2}
    assert place_of(source.where(("b",))) == (str(tmp_path / "mine.toml"), 3)


def test_extends_a_file_beside_it_whatever_the_working_folder(write: Write, tmp_path: Path) -> None:
    write("a = 1\nb = 2\n", "folder/parent.toml")
    child = write("extends = 'parent.toml'\nb = 3\n", "folder/child.toml")
    source = read(child)
    assert source.name == "child"
    assert source.values == {"a": 1, "b": 3}
    assert source.where(("a",)) == "folder/parent.toml:1"
    assert source.where(("b",)) == "folder/child.toml:2"
    assert source.where(("nowhere", "at", "all")) == "folder/child.toml"


def test_extends_a_shipped_recipe_by_name_with_or_without_its_suffix(write: Write, tmp_path: Path) -> None:
    write("a = 1", "shipped/known.toml")
    for name in ("known", "known.toml"):
        assert read(write(f"extends = '{name}'"), folders=[tmp_path / "shipped"]).values == {"a": 1}


def test_a_file_beside_it_comes_before_a_shipped_one(write: Write, tmp_path: Path) -> None:
    write("a = 'shipped'", "shipped/known.toml")
    write("a = 'beside'", "known.toml")
    assert read(write("extends = 'known.toml'"), folders=[tmp_path / "shipped"]).values == {"a": "beside"}


def test_a_recipe_may_have_the_name_of_the_shipped_one_that_it_extends(write: Write, tmp_path: Path) -> None:
    write("a = 1", "shipped/known.toml")
    assert read(write("extends = 'known.toml'", "known.toml"), folders=[tmp_path / "shipped"]).values == {"a": 1}


def test_several_levels(write: Write) -> None:
    write("a = 1\nb = 1\nc = 1", "first.toml")
    write("extends = 'first.toml'\nb = 2\nc = 2", "second.toml")
    source = read(write("extends = 'second.toml'\nc = 3", "third.toml"))
    assert source.values == {"a": 1, "b": 2, "c": 3}
    assert [source.where((key,)) for key in "abc"] == ["first.toml:1", "second.toml:2", "third.toml:2"]


def test_a_missing_parent_gets_a_suggestion(write: Write, tmp_path: Path) -> None:
    write("", "shipped/ugatit.toml")
    write("", "shipped/cyclegan.toml")
    write("", "my_baseline.toml")
    folders = [tmp_path / "shipped"]
    source = read(write("\nextends = 'ugatti'"), folders=folders)  # goes on with the one that is meant
    assert [str(problem) for problem in source.problems] == [
        "mine.toml:2: extends: ugatti: no such recipe file, nor a recipe of that name. Did you mean 'ugatit'? "
        "Shipped recipes: cyclegan, ugatit"
    ]
    assert "Did you mean 'my_baseline.toml'?" in refused(lambda: read(write("extends = 'my_basline.toml'")))[0]


def test_a_missing_recipe_gets_a_suggestion(write: Write, tmp_path: Path) -> None:
    write("", "shipped/ugatit.toml")
    assert refused(lambda: read("recipes/ugatti.toml", folders=[tmp_path / "shipped"])) == [
        "recipes/ugatti.toml: no such recipe file, nor a recipe of that name. Did you mean 'ugatit'? "
        "Shipped recipes: ugatit"
    ]
    assert refused(lambda: read("qqq")) == [
        "qqq: no such recipe file, nor a recipe of that name. Shipped recipes: none"
    ]


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "", "../" * 3000])
def test_a_name_that_no_file_can_have_is_only_missing(write: Write, name: str) -> None:
    assert len(refused(lambda: read(name))) == 1


def test_circles_are_said_whole(write: Write) -> None:
    write("extends = 'second.toml'", "first.toml")
    write("\nextends = 'third.toml'", "second.toml")
    write("extends = 'first.toml'", "third.toml")
    assert refused(lambda: read("first.toml")) == [
        "third.toml:1: extends: first.toml extends second.toml extends third.toml extends first.toml, "
        "so none of them can be read"
    ]


def test_a_shipped_recipe_that_extends_itself_is_a_circle(write: Write, tmp_path: Path) -> None:
    path = write("extends = 'self.toml'", "self.toml")
    assert refused(lambda: read(path, folders=[tmp_path])) == [
        "self.toml:1: extends: self.toml extends self.toml, so none of them can be read"
    ]


@pytest.mark.parametrize(("value", "shown"), [("3", "3"), ("['ugatit']", "['ugatit']"), ("true", "true")])
def test_extends_takes_one_name(write: Write, value: str, shown: str) -> None:
    assert refused(lambda: read(write(f"extends = {value}"))) == [
        f"mine.toml:1: extends: expected the name or the file of a recipe, got {shown}"
    ]


def test_what_is_not_toml_in_a_parent_has_the_parents_line(write: Write) -> None:
    write("\n\nx\n", "parent.toml")
    assert refused(lambda: read(write("extends = 'parent.toml'")))[0].startswith(
        "parent.toml:3: not TOML: expected key = value or [table], got x"
    )


def test_what_cannot_be_read_is_said(write: Write, tmp_path: Path) -> None:
    path = write("")
    path.write_bytes(b"a = '\xff'")
    (line,) = refused(lambda: read(path))
    assert line == "mine.toml:1: expected UTF-8 text, got the byte 0xff; save the file as UTF-8"
    (tmp_path / "folder.toml").mkdir()
    assert refused(lambda: read("folder.toml")) == ["folder.toml: is a folder, not a recipe. Shipped recipes: none"]
    (tmp_path / "folder.toml/checkpoints").mkdir()
    assert refused(lambda: read("folder.toml")) == [
        "folder.toml: is a run folder, not a recipe; `i2i train --resume folder.toml` continues it, and its recipe is "
        "folder.toml/recipe.toml"
    ]
    huge = write(f"a = {'9' * 5000}")
    assert refused(lambda: read(huge))[0].startswith("mine.toml: not TOML: Exceeds the limit")


@pytest.mark.parametrize("text", ["a = " + "[" * 2000 + "]" * 2000, "a = " + "{a = " * 2000 + "1" + "}" * 2000])
def test_a_recipe_nested_without_end_is_refused(write: Write, text: str) -> None:
    path = write(text)
    assert refused(lambda: read("mine.toml")) == ["mine.toml: is nested too deeply to be read"], path


@pytest.mark.thorough
def test_merging_endless_tables_is_refused(write: Write) -> None:
    deep = ".".join("a" * 3000)
    write(f"{deep} = 1", "parent.toml")
    assert refused(lambda: read(write(f"extends = 'parent.toml'\n{deep} = 2"))) == [
        f"{Path('mine.toml').resolve()}: is nested too deeply to be read"
    ]


def test_an_endless_setting_is_refused(write: Write) -> None:
    (line,) = refused(lambda: read(write(""), [f"{'.'.join('a' * 3000)}=1"]))
    assert line == f"--set {'a.' * 28}a...: is nested too deeply to be read"


PARENT = """
name = "in"
list = [1, 2]
plain = { a = 1, b = 2 }
typed = { type = "x", a = 1, b = { c = 1 } }
off = "none"
[data]
size = 64
"""


def merged(write: Write, child: str, *settings: str) -> Source:
    write(PARENT, "parent.toml")
    return read(write(f"extends = 'parent.toml'\n{child}"), settings)


@pytest.mark.parametrize(
    ("child", "key", "value"),
    [
        ("plain = { b = 3 }", "plain", {"a": 1, "b": 3}),
        ("list = [3]", "list", [3]),
        ("typed = { b = { d = 2 } }", "typed", {"type": "x", "a": 1, "b": {"c": 1, "d": 2}}),
        ("typed = { type = 'x', a = 2 }", "typed", {"type": "x", "a": 2, "b": {"c": 1}}),
        ("typed = { type = 'y', z = 2 }", "typed", {"type": "y", "z": 2}),
        ("typed = 'y'", "typed", "y"),
        ("name = { eps = 1 }", "name", {"type": "in", "eps": 1}),
        ("name = { type = 'in', eps = 1 }", "name", {"type": "in", "eps": 1}),
        ("name = { type = 'ln' }", "name", {"type": "ln"}),
        ("off = { eps = 1 }", "off", {"eps": 1}),
        ("plain = [1]", "plain", [1]),
        ("list = { a = 1 }", "list", {"a": 1}),
        ("data = { type = 'folders', flip = true }", "data", {"size": 64, "type": "folders", "flip": True}),
        ("data = { type = 'portraits' }", "data", {"type": "portraits"}),
        ("new = { a = 1 }", "new", {"a": 1}),
    ],
)
def test_merge(write: Write, child: str, key: str, value: object) -> None:
    source = merged(write, child)
    assert source.values[key] == value
    assert {name: one for name, one in source.values.items() if name != key} == {
        name: one for name, one in merged(write, "").values.items() if name != key
    }


def test_origins_after_merging(write: Write) -> None:
    source = merged(write, "plain = { b = 3 }\nname = { eps = 1 }\ntyped = { type = 'y' }\n")
    assert source.where(("plain",)) == "mine.toml:2"
    assert source.where(("plain", "a")) == "parent.toml:4"
    assert source.where(("plain", "b")) == "mine.toml:2"
    assert source.where(("name", "type")) == "parent.toml:2"
    assert source.where(("name", "eps")) == "mine.toml:3"
    assert source.where(("typed", "b", "c")) == "mine.toml:4"  # its own line went with the table that was replaced
    assert source.where(("list", 1)) == "parent.toml:3"


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("plain.a=3", "plain", {"a": 3, "b": 2}),
        ("plain.a = 3", "plain", {"a": 3, "b": 2}),
        ("list=[3, 4]", "list", [3, 4]),
        ("list='text'", "list", "text"),
        ("list=bare text", "list", "bare text"),
        ("list=photos/a=b", "list", "photos/a=b"),
        ("list=", "list", ""),
        ("list=1e3", "list", 1000.0),
        ("list=true", "list", True),
        ("list=True", "list", "True"),
        ("list=1 # why", "list", 1),
        ("list={ x = 1 }", "list", {"x": 1}),
        ("list.x.y=1", "list", {"x": {"y": 1}}),
        ("name.eps=1", "name", {"type": "in", "eps": 1}),
        ("typed.type=y", "typed", {"type": "y"}),
        ("new.thing=1", "new", {"thing": 1}),
        ("größe=1", "größe", 1),
        (f"list={'9' * 5000}", "list", "9" * 5000),
        (f"list={'[' * 3000}", "list", "[" * 3000),
    ],
)
def test_set(write: Write, setting: str, key: str, value: object) -> None:
    source = merged(write, "", setting)
    assert source.values[key] == value
    assert source.name == "mine"


def test_the_origin_of_what_set_changes_is_the_setting(write: Write) -> None:
    source = merged(write, "", "plain.a=3", "new.thing=1", "name.eps=1")
    assert source.where(("plain", "a")) == "--set plain.a=3"
    assert source.where(("plain",)) == "parent.toml:4"
    assert source.where(("new", "thing")) == source.where(("new",)) == "--set new.thing=1"
    assert source.where(("name", "type")) == "parent.toml:2"


def test_settings_have_no_order_but_the_last_of_a_key_wins(write: Write) -> None:
    for settings in (["typed.type=y", "typed.z=1"], ["typed.z=1", "typed.type=y"]):
        assert merged(write, "", *settings).values["typed"] == {"type": "y", "z": 1}
    source = merged(write, "", "list=1", "list=2")
    assert (source.values["list"], source.where(("list",))) == (2, "--set list=2")


@pytest.mark.parametrize("setting", ["", "list", "=3", ".a=3", "a..b=3", "a[0]=3", "'a'.b=3", "a b=3", "a.=3"])
def test_a_setting_that_is_none_is_refused(write: Write, setting: str) -> None:
    assert refused(lambda: merged(write, "", setting)) == [
        f"--set {setting}: expected key=value, such as train.steps=1000"
    ]


def test_extends_cannot_be_set(write: Write) -> None:
    assert refused(lambda: merged(write, "", "extends=ugatit")) == [
        "--set extends=ugatit: extends: can only be set in a recipe file"
    ]


def test_all_that_is_wrong_with_settings_and_file_is_said_at_once(write: Write) -> None:
    assert len(refused(lambda: read(write("a ="), ["x", "y"]))) == 3


def test_shipped_names_of_an_earlier_folder_win(write: Write, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write("", f"{folder}/same.toml")
    write("", "two/other.toml")
    found = shipped([tmp_path / "one", tmp_path / "two", tmp_path / "nowhere"])
    assert found == {"same": tmp_path / "one/same.toml", "other": tmp_path / "two/other.toml"}


def test_problems_stand_in_the_order_of_the_lines_the_recipes_own_first() -> None:
    source = Source("mine", {}, {(): "mine.toml"})
    places = ["parent.toml:3", "--set b=1", "mine.toml:20", "mine.toml:3", "mine.toml", "--set a=1", "parent.toml:1"]
    problems = [Problem(place, "key", "wrong") for place in places]
    assert [problem.where for problem in source.error([*problems, *problems]).problems] == [
        "mine.toml",
        "mine.toml:3",
        "mine.toml:20",
        "parent.toml:1",
        "parent.toml:3",
        "--set b=1",
        "--set a=1",
    ]


def test_key_paths_as_people_write_them() -> None:
    assert dotted(("data", "augment", 0, "p")) == "data.augment[0].p"
    assert dotted(()) == ""


def test_the_origin_of_every_key_of_a_table_that_set_brings_is_the_setting(write: Write) -> None:
    source = merged(write, "", "typed={ a = 3, b = { d = 4 } }")
    assert source.where(("typed", "a")) == source.where(("typed", "b", "d")) == "--set typed={ a = 3, b = { d = 4 } }"
    assert source.where(("typed", "b", "c")) == "parent.toml:5"


def test_a_long_setting_is_cut_in_messages(write: Write) -> None:
    assert merged(write, "", f"list={'x' * 100}").where(("list",)) == f"--set list={'x' * 52}..."


def test_a_typo_in_extends_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from i2i.recipe.recipe import Recipe

    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('extends = "ugatit_lite"\n\n[translator.generator]\nnam = "in"\n')
    with pytest.raises(RecipeError) as caught:
        Recipe.read("mine.toml")
    first, second = map(str, caught.value.problems)
    assert first.startswith("mine.toml:1: extends: ugatit_lite: no such recipe file, nor a recipe of that name.")
    assert "Did you mean 'ugatit_light'?" in first
    assert second.startswith("mine.toml:4: translator.generator.nam: generator 'resnet_adalin' has no option 'nam'.")


def test_a_recipe_that_extends_itself_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zzz.toml").write_text('extends = "zzz.toml"\n')
    with pytest.raises(RecipeError, match=r"zzz\.toml:1: extends: zzz\.toml: extends itself, and no shipped recipe"):
        read("zzz.toml")
