//! What translates: a name for people, code that uses it, and a remark.

type Row = (&'static str, &'static str, &'static str);

pub const TABLES: &[(&str, &[Row])] = &[
    ("Language", LANGUAGE),
    ("Types", TYPES),
    ("Memory", MEMORY),
    ("Blocks and barriers", BLOCKS),
    ("Warps", WARPS),
    ("Cooperative groups", GROUPS),
    ("Atomic operations", ATOMICS),
    ("Integers", INTEGERS),
    ("Floats", FLOATS),
    ("Half and bfloat16", HALVES),
    ("Textures and surfaces", TEXTURES),
    ("Matrix fragments", FRAGMENTS),
    ("Inline PTX", PTX),
    ("Random numbers", RANDOM),
    ("Reports", REPORTS),
];

const LANGUAGE: &[Row] = &[
    (
        "macros, conditionals, `#include`",
        "#define A(x) (2 * x)\n#if A(2) == 4\no[0] = A(3);\n#endif",
        "with bounds on expansion",
    ),
    (
        "`if`, `for`, `while`, `do`, `switch`, `break`, `continue`, `return`",
        "for (int j = 0; j < i; j++) { if (j == 3) continue; switch (j & 3) { case 0: o[j] = 1; break; default: break; } } do { i--; } while (i > 0);",
        "",
    ),
    ("`#pragma unroll`", "#pragma unroll\nfor (int j = 0; j < 4; j++) o[j] = j;", "loops whose bounds are known"),
    (
        "device functions, overloads, default arguments",
        "o[0] = fn(1) + fn(2.0f);;__device__ int fn(int a, int b = 2) { return a + b; } __device__ int fn(float a) { return 1; }",
        "inlined; no recursion",
    ),
    (
        "references and pointers to variables",
        "int a = 1; add(a); int* r = &a; *r += 2; o[0] = a;;__device__ void add(int& a) { a += 1; }",
        "",
    ),
    (
        "templates of types, numbers and functions, packs, specialisations",
        "o[0] = fn<int, 3>(i) + g<2>();;template <class T, int N> __device__ T fn(T a) { return a * N; } template <int N> __device__ int g() { return N + g<N - 1>(); } template <> __device__ int g<0>() { return 0; }",
        "a kernel's template arguments are given at the launch",
    ),
    (
        "`constexpr`, `static_assert`, `if constexpr`, `sizeof`, `decltype`, `auto`",
        "constexpr int n = 4; static_assert(sizeof(float4) == 16, \"\"); if constexpr (n == 4) { auto a = n; o[0] = a; }",
        "",
    ),
    (
        "structs, methods, constructors, operators, inheritance of data",
        "P a(1, 2), b = a + a; o[0] = b.sum();;struct P { int x, y; __device__ P(int a, int b) : x(a), y(b) {} __device__ int sum() const { return x + y; } }; __device__ P operator+(P a, P b) { return P(a.x + b.x, a.y + b.y); }",
        "no virtual functions",
    ),
    ("unions", "union { float f; unsigned u; } w; w.f = f; p[0] = w.u;", "with a name"),
    ("lambdas", "int n = 3; auto add = [&](int a) { n += a; return n; }; o[0] = add(4);", "inlined"),
    (
        "enums, namespaces, `using`, `typedef`",
        "using T = int; T a = ns::B; o[0] = a;;namespace ns { enum E { A, B }; }",
        "",
    ),
    ("local arrays", "int a[8]; for (int j = 0; j < 8; j++) a[j] = j * i; o[0] = a[i & 7];", ""),
];

const TYPES: &[Row] = &[
    (
        "`bool`, `char`, `short`, `int` and their unsigned forms",
        "char a = i; unsigned short b = i; o[0] = a + b;",
        "bytes and halves of a word in memory are changed alone",
    ),
    (
        "`long`, `long long`, `size_t`",
        "l = l * 3 + (l >> 5) / 7; q[0] = (unsigned long long)l % 10;",
        "pairs of words where the device has no 64-bit integers",
    ),
    ("`float`", "x[0] = f * 2.0f;", ""),
    ("`double`", "y[0] = d * 2.0;", ""),
    (
        "`__half`, `__half2`, `__nv_bfloat16`",
        "h[1] = __hadd2(h[0], h[2]); b[0] = __float2bfloat16(f);",
        "computed in f32, rounded after each operation",
    ),
    (
        "`float4`, `int2`, `uchar4` and their like",
        "float4 a = v[i]; uchar4 c = make_uchar4(1, 2, 3, 4); x[0] = a.x + c.w;",
        "",
    ),
    (
        "reinterpreted pointers",
        "float4 a = *reinterpret_cast<float4*>(x + 4 * i); o[0] = ((unsigned char*)o)[i]; x[1] = a.y;",
        "`reinterpret_cast`, C casts, `__float_as_uint`",
    ),
];

const MEMORY: &[Row] = &[
    (
        "`__shared__`, also at file scope",
        "__shared__ float a[64]; a[threadIdx.x] = f; total = 1; __syncthreads(); x[0] = a[63 - threadIdx.x] + total;;__shared__ int total;",
        "",
    ),
    (
        "`extern __shared__`",
        "extern __shared__ float a[]; a[threadIdx.x] = f; x[0] = a[threadIdx.x];",
        "the launch says how many bytes",
    ),
    (
        "`__constant__` and `__device__` variables",
        "x[0] = table[i & 3];;__constant__ float table[4] = {1, 2, 3, 4};",
        "a buffer that the program provides",
    ),
    (
        "pointer arithmetic, differences, comparisons",
        "float* a = x + i; float* e = x + 10; while (a < e) *a++ = e - a;",
        "within one array",
    ),
    (
        "pointers that go over several arrays",
        "int* a = o; int* c = (int*)p; for (int j = 0; j < i; j++) { int* w = a; a = c; c = w; a[j] = c[j]; }",
        "every access asks which array it is",
    ),
    (
        "pointers inside structs passed by value",
        "k2(S{x, i});;struct S { float* a; int n; }; __device__ void k2(S s) { s.a[s.n] = 1; }",
        "",
    ),
    ("`__ldg`, `__ldcs`, `__stcs` and their like", "__stcs(x, __ldg(x + 1));", "plain loads and stores"),
    ("`memcpy` of a known size", "float4 a; memcpy(&a, x + i, sizeof(a)); x[0] = a.z;", ""),
    (
        "`__threadfence`, `__threadfence_block`",
        "x[0] = 1; __threadfence(); x[1] = 2;",
        "WGSL has no fence: what blocks pass on and count is accessed by atomic operations",
    ),
];

const BLOCKS: &[Row] = &[
    (
        "`threadIdx`, `blockIdx`, `blockDim`, `gridDim`, `warpSize`",
        "o[0] = threadIdx.x + blockIdx.y * blockDim.x + gridDim.x + warpSize;",
        "",
    ),
    ("`__launch_bounds__`", "o[0] = 1;;__global__ void __launch_bounds__(128) other(int* o) { o[0] = 1; }", "checked"),
    ("`__syncthreads`", "__syncthreads();", "where all threads of the block reach it, which is proved"),
    (
        "`__syncthreads_count`, `_and`, `_or`",
        "o[0] = __syncthreads_count(i > 1) + __syncthreads_and(i) + __syncthreads_or(i);",
        "",
    ),
];

const WARPS: &[Row] = &[
    (
        "`__shfl_sync`, `_up`, `_down`, `_xor`",
        "x[0] = __shfl_xor_sync(0xffffffff, f, 1) + __shfl_down_sync(0xffffffff, f, 2, 8);",
        "of any type of 4 or 8 bytes, with constant width",
    ),
    (
        "`__ballot_sync`, `__any_sync`, `__all_sync`",
        "o[0] = __ballot_sync(0xffffffff, i > 1) + __any_sync(0xffffffff, i) + __all_sync(0xffffffff, i);",
        "",
    ),
    (
        "`__match_any_sync`, `__activemask`, `__syncwarp`",
        "o[0] = __match_any_sync(0xffffffff, i) & __activemask(); __syncwarp();",
        "",
    ),
    ("`__reduce_add_sync`, `min`, `max`, `and`, `or`, `xor`", "o[0] = __reduce_add_sync(0xffffffff, i);", ""),
];

const GROUPS: &[Row] = &[
    (
        "`thread_block`: `sync`, `thread_rank`, `size`, indices",
        "auto g = cg::this_thread_block(); g.sync(); o[g.thread_rank()] = g.size() + g.group_index().x;",
        "",
    ),
    (
        "`tiled_partition`: `shfl`, `ballot`, `any`, `all`, `match_any`, ranks",
        "auto g = cg::tiled_partition<16>(cg::this_thread_block()); o[g.meta_group_rank()] = g.shfl_down(i, 4) + g.any(i);",
        "up to 32 threads",
    ),
    (
        "`cg::reduce`",
        "auto g = cg::tiled_partition<32>(cg::this_thread_block()); x[0] = cg::reduce(g, f, cg::plus<float>());",
        "",
    ),
    (
        "`coalesced_threads`: `size`, `thread_rank`, `shfl(v, 0)`",
        "if (i > 3) { auto g = cg::coalesced_threads(); o[g.thread_rank()] = g.size(); }",
        "",
    ),
];

const ATOMICS: &[Row] = &[
    (
        "`atomicAdd`, `Sub`, `Exch`, `Min`, `Max`, `Inc`, `Dec`, `CAS`, `And`, `Or`, `Xor`",
        "atomicAdd(o, 1); atomicMax(o, i); atomicInc(p, 7u); o[1] = atomicCAS(o, 1, 2);",
        "on 32-bit integers, in global and shared memory",
    ),
    ("`atomicAdd(float*)`, `atomicExch(float*)`", "atomicAdd(x, f); atomicExch(x, f);", "by compare and exchange"),
    (
        "`atomicAdd`, `Sub`, `Exch`, `Min`, `Max`, `CAS`, `And`, `Or`, `Xor` on 64-bit integers",
        "atomicAdd(q, 1ull); atomicMax(q, 2ull); q[0] = atomicCAS(q, 1ull, 2ull);",
        "where the device has them",
    ),
    ("`atomicAdd(double*)`", "atomicAdd(&y[0], d);", "by compare and exchange, where the device has it on 64 bits"),
    ("`atomicAdd` of `float2`, `float4`", "atomicAdd(v, make_float4(1, 2, 3, 4));", "lane by lane, as CUDA does"),
];

const INTEGERS: &[Row] = &[
    (
        "`__popc`, `__clz`, `__ffs`, `__brev` and the `ll` forms",
        "o[0] = __popc(u) + __clz(i) + __ffs(i) + __brev(u) + __popcll(l) + __clzll(l) + __ffsll(l);",
        "",
    ),
    (
        "`__byte_perm`, `__funnelshift_l`, `__funnelshift_r`",
        "p[0] = __byte_perm(u, 3, 0x5140) + __funnelshift_l(u, 1, 5);",
        "",
    ),
    (
        "`__mulhi`, `__umulhi`, `__mul24`, `__umul24`, `__sad`, `__usad`",
        "o[0] = __mulhi(i, 3) + __umulhi(u, u) + __mul24(i, i) + __usad(u, 1u, 2u);",
        "",
    ),
    ("`__dp4a`", "o[0] = __dp4a(i, i, 0);", ""),
    (
        "`__vadd4`, `__vsubss4`, `__vmaxs2`, `__vcmpgtu4`, `__vabsdiffu4`, `__vsadu4` and their family",
        "p[0] = __vadd4(u, u) + __vsubss4(u, 1) + __vmaxs2(u, 7) + __vcmpgtu4(u, 9) + __vsadu4(u, 5);",
        "",
    ),
    ("`min`, `max`, `abs`", "o[0] = min(i, 3) + max(u, 4u) + abs(i);", ""),
];

const FLOATS: &[Row] = &[
    (
        "`sqrtf`, `rsqrtf`, `cbrtf`, `fmaf`, `fabsf`, `fminf`, `fmaxf`, `fmodf`, `copysignf`",
        "x[0] = sqrtf(f) + rsqrtf(f) + cbrtf(f) + fmaf(f, f, f) + fabsf(f) + fminf(f, 1) + fmodf(f, 3) + copysignf(f, 1);",
        "",
    ),
    (
        "`expf`, `exp2f`, `exp10f`, `expm1f`, `logf`, `log2f`, `log10f`, `log1pf`, `powf`",
        "x[0] = expf(f) + exp2f(f) + exp10f(f) + expm1f(f) + logf(f) + log2f(f) + log10f(f) + log1pf(f) + powf(f, 3);",
        "",
    ),
    (
        "`sinf`, `cosf`, `tanf`, `sincosf`, `sinpif`, `asinf`, `atan2f`, `sinhf`, `tanhf` and their like",
        "sincosf(f, x, x + 1); x[2] = sinf(f) + tanf(f) + sinpif(f) + asinf(f) + atan2f(f, 2) + sinhf(f) + tanhf(f);",
        "",
    ),
    ("`erff`, `erfcf`, `normcdff`", "x[0] = erff(f) + erfcf(f) + normcdff(f);", ""),
    (
        "`floorf`, `ceilf`, `truncf`, `rintf`, `roundf`, `lrintf`, `modff`",
        "x[0] = floorf(f) + ceilf(f) + truncf(f) + rintf(f) + roundf(f) + lrintf(f) + modff(f, x + 1);",
        "",
    ),
    ("`frexpf`, `ldexpf`, `scalbnf`", "int e; x[0] = frexpf(f, &e) + ldexpf(f, e) + scalbnf(f, 2);", "also of doubles"),
    ("`isnan`, `isinf`, `isfinite`, `signbit`", "o[0] = isnan(f) + isinf(f) + isfinite(f) + signbit(f);", ""),
    (
        "`hypotf`, `norm3df`, `norm4df`, `rhypotf`, `fdimf`, `__saturatef`",
        "x[0] = hypotf(f, 2) + norm3df(f, 1, 2) + fdimf(f, 1) + __saturatef(f);",
        "",
    ),
    (
        "`__expf`, `__logf`, `__sinf`, `__powf`, `__fdividef` and their like",
        "x[0] = __expf(f) + __logf(f) + __sinf(f) + __powf(f, 2) + __fdividef(f, 3);",
        "as the precise forms",
    ),
    (
        "`__fadd_rn`, `__fmul_rn`, `__fmaf_rn`, `__fdiv_rn`, `__fsqrt_rn`",
        "x[0] = __fadd_rn(f, 1) + __fmul_rn(f, 2) + __fmaf_rn(f, f, f) + __fdiv_rn(f, 3) + __fsqrt_rn(f);",
        "to nearest; other roundings are refused",
    ),
    (
        "`__float2int_rn`, `_rz`, `_rd`, `_ru`, `__int2float_rn`",
        "x[0] = __float2int_rn(f) + __float2int_rz(f) + __float2uint_ru(f) + __int2float_rn(i);",
        "",
    ),
    (
        "the same functions of doubles",
        "int e; y[0] = sqrt(d) + fabs(d) + floor(d) + fma(d, d, d) + frexp(d, &e) + ldexp(d, e);",
        "",
    ),
];

const HALVES: &[Row] = &[
    (
        "`__hadd`, `__hsub`, `__hmul`, `__hfma` and the pairs",
        "h[0] = __hfma2(h[0], __hadd2(h[1], h[2]), __hmul2(h[1], h[3]));",
        "",
    ),
    (
        "operators, comparisons, `__hmax`, `__hmin`",
        "__half a = __low2half(h[0]), c = __high2half(h[0]); if (a < c) h[1] = __halves2half2(a + c, __hmax(a, c));",
        "",
    ),
    (
        "`hexp`, `hlog`, `hsqrt`, `hrcp`, `h2exp` and their like",
        "h[0] = h2exp(h[1]); h[2] = __halves2half2(hsqrt(__low2half(h[0])), hrcp(__high2half(h[0])));",
        "",
    ),
    (
        "conversions",
        "x[0] = __half2float(__float2half(f)) + __bfloat162float(b[0]); float2 a = __half22float2(h[0]); h[1] = __floats2half2_rn(a.x, a.y);",
        "",
    ),
];

const TEXTURES: &[Row] = &[
    ("`tex1Dfetch`", "x[0] = tex1Dfetch<float>(t, i);", "zero outside"),
    (
        "`tex1D`, `tex2D`, `tex3D`",
        "x[0] = tex1D<float>(t, f) + tex2D<float>(t, f, f) + tex3D<float>(t, f, f, f);",
        "every address mode, single texels and interpolation with weights of eight bits, integers as fractions",
    ),
    ("`tex1DLayered`, `tex2DLayered`", "x[0] = tex1DLayered<float>(t, f, i) + tex2DLayered<float>(t, f, f, i);", ""),
    ("`texCubemap`, `texCubemapLayered`", "x[0] = texCubemap<float>(t, f, f, f);", "single texels"),
    ("`tex2DLod`, `tex2DGrad` and their like", "x[0] = tex2DLod<float>(t, f, f, 0.0f);", "textures have one level"),
    ("`tex2Dgather`", "v[0] = tex2Dgather<float4>(t, f, f, 0);", ""),
    (
        "`surf1Dread`, `surf2Dread`, `surf3Dread`, the layered forms, and writes",
        "x[0] = surf2Dread<float>(s, i * 4, i); surf2Dwrite(f, s, i * 4, i, cudaBoundaryModeZero);",
        "every boundary mode",
    ),
];

const FRAGMENTS: &[Row] = &[(
    "`nvcuda::wmma`: `fragment`, `fill_fragment`, `load_matrix_sync`, `mma_sync`, `store_matrix_sync`",
    "using namespace nvcuda; wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::row_major> a; wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::col_major> c; wmma::fragment<wmma::accumulator, 16, 16, 16, float> r; wmma::fill_fragment(r, 0.0f); wmma::load_matrix_sync(a, (__half*)h, 16); wmma::load_matrix_sync(c, (__half*)h, 16); wmma::mma_sync(r, a, c, r); wmma::store_matrix_sync(x, r, 16, wmma::mem_row_major);",
    "products of half, bfloat16 and bytes, with f32 and i32 sums",
)];

const PTX: &[Row] = &[
    (
        "`mov`, `add`, `sub`, `mul`, `mad`, `fma`, `min`, `max`, `and`, `or`, `xor`, `not`, `shl`, `shr`, `abs`, `neg`, `div`, `rem`, `selp`",
        "asm(\"add.u32 %0, %1, %2;\" : \"=r\"(p[0]) : \"r\"(u), \"r\"(3)); asm(\"fma.rn.f32 %0, %1, %2, %3;\" : \"=f\"(x[0]) : \"f\"(f), \"f\"(f), \"f\"(f));",
        "several in one string",
    ),
    (
        "`lop3`, `prmt`, `bfe`, `bfi`, `brev`, `popc`, `clz`, `bfind`, `vabsdiff4`",
        "asm(\"lop3.b32 %0, %1, %2, %3, 0xea;\" : \"=r\"(p[0]) : \"r\"(u), \"r\"(3), \"r\"(4)); asm(\"bfe.u32 %0, %1, 3, 5;\" : \"=r\"(p[1]) : \"r\"(u));",
        "",
    ),
    (
        "`ex2`, `lg2`, `rcp`, `sqrt`, `rsqrt`, `sin`, `cos`, `tanh`, `cvt`",
        "asm(\"ex2.approx.f32 %0, %1;\" : \"=f\"(x[0]) : \"f\"(f)); asm(\"cvt.rni.s32.f32 %0, %1;\" : \"=r\"(o[0]) : \"f\"(f));",
        "",
    ),
    (
        "`ld.global`, `bar.sync`, `membar`, `%laneid`",
        "asm(\"ld.global.nc.f32 %0, [%1];\" : \"=f\"(f) : \"l\"(x + i)); asm(\"mov.u32 %0, %%laneid;\" : \"=r\"(p[0])); asm(\"bar.sync 0;\");",
        "",
    ),
];

const RANDOM: &[Row] = &[
    (
        "cuRAND's `curandState` (XORWOW): `curand_init` with subsequences and offsets, `skipahead`, `curand`",
        "curandState g; curand_init(u, i, 3, &g); skipahead(5ull, &g); p[0] = curand(&g);",
        "the published generator, bit for bit",
    ),
    (
        "`curandStatePhilox4_32_10_t`: the same and `curand4`",
        "curandStatePhilox4_32_10_t g; curand_init(u, i, 3, &g); uint4 a = curand4(&g); p[0] = a.x;",
        "bit for bit",
    ),
    (
        "`curand_uniform`, `curand_normal`, `curand_normal2`, `curand_log_normal`, `curand_uniform4`, `curand_normal4`",
        "curandStatePhilox4_32_10_t g; curand_init(u, i, 3, &g); x[0] = curand_uniform(&g) + curand_normal(&g) + curand_normal4(&g).x;",
        "normal numbers to the device's precision",
    ),
    (
        "`curand_uniform_double`, `curand_normal_double`",
        "curandState g; curand_init(u, i, 0, &g); y[0] = curand_uniform_double(&g) + curand_normal_double(&g);",
        "",
    ),
];

const REPORTS: &[Row] = &[
    ("`printf`", "printf(\"%d %f\\n\", i, f);", "through a buffer, read after the launch"),
    ("`assert`, `__trap`", "assert(i > 3);", "reported after the launch"),
];
