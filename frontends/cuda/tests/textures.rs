//! Textures and surfaces against the CUDA programming guide's definitions, written out here a second time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;
use girih_base::DType;
use girih_cuda::{Address, LaunchShape, Module, TextureMode};

/// Texels with few bits, so that interpolation is exact in any order.
fn noise(n: usize) -> Vec<f32> {
    (0..n as u32).map(|i| ((i.wrapping_mul(2_654_435_761) >> 20) & 63) as f32 - 17.0).collect()
}

fn tex(texels: &[f32], extent: [u32; 3], mode: TextureMode) -> Arg {
    Arg::Tex(Tex { texels: texels.iter().flat_map(|v| v.to_le_bytes()).collect(), extent, mode })
}

/// The texel's index on an axis; none for the border.
fn address(i: i64, n: i64, mode: &TextureMode, axis: usize) -> Option<usize> {
    let repeats = mode.normalized;
    match mode.address[axis] {
        Address::Wrap if repeats => Some(i.rem_euclid(n) as usize),
        Address::Mirror if repeats => {
            let r = i.rem_euclid(2 * n);
            Some(if r < n { r } else { 2 * n - 1 - r } as usize)
        }
        Address::Border => (0..n).contains(&i).then_some(i as usize),
        _ => Some(i.clamp(0, n - 1) as usize),
    }
}

/// What a read gives, channel by channel, in f64.
fn read(texels: &[f32], extent: [u32; 3], mode: &TextureMode, at: &[f32], layer: usize) -> Vec<f64> {
    let channels = mode.channels as usize;
    let texel = |index: [Option<usize>; 3], c: usize| match index {
        [Some(x), Some(y), Some(z)] => {
            texels[((z * extent[1] as usize + y) * extent[0] as usize + x) * channels + c] as f64
        }
        _ => 0.0,
    };
    let places: Vec<f64> = at
        .iter()
        .zip(extent)
        .map(|(x, n)| *x as f64 * if mode.normalized { n as f64 } else { 1.0 })
        .map(|x| if mode.linear { x - 0.5 } else { x })
        .collect();
    (0..channels)
        .map(|c| {
            let mut sum = 0.0;
            for corner in 0..if mode.linear { 1 << at.len() } else { 1 } {
                let (mut index, mut weight) = ([Some(0), Some(0), Some(layer)], 1.0);
                for (axis, x) in places.iter().enumerate() {
                    let second = corner >> axis & 1;
                    let part = ((x - x.floor()) * 256.0).round() / 256.0;
                    index[axis] = address(x.floor() as i64 + second, extent[axis] as i64, mode, axis);
                    weight *=
                        if !mode.linear || second == 1 { if mode.linear { part } else { 1.0 } } else { 1.0 - part };
                }
                sum += weight * texel(index, c);
            }
            sum
        })
        .collect()
}

fn modes() -> Vec<TextureMode> {
    let mut out = Vec::new();
    for address in [Address::Clamp, Address::Border, Address::Wrap, Address::Mirror] {
        for (linear, normalized) in [(false, false), (true, false), (false, true), (true, true)] {
            out.push(TextureMode {
                linear,
                normalized,
                address: [address, address, Address::Clamp],
                ..TextureMode::new(DType::F32, 1)
            });
        }
    }
    out
}

/// Coordinates in and around the texture, in 64ths of a texel: exact in f32 whatever the extent of 8 or 4.
fn coordinates(count: usize, n: u32, normalized: bool) -> Vec<f32> {
    let scale = if normalized { n as f32 } else { 1.0 };
    (0..count)
        .map(|i| {
            let sixty_fourths = (i as i64 * 37 % (n as i64 * 3 * 64)) - n as i64 * 64;
            sixty_fourths as f32 / 64.0 / scale
        })
        .collect()
}

#[test]
fn two_axes_in_every_mode() {
    let src = "__global__ void k(float* o, const float* x, const float* y, cudaTextureObject_t image) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        o[i] = tex2D<float>(image, x[i], y[i]);
    }";
    let extent = [8, 4, 1];
    let texels = noise(32);
    for mode in modes() {
        let (x, y) = (coordinates(96, 8, mode.normalized), coordinates(96, 4, mode.normalized));
        let want: Vec<f32> = (0..96).map(|i| read(&texels, extent, &mode, &[x[i], y[i]], 0)[0] as f32).collect();
        let args = vec![zeros(96), f(&x), f(&y), tex(&texels, extent, mode)];
        launch(src, "k", 3, 32, args).floats(0, &want, 0.0, 1.0);
    }
}

#[test]
fn one_and_three_axes_layers_and_linear_memory() {
    let src = "__global__ void line(float* o, const float* x, cudaTextureObject_t t) { o[threadIdx.x] = tex1D<float>(t, x[threadIdx.x]); }
    __global__ void space(float* o, const float* x, const float* y, const float* z, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = tex3D<float>(t, x[i], y[i], z[i]);
    }
    __global__ void layers(float* o, const float* x, const float* y, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = tex2DLayered<float>(t, x[i], y[i], i % 5 - 1);
    }
    __global__ void rows(float* o, const float* x, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = tex1DLayered<float>(t, x[i], i % 3);
    }
    __global__ void words(int* o, cudaTextureObject_t t) { o[threadIdx.x] = tex1Dfetch<int>(t, (int)threadIdx.x - 4); }";
    for linear in [false, true] {
        let mode = TextureMode { linear, ..TextureMode::new(DType::F32, 1) };
        let (x, y, z) = (coordinates(64, 8, false), coordinates(64, 4, false), coordinates(64, 2, false));
        let texels = noise(64);
        let of = |at: &dyn Fn(usize) -> (Vec<f32>, usize), extent| -> Vec<f32> {
            (0..64)
                .map(|i| {
                    let (p, l) = at(i);
                    read(&texels, extent, &mode, &p, l)[0] as f32
                })
                .collect()
        };
        let want = of(&|i| (vec![x[i]], 0), [8, 1, 1]);
        launch(src, "line", 1, 64, vec![zeros(64), f(&x), tex(&texels, [8, 1, 1], mode)]).floats(0, &want, 0.0, 1.0);
        let want = of(&|i| (vec![x[i], y[i], z[i]], 0), [8, 4, 2]);
        let args = vec![zeros(64), f(&x), f(&y), f(&z), tex(&texels, [8, 4, 2], mode)];
        // Three weights of eight bits and a texel of six do not fit a float's fraction.
        launch(src, "space", 1, 64, args).floats(0, &want, 4.0, 64.0);
        let want = of(&|i| (vec![x[i], y[i]], (i % 5).saturating_sub(1).min(1)), [8, 4, 2]);
        let args = vec![zeros(64), f(&x), f(&y), tex(&texels, [8, 4, 2], mode)];
        launch(src, "layers", 1, 64, args).floats(0, &want, 0.0, 1.0);
        let want = of(&|i| (vec![x[i]], i % 3), [8, 1, 3]);
        launch(src, "rows", 1, 64, vec![zeros(64), f(&x), tex(&texels, [8, 1, 3], mode)]).floats(0, &want, 0.0, 1.0);
    }
    let list: Vec<i32> = (0..10).map(|i| i * i - 30).collect();
    let bytes = list.iter().flat_map(|v| v.to_le_bytes()).collect();
    let image = Arg::Tex(Tex { texels: bytes, extent: [10, 1, 1], mode: TextureMode::new(DType::I32, 1) });
    let want: Vec<i32> =
        (0..16).map(|i: usize| i.checked_sub(4).and_then(|i| list.get(i)).copied().unwrap_or(0)).collect();
    launch(src, "words", 1, 16, vec![zeros(16), image]).ints(0, &want);
}

#[test]
fn channels_fractions_and_narrow_texels() {
    let src = "__global__ void bytes(float4* o, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = tex2D<float4>(t, i % 4 + 0.5f, i / 4 + 0.5f);
    }
    __global__ void whole(uchar4* o, cudaTextureObject_t t) {
        int i = threadIdx.x; uchar4 v; tex2D(&v, t, i % 4, i / 4); o[i] = v;
    }
    __global__ void shorts(float* o, cudaTextureObject_t t) { o[threadIdx.x] = tex1D<float>(t, threadIdx.x * 0.5f); }
    __global__ void halves(float2* o, cudaTextureObject_t t) { o[threadIdx.x] = tex1D<float2>(t, threadIdx.x * 0.5f); }
    __global__ void gathered(float4* o, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = tex2Dgather<float4>(t, i % 4 + 0.25f, i / 4 + 0.75f, 1);
    }";
    let raw: Vec<u8> = (0..32u32).map(|i| (i * 37 % 256) as u8).collect();
    let bytes = |fractions| {
        Arg::Tex(Tex {
            texels: raw.clone(),
            extent: [4, 2, 1],
            mode: TextureMode { fractions, ..TextureMode::new(DType::U8, 4) },
        })
    };
    let want: Vec<f32> = raw.iter().map(|b| *b as f32 / 255.0).collect();
    launch(src, "bytes", 1, 8, vec![zeros(32), bytes(true)]).floats(0, &want, 1.0, 1.0);
    launch(src, "whole", 1, 8, vec![zeros(8), bytes(false)]).bytes(0, &raw);
    let shorts: Vec<i16> = vec![-32768, -32767, 0, 16384, 32767, 5];
    let image = Arg::Tex(Tex {
        texels: shorts.iter().flat_map(|v| v.to_le_bytes()).collect(),
        extent: [6, 1, 1],
        mode: TextureMode { fractions: true, linear: true, ..TextureMode::new(DType::I16, 1) },
    });
    let value = |i: i32| (shorts[i.clamp(0, 5) as usize] as f32 / 32767.0).max(-1.0);
    let want: Vec<f32> =
        (0..12).map(|i| if i % 2 == 1 { value(i / 2) } else { 0.5 * (value(i / 2 - 1) + value(i / 2)) }).collect();
    launch(src, "shorts", 1, 12, vec![zeros(12), image]).floats(0, &want, 2.0, 1.0);
    let halves: Vec<half::f16> = (0..12).map(|i| half::f16::from_f32(i as f32 * 0.75 - 2.0)).collect();
    let image = Arg::Tex(Tex {
        texels: halves.iter().flat_map(|v| v.to_le_bytes()).collect(),
        extent: [6, 1, 1],
        mode: TextureMode::new(DType::F16, 2),
    });
    let want: Vec<f32> = (0..10).flat_map(|i| [halves[i / 2 * 2].to_f32(), halves[i / 2 * 2 + 1].to_f32()]).collect();
    launch(src, "halves", 1, 10, vec![zeros(20), image]).floats(0, &want, 0.0, 1.0);
    let texels = noise(4 * 3 * 2);
    let at = |x: i32, y: i32| texels[((y.clamp(0, 2) * 4 + x.clamp(0, 3)) * 2 + 1) as usize];
    let want: Vec<f32> = (0..8)
        .flat_map(|i| {
            // 0.25 is left of the texel's middle, 0.75 below it.
            let (x, y) = (i % 4 - 1, i / 4);
            [at(x, y + 1), at(x + 1, y + 1), at(x + 1, y), at(x, y)]
        })
        .collect();
    let args = vec![zeros(32), tex(&texels, [4, 3, 1], TextureMode::new(DType::F32, 2))];
    launch(src, "gathered", 1, 8, args).floats(0, &want, 0.0, 1.0);
}

#[test]
fn cube_maps() {
    let src = "__global__ void k(float* o, const float* d, cudaTextureObject_t t) {
        int i = threadIdx.x; o[i] = texCubemap<float>(t, d[i * 3], d[i * 3 + 1], d[i * 3 + 2]);
    }";
    let texels: Vec<f32> = (0..24).map(|i| i as f32).collect();
    // Direction, face, and the texel of 2 x 2 that it meets.
    let cases: [([f32; 3], usize, usize, usize); 8] = [
        ([2.0, 1.0, 1.0], 0, 0, 0),
        ([2.0, -1.0, -1.0], 0, 1, 1),
        ([-2.0, 1.0, 1.0], 1, 1, 0),
        ([1.0, 2.0, 1.0], 2, 1, 1),
        ([1.0, -2.0, 1.0], 3, 1, 0),
        ([1.0, 1.0, 2.0], 4, 1, 0),
        ([1.0, -1.0, -2.0], 5, 0, 1),
        ([-3.0, -1.0, -4.0], 5, 1, 1),
    ];
    let directions: Vec<f32> = cases.iter().flat_map(|c| c.0).collect();
    let want: Vec<f32> = cases.iter().map(|(_, face, x, y)| (face * 4 + y * 2 + x) as f32).collect();
    let image = tex(&texels, [2, 2, 6], TextureMode::new(DType::F32, 1));
    launch(src, "k", 1, 8, vec![zeros(8), f(&directions), image]).floats(0, &want, 0.0, 1.0);
}

#[test]
fn surfaces() {
    let src = "__global__ void bump(cudaSurfaceObject_t from, cudaSurfaceObject_t to, int n) {
        int x = threadIdx.x, y = threadIdx.y;
        float2 v = surf2Dread<float2>(from, x * sizeof(float2), y);
        surf2Dwrite(make_float2(v.y, v.x + n), to, x * sizeof(float2), y);
    }
    __global__ void edges(cudaSurfaceObject_t s, unsigned* o) {
        int x = (int)threadIdx.x - 2; unsigned char v;
        surf2Dread(&v, s, x, 1, cudaBoundaryModeClamp);
        o[threadIdx.x] = v + 1000 * surf2Dread<unsigned char>(s, x, 1, cudaBoundaryModeZero);
        surf2Dwrite((unsigned char)(100 + x), s, x, 0, cudaBoundaryModeZero);
    }
    __global__ void volume(cudaSurfaceObject_t s, int* o) {
        int x = threadIdx.x, y = threadIdx.y, z = threadIdx.z;
        o[(z * 2 + y) * 3 + x] = surf3Dread<int>(s, x * 4, y, z);
        __syncthreads();
        surf3Dwrite(x + 10 * y + 100 * z, s, (2 - x) * 4, y, z);
    }
    __device__ void put(cudaSurfaceObject_t s, int x, uchar4 v) { surf1Dwrite(v, s, x * 4); }
    __global__ void line(cudaSurfaceObject_t s) {
        cudaSurfaceObject_t t = s; int x = threadIdx.x;
        if (x % 3 != 1) put(t, x, make_uchar4(x, 2 * x, 3, 255));
    }";
    let raw = |texels: Vec<u8>, extent, channel, channels| {
        Arg::Tex(Tex { texels, extent, mode: TextureMode::new(channel, channels) })
    };
    let a: Vec<f32> = (0..24).map(|i| i as f32).collect();
    let bytes = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let two = |v: &[f32]| raw(bytes(v), [4, 3, 1], DType::F32, 2);
    let want: Vec<f32> = a.chunks(2).flat_map(|v| [v[1], v[0] + 7.0]).collect();
    let l = Launch { block: [4, 3, 1], ..launch(src, "bump", 1, 12, vec![two(&a), two(&[0.0; 24]), n(7)]) };
    l.floats(1, &want, 0.0, 1.0);

    let start: Vec<u8> = (0..16).map(|i| 10 + i).collect();
    let args = vec![raw(start.clone(), [8, 2, 1], DType::U8, 1), zeros(12)];
    let l = launch(src, "edges", 1, 12, args);
    let want: Vec<u32> = (0..12)
        .map(|i: i32| {
            start[8 + (i - 2).clamp(0, 7) as usize] as u32
                + 1000 * if (2..10).contains(&i) { start[6 + i as usize] as u32 } else { 0 }
        })
        .collect();
    l.words(1, &want);
    let want: Vec<u8> = (0..16).map(|i| if i < 8 { 100 + i } else { 10 + i }).collect();
    l.bytes(0, &want);

    let list: Vec<i32> = (0..12).map(|i| i * 5).collect();
    let args = vec![raw(list.iter().flat_map(|v| v.to_le_bytes()).collect(), [3, 2, 2], DType::I32, 1), zeros(12)];
    let l = Launch { block: [3, 2, 2], ..launch(src, "volume", 1, 12, args) };
    l.ints(1, &list);
    let want: Vec<i32> = (0..12).map(|i| (2 - i % 3) + 10 * (i / 3 % 2) + 100 * (i / 6)).collect();
    l.ints(0, &want);

    let want: Vec<u8> = (0..16u8).flat_map(|x| if x % 3 == 1 { [9; 4] } else { [x, 2 * x, 3, 255] }).collect();
    launch(src, "line", 1, 16, vec![raw(vec![9; 64], [16, 1, 1], DType::U8, 4)]).bytes(0, &want);
}

#[test]
fn textures_go_through_functions_structs_and_conditions() {
    let src = "#define x_of(i) (i)
    template <class R> __device__ R at(const cudaTextureObject_t t, float x, float y) { return tex2D<R>(t, x, y); }
    __global__ void k(float* o, cudaTextureObject_t a, cudaTextureObject_t b, int n) {
        int i = threadIdx.x; cudaTextureObject_t mine = a;
        float v = 0;
        if (i < n) v = at<float>(mine, i, 0) + at<float>(b, 0, x_of(i));
        else for (int j = 0; j < 4; j++) v += tex2DLod<float>(b, j, i, 0.0f);
        o[i] = v;
    }";
    let (a, b) = (noise(16), noise(32));
    let mode = TextureMode::new(DType::F32, 1);
    let args = vec![zeros(8), tex(&a, [8, 2, 1], mode), tex(&b, [4, 8, 1], mode), n(5)];
    let want: Vec<f32> =
        (0..8).map(|i| if i < 5 { a[i] + b[i * 4] } else { b[i * 4..i * 4 + 4].iter().sum() }).collect();
    launch(src, "k", 1, 8, args).floats(0, &want, 0.0, 1.0);
}

#[test]
fn what_does_not_fit_is_said() {
    let caps = girih_cuda::Caps { int64: true, double: true, atomic64: true, checked: None, native: false };
    let shape = |mode| {
        let mut s = LaunchShape::new([32, 1, 1], 1);
        s.textures[0] = mode;
        s
    };
    let compile = |src: &str, mode| {
        Module::parse(src, "k.cu", &|_, _| None).unwrap().compile("k", &shape(mode), caps).map_err(|d| *d)
    };
    let read = "__global__ void k(float* o, cudaTextureObject_t t) {\n  o[0] = tex2D<float>(t, 1, 2);\n}";
    assert!(compile(read, None).is_ok());
    let integers = TextureMode::new(DType::U8, 4);
    for (mode, code) in [
        (integers, "U007"),
        (TextureMode { linear: true, ..integers }, "U007"),
        (TextureMode { channels: 3, ..integers }, "U007"),
        (TextureMode { fractions: true, ..TextureMode::new(DType::F32, 1) }, "U007"),
        (TextureMode::new(DType::F64, 1), "U007"),
    ] {
        assert_eq!(compile(read, Some(mode)).unwrap_err().code, code, "{mode:?}");
    }
    for (what, src) in [
        (
            "choose",
            "__global__ void k(float* o, cudaTextureObject_t a, cudaTextureObject_t b) {\n o[0] = tex2D<float>(o[1] > 0 ? a : b, 1, 2); }",
        ),
        (
            "assign",
            "__global__ void k(float* o, cudaTextureObject_t a, cudaTextureObject_t b) {\n cudaTextureObject_t t = a; if (o[1] > 0) t = b; o[0] = tex2D<float>(t, 1, 2); }",
        ),
        ("list", "__global__ void k(float* o,\n cudaTextureObject_t* a) { o[0] = tex2D<float>(a[1], 1, 2); }"),
    ] {
        let d = compile(src, None).unwrap_err();
        assert_eq!(d.code, "U005", "{what}: {d}");
        assert!(d.help.is_some() && d.message.contains("texture"), "{what}: {d}");
        assert_eq!(d.labels.first().and_then(|l| l.loc.position()).map(|p| p.1), Some(2), "{what}: {d}");
    }
    let cube = "__global__ void k(float* o, cudaTextureObject_t t) {\n  o[0] = texCubemap<float>(t, 1, 2, 3);\n}";
    let linear = TextureMode { linear: true, ..TextureMode::new(DType::F32, 1) };
    assert!(compile(cube, Some(linear)).unwrap_err().message.contains("cube map"));
}

#[test]
fn textures_that_do_not_fit_their_memory_are_refused() {
    let memory = girih_exec::MemRef { buffer: girih_exec::BufferRef(0), offset: 0, bytes: 64 };
    let texture = |extent, pitch| girih_cuda::Texture { memory, extent, pitch, mode: TextureMode::new(DType::F32, 1) };
    assert!(texture([4, 4, 1], 4).check().is_ok());
    assert!(texture([4, 2, 2], 4).check().is_ok());
    for (extent, pitch) in [
        ([0, 1, 1], 1),
        ([4, 0, 1], 4),
        ([4, 4, 1], 3),
        ([4, 4, 2], 4),
        ([5, 4, 1], 5),
        ([u32::MAX; 3], u32::MAX),
        ([1, 1, u32::MAX], 0),
    ] {
        assert_eq!(texture(extent, pitch).check().unwrap_err().code, "U007", "{extent:?} {pitch}");
    }
}
