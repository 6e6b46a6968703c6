@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
struct Sizes { gridDim_x: u32, cols: u32, groups: u32 }
@group(1) @binding(0) var<uniform> sizes: Sizes;
var<workgroup> s: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let cols = sizes.cols;
    let base = id.x * cols;
    var top = -3.4028234e38;
    for (var i = t; i < cols; i += 256u) {
        top = max(top, x[base + i]);
    }
    s[t] = top;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if (t < stride) {
            s[t] = max(s[t], s[t + stride]);
        }
        workgroupBarrier();
    }
    top = s[0];
    workgroupBarrier();
    var sum = 0.0;
    for (var i = t; i < cols; i += 256u) {
        let e = exp(x[base + i] - top);
        y[base + i] = e;
        sum += e;
    }
    s[t] = sum;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if (t < stride) {
            s[t] += s[t + stride];
        }
        workgroupBarrier();
    }
    sum = s[0];
    for (var i = t; i < cols; i += 256u) {
        y[base + i] /= sum;
    }
}
