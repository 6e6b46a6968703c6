// Arrays, textures and surfaces: an array is memory of the device with its extents; an object is made of a description.
#ifndef GIRIH_TEXTURE_TYPES_H
#define GIRIH_TEXTURE_TYPES_H

#include <stdlib.h>
#include "cuda_runtime_api.h"

typedef unsigned long long cudaTextureObject_t;
typedef unsigned long long cudaSurfaceObject_t;

enum cudaChannelFormatKind {
    cudaChannelFormatKindSigned = 0,
    cudaChannelFormatKindUnsigned = 1,
    cudaChannelFormatKindFloat = 2,
    cudaChannelFormatKindNone = 3
};
enum cudaTextureAddressMode {
    cudaAddressModeWrap = 0,
    cudaAddressModeClamp = 1,
    cudaAddressModeMirror = 2,
    cudaAddressModeBorder = 3
};
enum cudaTextureFilterMode { cudaFilterModePoint = 0, cudaFilterModeLinear = 1 };
enum cudaTextureReadMode { cudaReadModeElementType = 0, cudaReadModeNormalizedFloat = 1 };
enum cudaResourceType {
    cudaResourceTypeArray = 0,
    cudaResourceTypeMipmappedArray = 1,
    cudaResourceTypeLinear = 2,
    cudaResourceTypePitch2D = 3
};
enum cudaSurfaceBoundaryMode { cudaBoundaryModeZero = 0, cudaBoundaryModeClamp = 1, cudaBoundaryModeTrap = 2 };
enum cudaResourceViewFormat { cudaResViewFormatNone = 0 };

#define cudaArrayDefault 0x00
#define cudaArrayLayered 0x01
#define cudaArraySurfaceLoadStore 0x02
#define cudaArrayCubemap 0x04
#define cudaArrayTextureGather 0x08

struct cudaChannelFormatDesc {
    int x, y, z, w;
    enum cudaChannelFormatKind f;
};
struct cudaArray {
    void* memory;
    size_t pitch, width, height, depth;
    struct cudaChannelFormatDesc desc;
    int layered;
};
typedef struct cudaArray* cudaArray_t;
typedef const struct cudaArray* cudaArray_const_t;
typedef struct girih_mipmapped_array* cudaMipmappedArray_t;

struct cudaResourceDesc {
    enum cudaResourceType resType;
    union {
        struct {
            cudaArray_t array;
        } array;
        struct {
            cudaMipmappedArray_t mipmap;
        } mipmap;
        struct {
            void* devPtr;
            struct cudaChannelFormatDesc desc;
            size_t sizeInBytes;
        } linear;
        struct {
            void* devPtr;
            struct cudaChannelFormatDesc desc;
            size_t width, height, pitchInBytes;
        } pitch2D;
    } res;
};
struct cudaTextureDesc {
    enum cudaTextureAddressMode addressMode[3];
    enum cudaTextureFilterMode filterMode;
    enum cudaTextureReadMode readMode;
    int sRGB;
    float borderColor[4];
    int normalizedCoords;
    unsigned int maxAnisotropy;
    enum cudaTextureFilterMode mipmapFilterMode;
    float mipmapLevelBias, minMipmapLevelClamp, maxMipmapLevelClamp;
    int disableTrilinearOptimization, seamlessCubemap;
};
struct cudaResourceViewDesc {
    enum cudaResourceViewFormat format;
    size_t width, height, depth;
};
struct cudaMemcpy3DParms {
    cudaArray_t srcArray;
    struct cudaPos srcPos;
    struct cudaPitchedPtr srcPtr;
    cudaArray_t dstArray;
    struct cudaPos dstPos;
    struct cudaPitchedPtr dstPtr;
    struct cudaExtent extent;
    enum cudaMemcpyKind kind;
};

#ifdef __cplusplus
extern "C" {
#endif

// What the library is told of a texture.
struct girihDescribed {
    unsigned long long address;
    unsigned int extent[3], pitch, kind, bits, channels, flags[3], address_mode[3];
};
cudaError_t girihCreateTexture(unsigned long long* out, const struct girihDescribed* described);
cudaError_t girihDestroyTexture(unsigned long long object);

static inline size_t girihTexel(const struct cudaChannelFormatDesc* d) { return (size_t)(d->x + d->y + d->z + d->w) / 8; }

static inline cudaError_t cudaMalloc3DArray(cudaArray_t* out, const struct cudaChannelFormatDesc* desc, struct cudaExtent extent,
                                            unsigned int flags GIRIH_OR(0)) {
    cudaError_t done;
    cudaArray_t a = (cudaArray_t)calloc(1, sizeof *a);
    if (!a) return girihError(cudaErrorMemoryAllocation);
    a->desc = *desc;
    a->width = extent.width;
    a->height = extent.height ? extent.height : 1;
    a->depth = extent.depth ? extent.depth : 1;
    a->layered = (flags & (cudaArrayLayered | cudaArrayCubemap)) != 0;
    a->pitch = a->width * girihTexel(desc);
    done = cudaMalloc(&a->memory, a->pitch * a->height * a->depth);
    if (done == cudaSuccess) *out = a; else free(a);
    return done;
}
static inline cudaError_t cudaMallocArray(cudaArray_t* out, const struct cudaChannelFormatDesc* desc, size_t width,
                                          size_t height GIRIH_OR(0), unsigned int flags GIRIH_OR(0)) {
    struct cudaExtent extent = {width, height, 0};
    return cudaMalloc3DArray(out, desc, extent, flags);
}
static inline cudaError_t cudaFreeArray(cudaArray_t a) {
    cudaError_t done = a ? cudaFree(a->memory) : cudaSuccess;
    free(a);
    return done;
}
static inline cudaError_t cudaMemcpy2DToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch, size_t width,
                                              size_t height, enum cudaMemcpyKind kind) {
    if (x + width > to->pitch || y + height > to->height * to->depth) return girihError(cudaErrorInvalidValue);
    return cudaMemcpy2D((char*)to->memory + y * to->pitch + x, to->pitch, from, pitch, width, height, kind);
}
static inline cudaError_t cudaMemcpy2DToArrayAsync(cudaArray_t to, size_t x, size_t y, const void* from, size_t pitch,
                                                   size_t width, size_t height, enum cudaMemcpyKind kind,
                                                   cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemcpy2DToArray(to, x, y, from, pitch, width, height, kind);
}
static inline cudaError_t cudaMemcpy2DFromArray(void* to, size_t pitch, cudaArray_const_t from, size_t x, size_t y, size_t width,
                                                size_t height, enum cudaMemcpyKind kind) {
    if (x + width > from->pitch || y + height > from->height * from->depth) return girihError(cudaErrorInvalidValue);
    return cudaMemcpy2D(to, pitch, (const char*)from->memory + y * from->pitch + x, from->pitch, width, height, kind);
}
static inline cudaError_t cudaMemcpyToArray(cudaArray_t to, size_t x, size_t y, const void* from, size_t bytes,
                                            enum cudaMemcpyKind kind) {
    size_t start = y * to->pitch + x, all = to->pitch * to->height * to->depth;
    if (start > all || bytes > all - start) return girihError(cudaErrorInvalidValue);
    return cudaMemcpy((char*)to->memory + start, from, bytes, kind);
}
static inline cudaError_t cudaMemcpyFromArray(void* to, cudaArray_const_t from, size_t x, size_t y, size_t bytes,
                                              enum cudaMemcpyKind kind) {
    size_t start = y * from->pitch + x, all = from->pitch * from->height * from->depth;
    if (start > all || bytes > all - start) return girihError(cudaErrorInvalidValue);
    return cudaMemcpy(to, (const char*)from->memory + start, bytes, kind);
}
static inline cudaError_t cudaMemcpy3D(const struct cudaMemcpy3DParms* p) {
    size_t z, texel = 1;
    if (p->srcArray) texel = girihTexel(&p->srcArray->desc);
    if (p->dstArray) texel = girihTexel(&p->dstArray->desc);
    for (z = 0; z < p->extent.depth; z++) {
        size_t from = p->srcArray ? p->srcArray->pitch : p->srcPtr.pitch, to = p->dstArray ? p->dstArray->pitch : p->dstPtr.pitch;
        size_t fromRows = p->srcArray ? p->srcArray->height : p->srcPtr.ysize;
        size_t toRows = p->dstArray ? p->dstArray->height : p->dstPtr.ysize;
        const char* s = (const char*)(p->srcArray ? p->srcArray->memory : p->srcPtr.ptr);
        char* d = (char*)(p->dstArray ? p->dstArray->memory : p->dstPtr.ptr);
        size_t sx = p->srcPos.x * (p->srcArray ? texel : 1), dx = p->dstPos.x * (p->dstArray ? texel : 1);
        size_t width = p->extent.width * (p->srcArray || p->dstArray ? texel : 1);
        cudaError_t done = cudaMemcpy2D(d + ((p->dstPos.z + z) * toRows + p->dstPos.y) * to + dx, to,
                                        s + ((p->srcPos.z + z) * fromRows + p->srcPos.y) * from + sx, from, width,
                                        p->extent.height, p->kind);
        if (done != cudaSuccess) return done;
    }
    return cudaSuccess;
}
static inline cudaError_t cudaMemcpy3DAsync(const struct cudaMemcpy3DParms* p, cudaStream_t stream GIRIH_OR(0)) {
    (void)stream;
    return cudaMemcpy3D(p);
}

static inline cudaError_t girihDescribe(struct girihDescribed* d, const struct cudaResourceDesc* r) {
    const struct cudaChannelFormatDesc* f;
    memset(d, 0, sizeof *d);
    d->extent[1] = d->extent[2] = 1;
    switch (r->resType) {
        case cudaResourceTypeArray: {
            cudaArray_t a = r->res.array.array;
            f = &a->desc;
            d->address = (unsigned long long)(size_t)a->memory;
            d->extent[0] = (unsigned int)a->width;
            d->extent[1] = (unsigned int)a->height;
            d->extent[2] = (unsigned int)a->depth;
            d->pitch = (unsigned int)a->pitch;
            break;
        }
        case cudaResourceTypeLinear:
            f = &r->res.linear.desc;
            d->address = (unsigned long long)(size_t)r->res.linear.devPtr;
            d->extent[0] = (unsigned int)(r->res.linear.sizeInBytes / (girihTexel(f) ? girihTexel(f) : 1));
            d->pitch = (unsigned int)(d->extent[0] * girihTexel(f));
            break;
        case cudaResourceTypePitch2D:
            f = &r->res.pitch2D.desc;
            d->address = (unsigned long long)(size_t)r->res.pitch2D.devPtr;
            d->extent[0] = (unsigned int)r->res.pitch2D.width;
            d->extent[1] = (unsigned int)r->res.pitch2D.height;
            d->pitch = (unsigned int)r->res.pitch2D.pitchInBytes;
            break;
        default: return girihError(cudaErrorNotSupported);
    }
    d->kind = (unsigned int)f->f;
    d->bits = (unsigned int)f->x;
    d->channels = (f->x != 0) + (f->y != 0) + (f->z != 0) + (f->w != 0);
    return cudaSuccess;
}
static inline cudaError_t cudaCreateTextureObject(cudaTextureObject_t* out, const struct cudaResourceDesc* resource,
                                                  const struct cudaTextureDesc* texture, const struct cudaResourceViewDesc* view) {
    struct girihDescribed d;
    cudaError_t done = girihDescribe(&d, resource);
    int i;
    if (done != cudaSuccess) return done;
    if (view || texture->sRGB || texture->borderColor[0] || texture->borderColor[1] || texture->borderColor[2] ||
        texture->borderColor[3])
        return girihError(cudaErrorNotSupported);
    d.flags[0] = texture->filterMode == cudaFilterModeLinear;
    d.flags[1] = texture->readMode == cudaReadModeNormalizedFloat;
    d.flags[2] = texture->normalizedCoords != 0;
    for (i = 0; i < 3; i++) d.address_mode[i] = (unsigned int)texture->addressMode[i];
    return girihCreateTexture(out, &d);
}
static inline cudaError_t cudaDestroyTextureObject(cudaTextureObject_t object) { return girihDestroyTexture(object); }
static inline cudaError_t cudaCreateSurfaceObject(cudaSurfaceObject_t* out, const struct cudaResourceDesc* resource) {
    struct girihDescribed d;
    cudaError_t done = girihDescribe(&d, resource);
    if (done != cudaSuccess) return done;
    d.address_mode[0] = d.address_mode[1] = d.address_mode[2] = cudaAddressModeClamp;
    return girihCreateTexture(out, &d);
}
static inline cudaError_t cudaDestroySurfaceObject(cudaSurfaceObject_t object) { return girihDestroyTexture(object); }
static inline struct cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w, enum cudaChannelFormatKind f) {
    struct cudaChannelFormatDesc d = {x, y, z, w, f};
    return d;
}

#ifdef __cplusplus
}

#define GIRIH_CHANNELS(name, kind) \
    template <> inline cudaChannelFormatDesc cudaCreateChannelDesc<name>() { \
        int bits = 8 * (int)sizeof(name); \
        return cudaCreateChannelDesc(bits, 0, 0, 0, kind); \
    }

#define GIRIH_CHANNEL_VECTORS(name, kind) \
    template <> inline cudaChannelFormatDesc cudaCreateChannelDesc<name##1>() { \
        int bits = 8 * (int)sizeof(name##1); \
        return cudaCreateChannelDesc(bits, 0, 0, 0, kind); \
    } \
    template <> inline cudaChannelFormatDesc cudaCreateChannelDesc<name##2>() { \
        int bits = 8 * (int)sizeof(name##1); \
        return cudaCreateChannelDesc(bits, bits, 0, 0, kind); \
    } \
    template <> inline cudaChannelFormatDesc cudaCreateChannelDesc<name##4>() { \
        int bits = 8 * (int)sizeof(name##1); \
        return cudaCreateChannelDesc(bits, bits, bits, bits, kind); \
    }

template <class T> inline cudaChannelFormatDesc cudaCreateChannelDesc();
GIRIH_CHANNELS(char, cudaChannelFormatKindSigned)
GIRIH_CHANNELS(signed char, cudaChannelFormatKindSigned)
GIRIH_CHANNELS(unsigned char, cudaChannelFormatKindUnsigned)
GIRIH_CHANNELS(short, cudaChannelFormatKindSigned)
GIRIH_CHANNELS(unsigned short, cudaChannelFormatKindUnsigned)
GIRIH_CHANNELS(int, cudaChannelFormatKindSigned)
GIRIH_CHANNELS(unsigned int, cudaChannelFormatKindUnsigned)
GIRIH_CHANNELS(float, cudaChannelFormatKindFloat)
GIRIH_CHANNEL_VECTORS(char, cudaChannelFormatKindSigned)
GIRIH_CHANNEL_VECTORS(uchar, cudaChannelFormatKindUnsigned)
GIRIH_CHANNEL_VECTORS(short, cudaChannelFormatKindSigned)
GIRIH_CHANNEL_VECTORS(ushort, cudaChannelFormatKindUnsigned)
GIRIH_CHANNEL_VECTORS(int, cudaChannelFormatKindSigned)
GIRIH_CHANNEL_VECTORS(uint, cudaChannelFormatKindUnsigned)
GIRIH_CHANNEL_VECTORS(float, cudaChannelFormatKindFloat)
#undef GIRIH_CHANNELS
#undef GIRIH_CHANNEL_VECTORS
#endif

#endif
