//! The table itself, and the page docs/triton.md that is made of it.

use super::How::{Map, Refused, Run, Same};
use super::{How, Row, blocks, create, debug, math, memory, product, random, reduce, rust, shape, sort};
use girih_base::ScalarOp;
use std::fmt::Write;

const fn row(name: &'static str, params: &'static str, how: How, doc: &'static str) -> Row {
    Row { name, params, method: false, how, doc }
}

/// A function that tensors have as a method too.
const fn method(name: &'static str, params: &'static str, how: How, doc: &'static str) -> Row {
    Row { name, params, method: true, how, doc }
}

const VENDOR: &str = "it belongs to one vendor's hardware; write the operation in the language itself";
const LOOP: &str = "arg1, arg2=, step=, num_stages=, loop_unroll_factor=, disallow_acc_multi_buffer=, flatten=, warp_specialize=, disable_licm=";
const ATOMIC: &str = "pointer, val, mask=, sem=, scope=";

/// Every function of the language.
pub(crate) static ROWS: &[Row] = &[
    // Programs.
    row("program_id", "axis", Run(create::program_id), ""),
    row("num_programs", "axis", Run(create::num_programs), ""),
    // New tiles.
    row("arange", "start, end", Run(create::arange), "powers of two, as in Triton"),
    row("zeros", "shape, dtype", Run(create::zeros), ""),
    row("zeros_like", "input", Run(create::zeros_like), ""),
    row("full", "shape, value, dtype", Run(create::full), ""),
    method(
        "cast",
        "input, dtype, fp_downcast_rounding=, bitcast=",
        Run(create::cast),
        "rounding `rtne` and `rtz`; also `.to`",
    ),
    row("to_tensor", "x", Run(create::to_tensor), ""),
    row("tensor", "handle, type", Refused("a type, not a function; use `tl.full`"), ""),
    row("constexpr", "value", Run(create::constexpr), ""),
    row(
        "pointer_type",
        "element_ty, address_space=, const=",
        Run(create::pointer_type),
        "only to read a buffer as another type of its width",
    ),
    row("const", "", Refused("an annotation; it has no effect here"), ""),
    row("dtype", "name", Refused("use the types themselves: `tl.float32`"), ""),
    row("block_type", "element_ty, shape", Refused("use `tl.zeros` with a shape"), ""),
    // Loops.
    row("range", LOOP, Run(create::range), "the hints are accepted and have no effect"),
    row("static_range", "arg1, arg2=, step=", Run(create::static_range), ""),
    // Memory.
    row(
        "load",
        "pointer, mask=, other=, boundary_check=, padding_option=, cache_modifier=, eviction_policy=, volatile=",
        Run(memory::load),
        "elements that are masked off are never touched and read as `other`, else as 0",
    ),
    row(
        "store",
        "pointer, value, mask=, boundary_check=, cache_modifier=, eviction_policy=",
        Run(memory::store),
        "elements that are masked off are never touched",
    ),
    row("make_block_ptr", "base, shape, strides, offsets, block_shape, order=", Run(blocks::make_block_ptr), ""),
    row("advance", "base, offsets", Run(blocks::advance), ""),
    row(
        "make_tensor_descriptor",
        "base, shape, strides, block_shape, padding_option=",
        Run(blocks::make_tensor_descriptor),
        "",
    ),
    row("load_tensor_descriptor", "desc, offsets", Same("descriptor_load"), ""),
    row("store_tensor_descriptor", "desc, offsets, value", Same("descriptor_store"), ""),
    row(
        "descriptor_load",
        "desc, offsets, cache_modifier=, eviction_policy=",
        Run(blocks::descriptor_load),
        "also `desc.load`",
    ),
    row("descriptor_store", "desc, offsets, value", Run(blocks::descriptor_store), "also `desc.store`"),
    row("descriptor_atomic_add", "desc, offsets, value", Run(blocks::descriptor_atomic_add), "also `desc.atomic_add`"),
    row(
        "descriptor_gather",
        "desc, x_offsets, y_offset",
        Refused("load through pointers computed from the row indices"),
        "",
    ),
    row(
        "descriptor_scatter",
        "desc, value, x_offsets, y_offset",
        Refused("store through pointers computed from the row indices"),
        "",
    ),
    row(
        "tensor_descriptor",
        "",
        Refused("pass the buffer, and make a descriptor in the kernel with `tl.make_tensor_descriptor`"),
        "",
    ),
    // Atomics.
    row("atomic_add", ATOMIC, Run(memory::atomic_add), "32-bit elements on GPUs; floats by compare-and-exchange"),
    row("atomic_max", ATOMIC, Run(memory::atomic_max), ""),
    row("atomic_min", ATOMIC, Run(memory::atomic_min), ""),
    row("atomic_and", ATOMIC, Run(memory::atomic_and), ""),
    row("atomic_or", ATOMIC, Run(memory::atomic_or), ""),
    row("atomic_xor", ATOMIC, Run(memory::atomic_xor), ""),
    row("atomic_xchg", ATOMIC, Run(memory::atomic_xchg), ""),
    row(
        "atomic_cas",
        "pointer, cmp, val, sem=, scope=",
        Run(memory::atomic_cas),
        "programs that wait for each other need not make progress on a GPU",
    ),
    row("atomic_load", "pointer, mask=, sem=, scope=", Run(memory::atomic_load), ""),
    row("atomic_store", ATOMIC, Run(memory::atomic_store), ""),
    row(
        "atomic_poll",
        "pointer, expected, sem=, scope=, timeout_ns=",
        Refused("programs of one launch cannot wait for each other on most GPUs; split the kernel in two"),
        "",
    ),
    // Products.
    row(
        "dot",
        "input, other, acc=, input_precision=, allow_tf32=, max_num_imprecise_acc=, out_dtype=",
        Run(product::dot),
        "fp32 operands are multiplied in fp32 at every `input_precision`; sums of narrow floats are fp32",
    ),
    row(
        "dot_scaled",
        "lhs, lhs_scale, lhs_format, rhs, rhs_scale, rhs_format, acc=, fast_math=, lhs_k_pack=, rhs_k_pack=, out_dtype=",
        Run(product::dot_scaled),
        "values packed along k; the product is in fp32",
    ),
    // Shapes.
    method("trans", "input, *dims", Run(shape::trans), "also `.T`"),
    method("permute", "input, *dims", Run(shape::trans), ""),
    method("reshape", "input, *shape, can_reorder=", Run(shape::reshape), "never reorders"),
    method("view", "input, *shape", Run(shape::reshape), ""),
    method("ravel", "x, can_reorder=", Run(shape::ravel), "never reorders"),
    method("broadcast_to", "input, *shape", Run(shape::broadcast_to), ""),
    row("broadcast", "input, other", Run(shape::broadcast), ""),
    method("expand_dims", "input, axis", Run(shape::expand_dims), ""),
    method("squeeze", "x, dim", Run(shape::squeeze), ""),
    row("unsqueeze", "input, axis", Run(shape::expand_dims), ""),
    row("join", "a, b", Run(shape::join), ""),
    method("split", "a", Run(shape::split), ""),
    row("interleave", "a, b", Run(shape::interleave), ""),
    row("cat", "input, other, can_reorder=, dim=", Run(shape::cat), "never reorders"),
    method("flip", "x, dim=", Run(shape::flip), ""),
    row("slice", "start, stop=, step=", Refused("only whole axes can be indexed"), ""),
    // Elementwise.
    row("where", "condition, x, y", Run(math::where_), ""),
    row("add", "x, y, sanitize_overflow=", Run(math::add), ""),
    row("sub", "x, y, sanitize_overflow=", Run(math::sub), ""),
    row("mul", "x, y, sanitize_overflow=", Run(math::mul), ""),
    method("abs", "x", Run(math::abs), ""),
    row("maximum", "x, y, propagate_nan=", Run(math::maximum), "of a number and NaN the number, as in Triton"),
    row("minimum", "x, y, propagate_nan=", Run(math::minimum), "of a number and NaN the number, as in Triton"),
    row("clamp", "x, min, max, propagate_nan=", Run(math::clamp), ""),
    method("cdiv", "x, div", Run(math::cdiv), ""),
    row("quotient", "x, y", Run(rust::quotient), "not in Triton: Rust's `/`, which rounds to zero on integers"),
    row("remainder", "x, y", Run(rust::remainder), "not in Triton: Rust's `%`, which has the sign of `x`"),
    row("negation", "x", Run(rust::negation), "not in Triton: Rust's `!`, of truth values and of bits"),
    row("fdiv", "x, y, ieee_rounding=", Run(math::fdiv), ""),
    row("div_rn", "x, y", Run(math::fdiv), "within the target's bound of a division"),
    row("fma", "x, y, z", Run(math::fma), "rounded once or twice"),
    row("umulhi", "x, y", Run(math::umulhi), ""),
    method("exp", "x", Map(ScalarOp::Exp), ""),
    method("exp2", "x", Map(ScalarOp::Exp2), ""),
    method("log", "x", Map(ScalarOp::Log), ""),
    method("log2", "x", Map(ScalarOp::Log2), ""),
    method("sin", "x", Map(ScalarOp::Sin), ""),
    method("cos", "x", Map(ScalarOp::Cos), ""),
    method("sqrt", "x", Map(ScalarOp::Sqrt), ""),
    row("sqrt_rn", "x", Map(ScalarOp::Sqrt), "within the target's bound of a square root"),
    method("rsqrt", "x", Map(ScalarOp::Rsqrt), ""),
    method("erf", "x", Map(ScalarOp::Erf), ""),
    method("floor", "x", Map(ScalarOp::Floor), ""),
    method("ceil", "x", Map(ScalarOp::Ceil), ""),
    method("sigmoid", "x", Map(ScalarOp::Sigmoid), ""),
    method(
        "softmax",
        "x, dim=, keep_dims=, ieee_rounding=",
        Run(math::softmax),
        "along axis 0 unless told otherwise, as in Triton",
    ),
    row("swizzle2d", "i, j, size_i, size_j, size_g", Run(swizzle2d), ""),
    // Of `libdevice`.
    row("tanh", "x", Map(ScalarOp::Tanh), "libdevice"),
    row("tan", "x", Map(ScalarOp::Tan), "libdevice"),
    row("asin", "x", Map(ScalarOp::Asin), "libdevice"),
    row("acos", "x", Map(ScalarOp::Acos), "libdevice"),
    row("atan", "x", Map(ScalarOp::Atan), "libdevice"),
    row("atan2", "x, y", Map(ScalarOp::Atan2), "libdevice"),
    row("sinh", "x", Map(ScalarOp::Sinh), "libdevice"),
    row("cosh", "x", Map(ScalarOp::Cosh), "libdevice"),
    row("asinh", "x", Map(ScalarOp::Asinh), "libdevice"),
    row("acosh", "x", Map(ScalarOp::Acosh), "libdevice"),
    row("atanh", "x", Map(ScalarOp::Atanh), "libdevice"),
    row("log1p", "x", Map(ScalarOp::Log1p), "libdevice"),
    row("expm1", "x", Map(ScalarOp::Expm1), "libdevice"),
    row("log10", "x", Map(ScalarOp::Log10), "libdevice"),
    row("exp10", "x", Run(math::exp10), "libdevice"),
    row("pow", "x, y", Run(math::pow), "libdevice; floats"),
    row("cbrt", "x", Map(ScalarOp::Cbrt), "libdevice"),
    row("trunc", "x", Map(ScalarOp::Trunc), "libdevice"),
    row("rint", "x", Map(ScalarOp::Round), "libdevice"),
    row("nearbyint", "x", Map(ScalarOp::Round), "libdevice"),
    row("copysign", "x, y", Map(ScalarOp::CopySign), "libdevice"),
    row("fmod", "x, y", Map(ScalarOp::Rem), "libdevice"),
    row("hypot", "x, y", Run(math::hypot), "libdevice"),
    row("isnan", "x", Run(math::isnan), "libdevice"),
    row("isinf", "x", Map(ScalarOp::IsInf), "libdevice"),
    row("isfinited", "x", Map(ScalarOp::IsFinite), "libdevice"),
    row("finitef", "x", Map(ScalarOp::IsFinite), "libdevice"),
    row("div_rz", "x, y", Refused("rounding modes of single operations are not portable; use `/`"), "libdevice"),
    row("fast_expf", "x", Map(ScalarOp::Exp), "libdevice; as `exp`"),
    row("fast_logf", "x", Map(ScalarOp::Log), "libdevice; as `log`"),
    row("fast_tanhf", "x", Map(ScalarOp::Tanh), "libdevice; as `tanh`"),
    row("fast_dividef", "x, y", Run(math::fdiv), "libdevice; as `/`"),
    row("popc", "x", Run(math::popc), "libdevice"),
    row("clz", "x", Run(math::clz), "libdevice"),
    // Folds.
    method("sum", "input, axis=, keep_dims=, dtype=", Run(reduce::sum), ""),
    method("max", "input, axis=, return_indices=, return_indices_tie_break_left=, keep_dims=", Run(reduce::max), ""),
    method("min", "input, axis=, return_indices=, return_indices_tie_break_left=, keep_dims=", Run(reduce::min), ""),
    method("argmax", "input, axis, tie_break_left=, keep_dims=", Run(reduce::argmax), "of equals always the first"),
    method("argmin", "input, axis, tie_break_left=, keep_dims=", Run(reduce::argmin), "of equals always the first"),
    method("xor_sum", "input, axis=, keep_dims=", Run(reduce::xor_sum), ""),
    method("reduce_or", "input, axis=, keep_dims=", Run(reduce::reduce_or), ""),
    method(
        "reduce",
        "input, axis, combine_fn, keep_dims=",
        Run(reduce::reduce),
        "the function may use arithmetic on its arguments",
    ),
    method("associative_scan", "input, axis, combine_fn, reverse=", Run(reduce::associative_scan), ""),
    method("cumsum", "input, axis=, reverse=, dtype=", Run(reduce::cumsum), ""),
    method("cumprod", "input, axis=, reverse=, dtype=", Run(reduce::cumprod), ""),
    method("sort", "x, dim=, descending=", Run(sort::sort), "along the last axis; stable, NaN last"),
    row("topk", "x, k, dim=, descending=", Run(sort::topk), "along the last axis"),
    row("bitonic_merge", "x, dim=, descending=", Run(sort::sort), "sorts"),
    method("histogram", "input, num_bins, mask=", Run(sort::histogram), "compares every element with every bin"),
    method("gather", "src, index, axis", Run(sort::gather), "compares every index with every position"),
    // Random numbers.
    row("rand", "seed, offset, n_rounds=", Run(random::rand), "bit for bit Triton's"),
    row(
        "randn",
        "seed, offset, n_rounds=",
        Run(random::randn),
        "Triton's words, through this target's `log` and `cos`",
    ),
    row("randint", "seed, offset, n_rounds=", Run(random::randint), "bit for bit Triton's"),
    row("rand4x", "seed, offset, n_rounds=", Run(random::rand4x), ""),
    row("randn4x", "seed, offset, n_rounds=", Run(random::randn4x), ""),
    row("randint4x", "seed, offset, n_rounds=", Run(random::randint4x), ""),
    row("philox", "seed, c0, c1, c2, c3, n_rounds=", Run(random::philox_row), "32-bit counters"),
    row("philox_impl", "c0, c1, c2, c3, k0, k1, n_rounds=", Refused("use `tl.philox`"), ""),
    row("uint_to_uniform_float", "x", Run(random::uint_to_uniform_float), ""),
    row("pair_uniform_to_normal", "u1, u2", Run(random::pair_uniform_to_normal), ""),
    // Hints and debugging.
    row(
        "multiple_of",
        "input, values",
        Run(debug::hint),
        "accepted; arguments' own divisibility is measured at launch",
    ),
    row("max_contiguous", "input, values", Run(debug::hint), "accepted; contiguity is found by analysis"),
    row("max_constancy", "input, values", Run(debug::hint), "accepted; constancy is found by analysis"),
    row("assume", "cond", Run(debug::nothing), "accepted"),
    row("expect_zero", "input", Run(debug::hint), "accepted"),
    row("debug_barrier", "", Run(debug::nothing), "accepted: the statements of a program run in order anyway"),
    row("static_assert", "cond, msg=", Run(debug::static_assert), ""),
    row("static_print", "*values", Run(debug::static_print), "kept with the compiled kernel's notes"),
    row(
        "device_assert",
        "cond, msg=, mask=",
        Run(debug::device_assert),
        "tested with `@triton.jit(debug=True)` or `TRITON_DEBUG=1`, as in Triton; the error comes with the next read or synchronisation",
    ),
    row(
        "device_print",
        "prefix, *args, hex=",
        Run(debug::device_print),
        "one line for each element, for a scalar one for each program",
    ),
    // Not portable.
    row(
        "inline_asm_elementwise",
        "asm, constraints, args, dtype, is_pure, pack",
        Refused(
            "assembly runs on one vendor's processors; write the arithmetic in the language, bit operations included",
        ),
        "",
    ),
    row("map_elementwise", "scalar_fn, *args, pack=", Refused("call the function on the tiles themselves"), ""),
    row("condition", "arg, disable_licm=", Refused("write the condition itself after `while`"), ""),
    row("globaltimer", "", Refused(VENDOR), ""),
    row("clock", "", Refused(VENDOR), ""),
    row("smid", "", Refused(VENDOR), ""),
    row("num_threads", "", Refused("a program is one thread of control here; use `num_programs`"), ""),
    row("num_warps", "", Refused("the number of threads is the compiler's choice"), ""),
    row("gdc_wait", "", Refused(VENDOR), ""),
    row("gdc_launch_dependents", "", Refused(VENDOR), ""),
    row("experimental_device_tensormap_create1d", "", Refused(VENDOR), ""),
    row("experimental_device_tensormap_create2d", "", Refused(VENDOR), ""),
    row("float8e4b8", "", Refused("use `tl.float8e4nv`"), "a type of one vendor"),
    row("float8e4b15", "", Refused("use `tl.float8e4nv`"), "a type of one vendor"),
    row("float8e5b16", "", Refused("use `tl.float8e5`"), "a type of one vendor"),
    row("target_info", "", Refused("kernels do not depend on the target here"), ""),
];

/// Triton's `swizzle2d`, from its documentation: column-major within groups of rows.
fn swizzle2d(e: &mut crate::eval::Eval, a: &mut super::Args) -> girih_base::Result<crate::value::Value> {
    use crate::value::Value;
    use ruff_python_ast::Operator::{Add, FloorDiv, Mod, Mult, Sub};
    let [i, j, rows, columns, group] = ["i", "j", "size_i", "size_j", "size_g"].map(|n| a.get(n));
    let line = e.binary(Mult, &i, &columns)?;
    let index = e.binary(Add, &line, &j)?;
    let size = e.binary(Mult, &group, &columns)?;
    let number = e.binary(FloorDiv, &index, &size)?;
    let first = e.binary(Mult, &number, &group)?;
    let left = e.binary(Sub, &rows, &first)?;
    let high = math::extremum(e, ScalarOp::Min, &left, &group, false)?;
    let high = Value::Tensor(high);
    let within = e.binary(Mod, &index, &size)?;
    let row = e.binary(Mod, &within, &high)?;
    let row = e.binary(Add, &first, &row)?;
    let column = e.binary(FloorDiv, &within, &high)?;
    Ok(Value::tuple(vec![row, column]))
}

/// The page of names.
pub fn markdown() -> String {
    let mut out = String::from("| name | parameters | | |\n|---|---|---|---|\n");
    for r in ROWS {
        let (state, note) = match r.how {
            How::Refused(advice) => {
                ("refused", format!("{advice}{}{}", if r.doc.is_empty() { "" } else { "; " }, r.doc))
            }
            _ => ("yes", r.doc.to_string()),
        };
        let params = r.params.replace('=', "=...").replace('*', "\\*");
        let _ = writeln!(out, "| `{}` | {params} | {state} | {note} |", r.name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_has_one_row_and_every_alias_an_end() {
        let names: BTreeSet<&str> = ROWS.iter().map(|r| r.name).collect();
        assert_eq!(names.len(), ROWS.len());
        for r in ROWS {
            if let How::Same(other) = r.how {
                assert!(names.contains(other));
            }
        }
    }
}
