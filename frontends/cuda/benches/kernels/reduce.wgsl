@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
struct Sizes { gridDim_x: u32, n: u32, groups: u32 }
@group(1) @binding(0) var<uniform> sizes: Sizes;
var<workgroup> s: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) t: u32) {
    var sum = 0.0;
    for (var i = id.x * 256u + t; i < sizes.n; i += 256u * sizes.gridDim_x) {
        sum += x[i];
    }
    s[t] = sum;
    workgroupBarrier();
    for (var stride = 128u; stride > 0u; stride >>= 1u) {
        if (t < stride) {
            s[t] += s[t + stride];
        }
        workgroupBarrier();
    }
    if (t == 0u) {
        out[id.x] = s[0];
    }
}
