import pytest

from saelab import cli
from saelab.tour import tour


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("saelab 0.")


def test_tour_refuses_a_folder_with_other_files(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("mine")
    assert cli.main(["tour", "--out", str(tmp_path), "--force"]) == 2
    message = capsys.readouterr().err
    assert "holds other files" in message
    assert "--out" in message
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_tour_refuses_an_earlier_tour_unless_forced(tmp_path, capsys):
    (tmp_path / tour.MARK).write_text("{}")
    assert cli.main(["tour", "--out", str(tmp_path)]) == 2
    assert "--force" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "words"), [
    (["--model", "zooo"], ["zooo", "zoo"]),
    (["--model", "./nowhere"], ["nowhere"]),
    (["--hook", "blocks.0.mlp.hook_pots"], ["hook_pots", "blocks.0.mlp.hook_post"]),
])  # fmt: skip
def test_tour_names_what_is_wrong_before_work(tmp_path, capsys, arguments, words):
    out = tmp_path / "out"
    assert cli.main(["tour", "--out", str(out), *arguments]) == 2
    message = capsys.readouterr().err
    assert all(w in message for w in words)
    assert not out.exists()


def test_lab_copies_and_keeps(tmp_path, capsys):
    folder = tmp_path / "course"
    assert cli.main(["lab", str(folder), "--no-open"]) == 0
    mine = folder / "00_quickstart.ipynb"
    assert mine.is_file()
    mine.write_text("my work")
    assert cli.main(["lab", str(folder), "--no-open"]) == 0
    assert mine.read_text() == "my work"
    first, again = capsys.readouterr().out.splitlines()
    assert first.endswith(" notebooks copied")
    assert "0 notebooks copied" in again
    assert "kept as they are" in again


def test_lab_passes_the_port_on(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(cli.subprocess, "call", lambda line: called.extend(line) or 0)
    assert cli.main(["lab", str(tmp_path / "course"), "--port", "9123"]) == 0
    assert "--ServerApp.port=9123" in called
