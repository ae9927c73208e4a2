"""What is installed is whole, without the checkout."""

from importlib.metadata import PackageNotFoundError, entry_points, version

import pytest
from conftest import CHECKOUT

from samner_analysis.paper import default_folder


def test_the_values_in_use_are_those_of_the_checkout():
    def texts(folder):
        return {path.name: path.read_text() for path in folder.glob("*.yaml")}

    assert len(texts(default_folder())) == 25
    assert texts(default_folder()) == texts(CHECKOUT / "experiments/paper/values")


def test_the_command_is_installed_with_its_values():
    try:
        version("samner-analysis")
    except PackageNotFoundError:
        pytest.skip("not installed: run from the checkout")
    (command,) = entry_points(group="console_scripts", name="samner-analysis")
    assert callable(command.load())
    # The environment may lie in a build folder of the checkout; the values are then not those of its experiments.
    assert (CHECKOUT / "experiments") not in default_folder().parents
