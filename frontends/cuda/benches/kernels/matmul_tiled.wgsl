@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
struct Sizes { gridDim_x: u32, gridDim_y: u32, n: u32, groups: u32 }
@group(1) @binding(0) var<uniform> sizes: Sizes;
var<workgroup> at: array<array<f32, 16>, 16>;
var<workgroup> bt: array<array<f32, 16>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_id) t: vec3<u32>) {
    let n = sizes.n;
    let row = id.x / sizes.gridDim_x * 16u + t.y;
    let col = id.x % sizes.gridDim_x * 16u + t.x;
    var sum = 0.0;
    for (var tile = 0u; tile < n / 16u; tile++) {
        at[t.y][t.x] = a[row * n + tile * 16u + t.x];
        bt[t.y][t.x] = b[(tile * 16u + t.y) * n + col];
        workgroupBarrier();
        for (var k = 0u; k < 16u; k++) {
            sum += at[t.y][k] * bt[k][t.x];
        }
        workgroupBarrier();
    }
    c[row * n + col] = sum;
}
