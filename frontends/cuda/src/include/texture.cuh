// Texture addressing and interpolation as the CUDA programming guide defines them ("Texture Fetching").

// The fraction between two texels has eight bits.
__device__ inline float __girih_weight(float x, float floor) { return floorf((x - floor) * 256.0f + 0.5f) * 0.00390625f; }

// Coordinates from 0 to 1 in texels.
__device__ inline float __girih_scale(float x, int n) { return x * (float)n; }
__device__ inline float __girih_scale_wrap(float x, int n) { return (x - floorf(x)) * (float)n; }
__device__ inline float __girih_scale_mirror(float x, int n) { return (x - 2.0f * floorf(x * 0.5f)) * (float)n; }

// Whole coordinates as indices; -1 is the border.
__device__ inline int __girih_clamp(float x, int n) { return (int)fminf(fmaxf(x, 0.0f), (float)(n - 1)); }
__device__ inline int __girih_border(float x, int n) { return x >= 0.0f && x < (float)n ? (int)x : -1; }
// From -1 to n: scaled coordinates and their neighbours.
__device__ inline int __girih_wrap(float x, int n) {
    int i = (int)x;
    return i < 0 ? n - 1 : (i >= n ? i - n : i);
}
// From -1 to 2n.
__device__ inline int __girih_mirror(float x, int n) {
    int i = (int)x;
    return i < 0 ? 0 : (i >= 2 * n ? 0 : (i >= n ? 2 * n - 1 - i : i));
}

__device__ inline int __girih_layer(int i, int n) { return min(max(i, 0), n - 1); }
__device__ inline int __girih_texel(int x, int y, int z, int height, int pitch) { return (z * height + y) * pitch + x; }

__device__ inline float __girih_mix1(float p, float q, float a) { return (1.0f - a) * p + a * q; }
__device__ inline float __girih_mix2(float p, float q, float r, float s, float a, float b) {
    return (1.0f - a) * (1.0f - b) * p + a * (1.0f - b) * q + (1.0f - a) * b * r + a * b * s;
}
__device__ inline float __girih_mix3(float p, float q, float r, float s, float t, float u, float v, float w, float a, float b, float c) {
    return (1.0f - c) * __girih_mix2(p, q, r, s, a, b) + c * __girih_mix2(t, u, v, w, a, b);
}

// The face of a cube that a direction meets, and where: +x, -x, +y, -y, +z, -z.
struct __girih_face { int face; float s, t; };
__device__ inline __girih_face __girih_cube(float x, float y, float z) {
    float ax = fabsf(x), ay = fabsf(y), az = fabsf(z);
    bool on_x = ax >= ay && ax >= az, on_y = !on_x && ay >= az;
    float m = on_x ? ax : (on_y ? ay : az);
    float s = on_x ? (x >= 0.0f ? -z : z) : (on_y ? x : (z >= 0.0f ? x : -x));
    float t = on_y ? (y >= 0.0f ? z : -z) : -y;
    __girih_face f;
    f.face = on_x ? (x >= 0.0f ? 0 : 1) : (on_y ? (y >= 0.0f ? 2 : 3) : (z >= 0.0f ? 4 : 5));
    f.s = (s / m + 1.0f) * 0.5f;
    f.t = (t / m + 1.0f) * 0.5f;
    return f;
}
