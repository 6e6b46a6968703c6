// Makers of vectors.
#ifndef GIRIH_VECTOR_FUNCTIONS_H
#define GIRIH_VECTOR_FUNCTIONS_H

#include "vector_types.h"

#define GIRIH_MAKERS(name, type) \
    static __inline__ __host__ __device__ name##1 make_##name##1(type x) { name##1 v = {x}; return v; } \
    static __inline__ __host__ __device__ name##2 make_##name##2(type x, type y) { name##2 v = {x, y}; return v; } \
    static __inline__ __host__ __device__ name##3 make_##name##3(type x, type y, type z) { name##3 v = {x, y, z}; return v; } \
    static __inline__ __host__ __device__ name##4 make_##name##4(type x, type y, type z, type w) { \
        name##4 v = {x, y, z, w}; \
        return v; \
    }

GIRIH_MAKERS(char, signed char)
GIRIH_MAKERS(uchar, unsigned char)
GIRIH_MAKERS(short, short)
GIRIH_MAKERS(ushort, unsigned short)
GIRIH_MAKERS(int, int)
GIRIH_MAKERS(uint, unsigned int)
GIRIH_MAKERS(long, long int)
GIRIH_MAKERS(ulong, unsigned long int)
GIRIH_MAKERS(longlong, long long int)
GIRIH_MAKERS(ulonglong, unsigned long long int)
GIRIH_MAKERS(float, float)
GIRIH_MAKERS(double, double)

#undef GIRIH_MAKERS

#endif
