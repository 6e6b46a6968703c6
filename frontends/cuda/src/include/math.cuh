// Functions of <math.h> that take a number apart or put it together, by the bits of IEEE 754.

__device__ inline float frexp(float x, int* exponent) {
    bool small = fabsf(x) < 1.17549435e-38f;
    int bits = __float_as_int(small ? x * 16777216.0f : x);
    int field = (bits >> 23) & 255;
    bool plain = field != 0 && field != 255;
    *exponent = plain ? field - (small ? 150 : 126) : 0;
    return plain ? __int_as_float((bits & 0x807fffff) | 0x3f000000) : x;
}
__device__ inline float frexpf(float x, int* exponent) { return frexp(x, exponent); }

__device__ inline double frexp(double x, int* exponent) {
    bool small = fabs(x) < 2.2250738585072014e-308;
    long long bits = __double_as_longlong(small ? x * 18014398509481984.0 : x);
    int field = (int)(bits >> 52) & 2047;
    bool plain = field != 0 && field != 2047;
    *exponent = plain ? field - (small ? 1076 : 1022) : 0;
    return plain ? __longlong_as_double((bits & 0x800fffffffffffffLL) | 0x3fe0000000000000LL) : x;
}

// Powers beyond the range of one factor go in steps; 24 or 53 bits stay above the last, so that a subnormal result is rounded once.
__device__ inline float ldexp(float x, int n) {
    float y = x;
    if (n > 127) {
        y = y * 1.7014118346046923e38f;
        n = n - 127;
        if (n > 127) {
            y = y * 1.7014118346046923e38f;
            n = min(n - 127, 127);
        }
    } else if (n < -126) {
        y = y * 1.9721522630525295e-31f;
        n = n + 102;
        if (n < -126) {
            y = y * 1.9721522630525295e-31f;
            n = max(n + 102, -126);
        }
    }
    return y * __int_as_float((n + 127) << 23);
}
__device__ inline float ldexpf(float x, int n) { return ldexp(x, n); }
__device__ inline float scalbnf(float x, int n) { return ldexp(x, n); }
__device__ inline float scalbn(float x, int n) { return ldexp(x, n); }

__device__ inline double ldexp(double x, int n) {
    double y = x;
    if (n > 1023) {
        y = y * 8.98846567431158e307;
        n = n - 1023;
        if (n > 1023) {
            y = y * 8.98846567431158e307;
            n = min(n - 1023, 1023);
        }
    } else if (n < -1022) {
        y = y * 2.004168360008973e-292;
        n = n + 969;
        if (n < -1022) {
            y = y * 2.004168360008973e-292;
            n = max(n + 969, -1022);
        }
    }
    return y * __longlong_as_double((long long)(n + 1023) << 52);
}
__device__ inline double scalbn(double x, int n) { return ldexp(x, n); }
