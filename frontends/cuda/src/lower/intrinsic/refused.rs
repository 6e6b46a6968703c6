//! What has no portable form, by name, with advice.

/// Why a function is refused, and what to do instead.
pub fn reason(id: &str) -> Option<(&'static str, &'static str)> {
    let texture = "read the array through a pointer, and interpolate in the kernel where needed";
    Some(match id {
        "malloc" | "free" | "new" | "delete" => {
            ("device-side memory allocation", "allocate on the host and pass the buffer to the kernel")
        }
        "clock" | "clock64" | "__clock" | "globaltimer" => {
            ("the device clock", "WGSL has no clock: time whole kernels from the host")
        }
        "this_grid" | "this_multi_grid" => (
            "grid-wide synchronisation",
            "workgroups need not run at the same time: split the kernel where the grid waits",
        ),
        "cudaDeviceSynchronize" | "cudaLaunchDevice" | "cudaGetParameterBuffer" | "cudaMalloc" | "cudaFree" => {
            ("the CUDA runtime called from device code (dynamic parallelism)", "call it from the host")
        }
        "curand_init" | "curand" | "curand_uniform" | "curand_normal" => {
            ("the cuRAND device library", "write the generator into the kernel, for example Philox or xorshift")
        }
        "memcpy_async" | "__pipeline_memcpy_async" | "__pipeline_commit" | "__pipeline_wait_prior" => {
            ("asynchronous copies", "copy with plain loads and stores, then __syncthreads()")
        }
        _ if directed(id) => (
            "an operation with a rounding mode of its own",
            "WGSL rounds as the device does: use the form that ends in _rn, or integers",
        ),
        "__builtin_alloca" | "alloca" => ("alloca", "use an array of fixed length"),
        "setjmp" | "longjmp" => ("setjmp", "use structured control flow"),
        _ if id.starts_with("tex") && id.chars().nth(3).is_some_and(|c| c.is_ascii_digit() || c == 'C') => {
            ("a texture read", texture)
        }
        _ if id.starts_with("surf") && id.chars().nth(4).is_some_and(|c| c.is_ascii_digit()) => {
            ("a surface access", texture)
        }
        _ => return None,
    })
}

/// Arithmetic that rounds up, down or to zero: `__fadd_ru`, `__dmul_rz`, `__fma_rd`, and conversions to a narrower float.
fn directed(id: &str) -> bool {
    let Some((body, "ru" | "rd" | "rz")) = id.strip_prefix("__").and_then(|r| r.rsplit_once('_')) else { return false };
    match body.split_once('2') {
        Some((from, to)) => {
            matches!(to, "float" | "half" | "bfloat16") || (to == "double" && matches!(from, "ll" | "ull"))
        }
        None => ["add", "sub", "mul", "div", "rcp", "sqrt", "fma", "fmaf"]
            .iter()
            .any(|op| body == *op || body.strip_prefix(['f', 'd', 'h']).is_some_and(|b| b == *op)),
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn every_refusal_has_advice() {
        for id in
            ["malloc", "clock64", "this_grid", "curand_init", "tex2D", "surf2Dwrite", "memcpy_async", "cudaMalloc"]
        {
            let (what, advice) = reason(id).unwrap_or(("", ""));
            assert!(!what.is_empty() && !advice.is_empty(), "{id}");
        }
        for id in
            ["__fadd_ru", "__dmul_rz", "__fmaf_rd", "__fma_rz", "__fsqrt_ru", "__double2float_rz", "__int2float_rd"]
        {
            assert!(reason(id).is_some(), "{id}");
        }
        for id in ["__fadd_rn", "__float2int_rz", "__double2int_ru", "__int2double_rn"] {
            assert!(reason(id).is_none(), "{id}");
        }
        assert!(reason("text").is_none() && reason("surface_of").is_none());
    }
}
