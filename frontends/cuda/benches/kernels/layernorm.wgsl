@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
struct Sizes { gridDim_x: u32, cols: u32, groups: u32 }
@group(1) @binding(0) var<uniform> sizes: Sizes;
var<workgroup> s: array<f32, 256>;
var<workgroup> q: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    let cols = sizes.cols;
    let base = id.x * cols;
    var sum = 0.0;
    var squares = 0.0;
    for (var i = t; i < cols; i += 256u) {
        let v = x[base + i];
        sum += v;
        squares += v * v;
    }
    s[t] = sum;
    q[t] = squares;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if (t < stride) {
            s[t] += s[t + stride];
            q[t] += q[t + stride];
        }
        workgroupBarrier();
    }
    let mean = s[0] / f32(cols);
    let scale = inverseSqrt(q[0] / f32(cols) - mean * mean + 1e-5);
    for (var i = t; i < cols; i += 256u) {
        y[base + i] = (x[base + i] - mean) * scale * w[i] + b[i];
    }
}
