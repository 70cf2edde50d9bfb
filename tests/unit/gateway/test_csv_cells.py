"""What a spreadsheet is handed."""

import pytest

from services.gateway.csv_cells import safe


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\tx", "\r=1"])
def test_no_cell_is_a_formula(cell: str) -> None:
    assert safe(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "resting at 67 %", 5, -5, None])
def test_other_cells_stay_as_they_are(cell: object) -> None:
    assert safe(cell) == cell
