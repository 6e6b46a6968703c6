//! What is refused, and code that asks for it.

pub const ROWS: &[(&str, &str)] = &[
    ("kernels launched by kernels", "c<<<1, 1>>>();;__global__ void c() {}"),
    ("recursion", "o[0] = fn(i);;__device__ int fn(int n) { return n < 2 ? 1 : n * fn(n - 1); }"),
    ("`malloc`, `free`, `new`, `delete`", "int* a = (int*)malloc(4); *a = 1;"),
    ("`goto`", "goto end; end: o[0] = 1;"),
    ("exceptions", "try { o[0] = 1; } catch (...) {}"),
    ("static variables of functions", "static int n = 0; n++; o[0] = n;"),
    ("function pointers in memory", "o[0] = list[i](1);;typedef int (*F)(int); __device__ F list[4];"),
    ("pointers in memory", "o[0] = *list[i];;__device__ int* list[4];"),
    ("numbers made into pointers", "*(int*)l = 1;"),
    ("the address of a variable, or none", "int a = i; int* r = i > 1 ? &a : nullptr; if (r) *r = 1; o[0] = a;"),
    ("barriers that some threads reach", "if (threadIdx.x < 3) __syncthreads();"),
    ("grid-wide synchronisation", "auto g = cg::this_grid(); g.sync();"),
    ("`clock`, `clock64`", "l = clock64(); o[0] = l;"),
    ("arithmetic with a rounding of its own", "x[0] = __fadd_ru(f, f);"),
    ("`erfc` of doubles", "y[0] = erfc(d);"),
    ("shuffles of a width that is computed", "o[0] = __shfl_down_sync(0xffffffff, i, 1, i);"),
    ("texture references", "x[0] = tex1D(r, f);;texture<float, 1> r;"),
    ("textures in memory", "x[0] = tex2D<float>(other, f, f);;__device__ cudaTextureObject_t other;"),
    ("cuRAND's quasi-random and MRG32k3a generators", "curandStateMRG32k3a g; curand_init(1, 2, 3, &g);"),
    ("asynchronous copies", "__pipeline_memcpy_async(o, p, 4);"),
    (
        "double fragments",
        "using namespace nvcuda; wmma::fragment<wmma::matrix_a, 8, 8, 4, double, wmma::row_major> a; wmma::fragment<wmma::matrix_b, 8, 8, 4, double, wmma::col_major> c; wmma::fragment<wmma::accumulator, 8, 8, 4, double> r; wmma::mma_sync(r, a, c, r);",
    ),
    (
        "other PTX",
        "asm(\"mul.hi.u64 %0, %1, %2;\" : \"=l\"(q[0]) : \"l\"(q[1]), \"l\"(q[2])); asm(\"cp.async.wait_all;\");",
    ),
];
