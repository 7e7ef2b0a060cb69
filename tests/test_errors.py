import numpy as np
import pytest
import torch

from saelab.errors import HookError, SaelabError, check_count, check_latent, check_latents, nearest, unknown


def test_unknown_names_the_value_what_is_allowed_and_the_nearest():
    message = str(unknown("fruit", "aple", ["apple", "pear", "plum"]))
    assert message.startswith("unknown fruit 'aple'. Did you mean 'apple'")
    assert message.endswith("Allowed: apple, pear, plum.")


def test_unknown_without_a_near_name_gives_no_hint():
    assert "Did you mean" not in str(unknown("fruit", "zzz", ["apple"]))
    assert "Allowed: none." in str(unknown("fruit", "zzz", []))


def test_unknown_cuts_a_long_list_and_counts_it():
    message = str(unknown("n", "x", range(100)))
    assert "11, … (100 in all)" in message
    assert "12," not in message


def test_unknown_makes_the_error_asked_for():
    error = unknown("hook", "x", ["y"], HookError)
    assert isinstance(error, HookError)
    assert isinstance(error, SaelabError)
    assert isinstance(error, ValueError)


def test_nearest_takes_names_that_are_no_strings():
    assert nearest("12", [12, 99], n=1) == ["12"]


@pytest.mark.parametrize("latent", [0, 63, np.int64(63), np.uint8(3), torch.tensor(5), torch.tensor([5])])
def test_C59_integer_likes_are_latents(latent):
    got = check_latent(latent, 64)
    assert type(got) is int
    assert got == int(latent)


@pytest.mark.parametrize("latent", [-1, 64, 9999])
def test_C59_a_latent_out_of_range_names_the_range(latent):
    with pytest.raises(SaelabError, match=rf"latent {latent} is out of range.*0…63"):
        check_latent(latent, 64)


@pytest.mark.parametrize("latent", [1.0, "1", None, np.float32(1), torch.tensor(1.0), torch.tensor([1, 2])])
def test_C59_what_is_no_integer_is_refused(latent):
    with pytest.raises(SaelabError, match="a latent is an integer in 0…63"):
        check_latent(latent, 64)


def test_check_count():
    assert check_count("n", np.int32(3)) == 3
    assert check_count("n", 0, low=0) == 0
    with pytest.raises(SaelabError, match="n must be at least 1, got 0"):
        check_count("n", 0)
    with pytest.raises(SaelabError, match="n must be a whole number, got 2.5"):
        check_count("n", 2.5)


def test_D45_a_notebook_shows_the_sentence_alone_and_the_traceback_on_request(capsys):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    try:
        shell.run_line_magic("xmode", "Context")
        capsys.readouterr()
        shell.run_cell(
            "from saelab.errors import HookError\ndef deep():\n    raise HookError('no such point')\ndeep()"
        )
        assert capsys.readouterr().out.strip() == "HookError: no such point"
        shell.run_line_magic("xmode", "Verbose")
        shell.run_line_magic("tb", "")
        assert "Traceback" in capsys.readouterr().out
    finally:
        InteractiveShell.clear_instance()


def test_lists_of_latents_are_checked():
    assert check_latents([np.int64(3), 3, 1], 4) == [3, 1]
    assert check_latents(2, 4) == [2]
    for wrong in (5, "12", [4], [1.0], [True]):
        with pytest.raises(SaelabError, match="0…3"):
            check_latents(wrong, 4)
    with pytest.raises(SaelabError, match="empty"):
        check_latents([], 4)
