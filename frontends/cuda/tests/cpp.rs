//! Rules of C++ that decide which function, type or value a name means.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
use common::*;

/// Runs a kernel of one thread that writes `out`.
fn gives(src: &str, want: &[i32]) {
    launch(src, "k", 1, 1, vec![zeros(want.len())]).ints(0, want);
}

#[track_caller]
fn refused(src: &str, code: &str, part: &str) {
    let d = refusal(src, "k", 32);
    assert_eq!(d.code, code, "{d}");
    assert!(d.to_string().contains(part), "{d}");
}

#[test]
fn declared_overloads_run_their_own_bodies() {
    gives(
        "__device__ int f(float);
         __device__ int f(int);
         __device__ int f(float x) { return 1; }
         __device__ int f(int x) { return 2; }
         __global__ void k(int* out) { out[0] = f(3); out[1] = f(3.0f); }",
        &[2, 1],
    );
    gives(
        "struct S {
             int base;
             __device__ int f(float x) const;
             __device__ int f(int x, int by = 10) const;
         };
         __device__ int S::f(float x) const { return base + 1; }
         __device__ int S::f(int x, int by) const { return base + by; }
         __device__ int g(int x, int by = 7);
         __global__ void k(int* out) { S s; s.base = 100; out[0] = s.f(3); out[1] = s.f(3.0f); out[2] = g(1); }
         __device__ int g(int x, int by) { return x + by; }",
        &[110, 101, 8],
    );
    // The one that is meant is never defined: no other may stand in for it.
    refused(
        "__device__ int f(int x);
         __device__ int f(float x) { return 1; }
         __global__ void k(int* out) { out[0] = f(3); }",
        "U003",
        "no body",
    );
}

#[test]
fn members_of_templates_outside_of_their_struct() {
    gives(
        "template <typename T> struct V { T x; __device__ void set(T v); __device__ T twice() const; };
         template <typename T> __device__ void V<T>::set(T v) { x = v; }
         template <typename T> __device__ T V<T>::twice() const { return x + x; }
         __global__ void k(int* out) { V<float> v; v.set(1); v.x += 0.25f; out[0] = (int)(v.twice() * 10); }",
        &[25],
    );
    refused(
        "template <typename T> struct V { __device__ int f() const; };
         template <typename T> __device__ int V<T>::f() const { return 1; }
         template <> __device__ int V<float>::f() const { return 2; }
         __global__ void k(int* out) { V<float> v; V<int> w; out[0] = v.f(); out[1] = w.f(); }",
        "U005",
        "specialised without its struct",
    );
}

#[test]
fn enumerators_belong_to_their_enum() {
    gives(
        "enum class A { Max = 1, Next };
         enum class B : unsigned char { Max = 5, Next };
         struct P { enum { N = 4 }; __device__ int n() const { return N; } };
         struct Q { enum { N = 8 }; int data[N]; __device__ int n() const { return N; } };
         enum Color { Red = 20, Green };
         struct Small { B b; unsigned char c; };
         __global__ void k(int* out) {
             P p; Q q;
             out[0] = (int)A::Max; out[1] = (int)A::Next; out[2] = (int)B::Max; out[3] = (int)B::Next;
             out[4] = P::N; out[5] = Q::N; out[6] = p.n(); out[7] = q.n();
             out[8] = Green; out[9] = Color::Red; out[10] = sizeof(Q); out[11] = sizeof(Small);
         }",
        &[1, 2, 5, 6, 4, 8, 4, 8, 21, 20, 32, 2],
    );
    gives(
        "enum { N = 1 };
         __device__ int f() { enum { N = 2, M }; return N * 10 + M; }
         __device__ int g() { enum Local { N = 3 }; return N; }
         __global__ void k(int* out) { out[0] = f(); out[1] = g(); out[2] = N; }",
        &[23, 3, 1],
    );
    refused(
        "namespace a { enum { N = 1 }; } namespace b { enum { N = 2 }; }
         __global__ void k(int* out) { out[0] = N; }",
        "U004",
        "ambiguous",
    );
}

#[test]
fn the_most_special_overload_or_none() {
    gives(
        "template <typename T> __device__ int f(T x) { return 1; }
         template <typename T> __device__ int f(T* x) { return 2; }
         template <typename T, typename... R> __device__ int g(T x, R... rest) { return 10 + g(rest...); }
         template <typename T> __device__ int g(T x) { return 1; }
         __global__ void k(int* out) { int v = 0; out[0] = f(v); out[1] = f(&v); out[2] = g(1, 2, 3); }",
        &[1, 2, 21],
    );
    refused(
        "enum Color { Red };
         __device__ int f(Color c) { return 1; }
         __device__ int f(int c) { return 2; }
         __global__ void k(int* out) { out[0] = f(3); }",
        "U004",
        "ambiguous",
    );
    gives(
        "struct V { float x; __device__ operator float() const { return x; } __device__ operator int() const { return 7; } };
         __global__ void k(int* out) { V v; v.x = 2.5f; float f = v; int i = v; out[0] = (int)(f * 2); out[1] = i; }",
        &[5, 7],
    );
}

#[test]
fn conditions_of_templates_remove_candidates() {
    gives(
        "#include <type_traits>
         template <typename T, typename std::enable_if<std::is_same<T, float>::value, int>::type = 0>
         __device__ int f(T x) { return 1; }
         template <typename T, typename std::enable_if<!std::is_same<T, float>::value, int>::type = 0>
         __device__ int f(T x) { return 2; }
         template <typename T> __device__ std::enable_if_t<std::is_integral<T>::value, int> g(T x) { return 3; }
         template <typename T> __device__ std::enable_if_t<std::is_floating_point<T>::value, int> g(T x) { return 4; }
         template <int N> __device__ typename std::enable_if<(N > 2), int>::type h() { return 5; }
         template <int N> __device__ typename std::enable_if<(N <= 2), int>::type h() { return 6; }
         __global__ void k(int* out) {
             out[0] = f(1.0f); out[1] = f(1); out[2] = g(1); out[3] = g(1.0f); out[4] = h<3>(); out[5] = h<1>();
         }",
        &[1, 2, 3, 4, 5, 6],
    );
    gives(
        "#include <type_traits>
         template <typename T> __device__ int pick(T x, std::true_type) { return 1; }
         template <typename T> __device__ int pick(T x, std::false_type) { return 2; }
         template <typename T> struct is_fast : std::false_type {};
         template <> struct is_fast<float> : std::true_type {};
         template <typename T> __device__ int f(T x) { return pick(x, std::is_floating_point<T>{}); }
         __global__ void k(int* out) {
             out[0] = f(1.0f); out[1] = f(1); out[2] = is_fast<float>::value; out[3] = is_fast<int>::value;
             out[4] = pick(1, std::true_type());
         }",
        &[1, 2, 1, 0, 1],
    );
}

#[test]
fn partial_specialisations_of_structs() {
    gives(
        "template <typename T> struct Kind { static const int value = 0; };
         template <typename T> struct Kind<T*> { static const int value = 1; };
         template <> struct Kind<float> { static const int value = 2; };
         template <typename T, int N> struct Size { static const int value = N; };
         template <typename T> struct Size<T, 4> { static const int value = 400 + sizeof(T); };
         template <typename A, typename B> struct Same { __device__ static int get() { return 0; } };
         template <typename A> struct Same<A, A> { __device__ static int get() { return 1; } };
         template <typename T> __device__ int kind(T x) { return Kind<T>::value; }
         __global__ void k(int* out) {
             out[0] = Kind<int>::value; out[1] = Kind<int*>::value; out[2] = Kind<float>::value;
             out[3] = Size<double, 3>::value; out[4] = Size<double, 4>::value;
             out[5] = Same<int, float>::get(); out[6] = Same<int, int>::get();
         }",
        &[0, 1, 2, 3, 408, 0, 1],
    );
}

#[test]
fn the_end_of_a_loop_may_change() {
    gives(
        "struct Stack { int n; __device__ void pop() { n--; }
             __device__ int drain() { int rounds = 0; for (int i = 0; i < n; ++i) { pop(); rounds++; } return rounds; } };
         __device__ int* left_of(int& x) { return &x; }
         __device__ int count;
         __device__ void lower() { count -= 1; }
         __global__ void k(int* out) {
             { int n = 8, r = 0; auto d = [&] { n--; }; for (int i = 0; i < n; ++i) { d(); r++; } out[0] = r; }
             { Stack s; s.n = 8; out[1] = s.drain(); }
             { int n = 8, r = 0; int* p = &n; for (int i = 0; i < n; ++i) { *p -= 1; r++; } out[2] = r; }
             { int n = 8, r = 0; int& p = n; for (int i = 0; i < n; ++i) { p -= 1; r++; } out[3] = r; }
             { count = 8; int r = 0; for (int i = 0; i < count; ++i) { lower(); r++; } out[4] = r; }
             { int n = 8, r = 0; int& p = n; n = 6; for (int i = 0; i < p; ++i) { n -= 1; r++; } out[5] = r; }
         }",
        &[4, 4, 4, 4, 4, 3],
    );
    let src = "__shared__ int n;
        __device__ void lower() { if (threadIdx.x == 0) n -= 1; }
        __global__ void k(int* out) {
            if (threadIdx.x == 0) n = 8;
            __syncthreads();
            int r = 0;
            for (int i = 0; i < n; ++i) { __syncthreads(); lower(); r++; __syncthreads(); }
            out[threadIdx.x] = r;
        }";
    launch(src, "k", 1, 64, vec![zeros(64)]).ints(0, &[4; 64]);
}

#[test]
fn arguments_that_a_constructor_or_operator_changes() {
    gives(
        "struct Taker { int had; __device__ Taker(int& from) : had(from) { from = 0; } };
         __global__ void k(int* out) { int n = 5; Taker t(n); out[0] = n; out[1] = t.had; }",
        &[0, 5],
    );
    refused(
        "struct Sink { int sum; };
         __device__ Sink& operator<<(Sink& s, int v) { s.sum += v; return s; }
         __global__ void k(int* out) { Sink s; s.sum = 0; s << 3; out[0] = s.sum; }",
        "U004",
        "cannot be assigned",
    );
}

#[test]
fn a_return_inside_an_unrolled_loop_leaves_only_its_function() {
    let src = "__device__ int f(int v, bool stop) {
            for (int o = 16; o > 0; o /= 2) {
                v += __shfl_xor_sync(0xffffffffu, v, o);
                if (stop) return v;
            }
            return -v;
        }
        __global__ void k(int* out, int stop) {
            int sum = 0;
            for (int i = 0; i < 3; ++i) sum += f(1, stop != 0);
            out[threadIdx.x] = sum;
        }";
    launch(src, "k", 1, 32, vec![zeros(32), n(1)]).ints(0, &[6; 32]);
    launch(src, "k", 1, 32, vec![zeros(32), n(0)]).ints(0, &[-96; 32]);
}
