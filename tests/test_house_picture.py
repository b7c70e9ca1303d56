"""The docs' pictures of the package are drawn from the package: they show each wing, each file and each import."""

from __future__ import annotations

import re
import shutil
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.docs_extension import load

import trioreg

ROOT = Path(__file__).parent.parent
PACKAGE = Path(trioreg.__file__).parent
DESIGN = ROOT / "docs" / "design.md"


house = load("house")
layers = load("layers")
drawing = load("drawing")


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(PACKAGE, tmp_path / "trioreg", ignore=shutil.ignore_patterns("__pycache__")))


def pictures(package: Path) -> list[str]:
    """The picture of the wings, then a picture of the files of each wing."""
    return [drawing.draw(package), *map(drawing.draw_files, house.read(package))]


def parts(package: Path, attribute: str) -> set[str]:
    """The values of an attribute in the pictures of a package."""
    elements = (element for text in pictures(package) for element in ElementTree.fromstring(text).iter())
    return {value for element in elements if (value := element.get(attribute))}


def arrows(package: Path) -> set[tuple[str, str]]:
    elements = (element for text in pictures(package) for element in ElementTree.fromstring(text).iter())
    return {(a, b) for element in elements if (a := element.get("data-from")) and (b := element.get("data-to"))}


def files() -> set[str]:
    """All files of the package but the ``__init__.py`` of each wing, which is the wing itself."""
    return {str(path.relative_to(PACKAGE)) for path in PACKAGE.glob("*/*.py") if path.name != "__init__.py"}


def test_every_wing_is_in_a_picture() -> None:
    assert parts(PACKAGE, "data-wing") == {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_every_file_is_in_a_picture() -> None:
    assert parts(PACKAGE, "data-file") == files()
    assert len(files()) > 30


def test_an_import_of_another_wing_shows_up_as_an_arrow(copied: Path) -> None:
    assert ("_tasks", "_registry") not in arrows(copied)
    with (copied / "_tasks" / "stream.py").open("a") as stream:
        stream.write("\nfrom .._registry import Registry\n")
    assert ("_tasks", "_registry") in arrows(copied)


def test_an_import_inside_a_wing_shows_up_as_an_arrow(copied: Path) -> None:
    (copied / "_tasks" / "new.py").write_text('"""New."""\n')
    assert ("_tasks/stream.py", "_tasks/new.py") not in arrows(copied)
    with (copied / "_tasks" / "stream.py").open("a") as stream:
        stream.write("\nif TYPE_CHECKING:\n    from .new import something\n")
    assert ("_tasks/stream.py", "_tasks/new.py") in arrows(copied)


def test_the_arrow_between_two_wings_names_what_is_imported(copied: Path) -> None:
    with (copied / "_tasks" / "stream.py").open("a") as stream:
        stream.write("\nfrom .._registry import Registry, Entry\n")
    assert "_tasks imports from _registry: Entry, Registry" in drawing.draw(copied)


def test_an_arrow_is_left_out_if_a_longer_way_says_the_same() -> None:
    assert house.without_shortcuts({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_a_picture_has_no_colour_of_its_own() -> None:
    # Else it could not be read on a page that is light or dark.
    for picture in pictures(PACKAGE):
        assert not re.search(r"#[0-9a-fA-F]{3,6}\b|rgb|black|white", picture)


def test_what_is_in_a_picture_is_inside_its_frame() -> None:
    for picture in map(ElementTree.fromstring, pictures(PACKAGE)):
        svg = next(element for element in picture.iter() if element.get("viewBox"))
        _, _, width, height = map(float, svg.attrib["viewBox"].split())
        boxes = [element.attrib for element in picture.iter() if element.tag.endswith("rect")]
        assert boxes
        for box in boxes:
            x, y, wide, tall = (float(box[side]) for side in ("x", "y", "width", "height"))
            assert 0 <= x <= x + wide <= width
            assert 0 <= y <= y + tall <= height


def test_the_picture_of_the_wings_fits_on_a_phone() -> None:
    assert float(drawing.draw(PACKAGE).partition('viewBox="0 0 ')[2].split()[0]) <= 360


def test_a_picture_that_does_not_fit_fails() -> None:
    wing = house.Wing("_wide", "Wide.", {f"{'long' * 200}.py": "One file."}, {f"{'long' * 200}.py": set()})
    with pytest.raises(house.HouseError, match="does not fit"):
        drawing.draw_files(wing)


def test_places_in_a_row_do_not_overlap_and_each_is_above_what_it_uses() -> None:
    edges: dict[str, set[str]] = {str(n): {str(m) for m in range(n + 1, 20) if m % (n + 2) == 0} for n in range(20)}
    rows, lines = layers.arrange(dict.fromkeys(edges, 60.0), house.without_shortcuts(edges), 300.0, 10.0)
    for row in rows:
        assert row[0].x - row[0].width / 2 > -1e-6
        assert row[-1].x + row[-1].width / 2 < 300 + 1e-6
        for left, right in pairwise(row):
            assert left.x + left.width / 2 + 10 <= right.x - right.width / 2 + 1e-6
    assert lines
    for line in lines:
        assert [node.row for node in line] == list(range(line[0].row, line[-1].row + 1))
        assert line[-1].name in edges[line[0].name]


def test_a_file_in_no_wing_fails(copied: Path) -> None:
    (copied / "helpers.py").write_text('"""Helpers."""\n')
    with pytest.raises(house.HouseError, match=r"helpers\.py is in no wing"):
        drawing.draw(copied)


def test_a_file_in_a_folder_that_is_no_wing_fails(copied: Path) -> None:
    (copied / "_more").mkdir()
    (copied / "_more" / "helpers.py").write_text('"""Helpers."""\n')
    with pytest.raises(house.HouseError, match=r"helpers\.py is in no wing"):
        drawing.draw(copied)


def test_a_file_without_a_docstring_fails(copied: Path) -> None:
    (copied / "_tasks" / "new.py").write_text("X = 1\n")
    with pytest.raises(house.HouseError, match=r"new\.py has no docstring"):
        drawing.draw(copied)


def test_imports_in_a_circle_fail(copied: Path) -> None:
    with (copied / "_runtime" / "exit.py").open("a") as file:
        file.write("\nfrom .._tasks import Done\n")
    with pytest.raises(house.HouseError, match="go in a circle: _"):
        drawing.draw(copied)


def test_the_table_of_files_has_every_file_and_its_first_sentence() -> None:
    text = "\n".join(map(house.table, house.read(PACKAGE)))
    assert set(re.findall(r"^\| `(\w+\.py)` \| .", text, re.MULTILINE)) == {Path(file).name for file in files()}


def test_each_file_that_the_design_page_names_exists() -> None:
    text = DESIGN.read_text(encoding="utf-8")
    assert "```{house}" in text and "```{house-files}" in text
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", text)
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).exists() or (PACKAGE / name).exists() or (ROOT / "docs" / "_ext" / name).exists(), name
