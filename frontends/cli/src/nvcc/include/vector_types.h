// Vectors of two to four numbers, laid out and aligned as CUDA's.
#ifndef GIRIH_VECTOR_TYPES_H
#define GIRIH_VECTOR_TYPES_H

#include "host_defines.h"

#define GIRIH_VECTORS(name, type, a2, a4) \
    struct name##1 { type x; }; \
    struct __align__(a2) name##2 { type x, y; }; \
    struct name##3 { type x, y, z; }; \
    struct __align__(a4) name##4 { type x, y, z, w; }; \
    typedef struct name##1 name##1; \
    typedef struct name##2 name##2; \
    typedef struct name##3 name##3; \
    typedef struct name##4 name##4;

GIRIH_VECTORS(char, signed char, 2, 4)
GIRIH_VECTORS(uchar, unsigned char, 2, 4)
GIRIH_VECTORS(short, short, 4, 8)
GIRIH_VECTORS(ushort, unsigned short, 4, 8)
GIRIH_VECTORS(int, int, 8, 16)
GIRIH_VECTORS(uint, unsigned int, 8, 16)
GIRIH_VECTORS(long, long int, 16, 16)
GIRIH_VECTORS(ulong, unsigned long int, 16, 16)
GIRIH_VECTORS(longlong, long long int, 16, 16)
GIRIH_VECTORS(ulonglong, unsigned long long int, 16, 16)
GIRIH_VECTORS(float, float, 8, 16)
GIRIH_VECTORS(double, double, 16, 16)

#undef GIRIH_VECTORS

struct dim3 {
    unsigned int x, y, z;
#ifdef __cplusplus
    __host__ __device__ constexpr dim3(unsigned int vx = 1, unsigned int vy = 1, unsigned int vz = 1) : x(vx), y(vy), z(vz) {}
    __host__ __device__ constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
    __host__ __device__ constexpr operator uint3() const { return uint3{x, y, z}; }
#endif
};
typedef struct dim3 dim3;

#endif
