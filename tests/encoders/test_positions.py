from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import positions as reference

from tipr.encoders.pretrained.positions import grid_of, resized_positions
from tipr.encoders.pretrained.tensors import WeightsError

SIDES = st.tuples(st.integers(1, 7), st.integers(1, 7))


MODES = ["bilinear", "bicubic"]


@pytest.mark.parametrize("mode", MODES)
@given(grid_from=SIDES, grid_to=SIDES, seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_any_grid_becomes_any_other_as_the_slow_loop_does_it(
    mode, grid_from, grid_to, seed
) -> None:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(1 + grid_from[0] * grid_from[1], 3, generator=generator)
    expected = reference.resized(table, grid_from, grid_to, mode)
    resized = resized_positions(table, grid_from, grid_to, mode)
    assert torch.allclose(resized, expected, atol=1e-5)


def test_the_fields_grid_comes_from_clips_square() -> None:
    table = torch.randn(197, 4)
    resized = resized_positions(table, (14, 14), (24, 8))
    assert torch.allclose(resized, reference.resized(table, (14, 14), (24, 8)), atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_the_class_row_is_kept_and_an_equal_grid_is_untouched(mode) -> None:
    table = torch.randn(1 + 12, 5)
    assert torch.equal(resized_positions(table, (3, 4), (3, 4), mode), table)
    assert torch.equal(resized_positions(table, (3, 4), (6, 2), mode)[0], table[0])


def test_a_table_of_another_size_is_refused() -> None:
    with pytest.raises(WeightsError, match=r"198 position embeddings.*14x14"):
        resized_positions(torch.randn(198, 2), (14, 14), (24, 8))


def test_a_grid_is_a_square_or_the_one_wanted() -> None:
    assert grid_of(196, (24, 8)) == (14, 14)
    assert grid_of(192, (24, 8)) == (24, 8)
    assert grid_of(256, (32, 8)) == (16, 16)
    with pytest.raises(WeightsError, match="190 patches are neither a square nor 24x8"):
        grid_of(190, (24, 8))
