//! Gather and Scatter.

use super::*;
use girih_base::Dim;
use girih_graph::ops::{Combine, Gather, Scatter};

/// Rows of a matrix, as an embedding look-up takes them.
fn rows(width: i64) -> Gather {
    Gather {
        sizes: vec![Dim::ONE, Dim::from(width)],
        offset_axes: vec![1],
        collapsed: vec![0],
        start_map: vec![0],
        operand_batch: vec![],
        index_batch: vec![],
    }
}

/// Updates of single elements of a vector.
fn elements(combine: Combine) -> Scatter {
    Scatter {
        combine,
        window_axes: vec![],
        inserted: vec![0],
        start_map: vec![0],
        operand_batch: vec![],
        index_batch: vec![],
        unique: false,
    }
}

#[test]
fn rows_by_number_are_clamped() {
    let index = ints(DType::I32, &[3, 1], &[2, -5, 99]);
    assert_eq!(floats(rows(2), &[count(&[4, 2]), index]), [4., 5., 0., 1., 6., 7.]);
}

#[test]
fn slices_of_two_coordinates() {
    let op = Gather { sizes: vec![Dim::from(2i64), Dim::ONE], collapsed: vec![1], start_map: vec![1, 0], ..rows(1) };
    // Coordinates are (column, row); (3, 2) is moved up to row 1 so that two rows fit.
    let index = ints(DType::I32, &[2, 2], &[0, 0, 3, 2]);
    let out = run(op, &[count(&[3, 4]), index]);
    assert_eq!(out.array().unwrap().shape, [2, 2]);
    assert_eq!(out.array().unwrap().to_f64(), [0., 4., 7., 11.]);
}

#[test]
fn offsets_before_index_axes_and_batches() {
    let first = Gather { offset_axes: vec![0], ..rows(2) };
    let index = ints(DType::U8, &[3, 1], &[0, 1, 1]);
    assert_eq!(floats(first, &[count(&[2, 2]), index]), [0., 2., 2., 1., 3., 3.]);
    // One position per row: take_along_axis.
    let along = Gather {
        sizes: vec![Dim::ONE, Dim::ONE],
        offset_axes: vec![],
        collapsed: vec![1],
        start_map: vec![1],
        operand_batch: vec![0],
        index_batch: vec![0],
    };
    let index = ints(DType::I64, &[2, 2, 1], &[2, 0, 1, 1]);
    assert_eq!(floats(along, &[count(&[2, 3]), index]), [2., 0., 4., 4.]);
}

#[test]
fn updates_meet_what_is_there() {
    let index = ints(DType::I32, &[4, 1], &[1, 1, 3, 7]);
    let with = |c| floats(elements(c), &[count(&[4]), index.clone(), f32s(&[4], &[10., 20., -1., 5.])]);
    assert_eq!(with(Combine::Set), [0., 20., 2., -1.]);
    assert_eq!(with(Combine::Add), [0., 31., 2., 2.]);
    assert_eq!(with(Combine::Mul), [0., 200., 2., -3.]);
    assert_eq!(with(Combine::Max), [0., 20., 2., 3.]);
    assert_eq!(with(Combine::Min), [0., 1., 2., -1.]);
}

#[test]
fn a_slice_that_sticks_out_is_dropped_whole() {
    let op = Scatter { window_axes: vec![1], inserted: vec![], ..elements(Combine::Set) };
    let index = ints(DType::I32, &[3, 1], &[3, 0, -1]);
    let out = floats(op, &[count(&[4]), index, f32s(&[3, 2], &[7., 7., 8., 9., 5., 5.])]);
    assert_eq!(out, [8., 9., 2., 3.]);
}

#[test]
fn batched_updates() {
    let op = Scatter {
        inserted: vec![1],
        start_map: vec![1],
        operand_batch: vec![0],
        index_batch: vec![0],
        ..elements(Combine::Add)
    };
    let index = ints(DType::I32, &[2, 2, 1], &[0, 0, 2, 1]);
    let out = floats(op, &[f32s(&[2, 3], &[0.; 6]), index, f32s(&[2, 2], &[1., 2., 3., 4.])]);
    assert_eq!(out, [3., 0., 0., 0., 4., 3.]);
}
