// Groups of threads, as far as declarations of device functions name them.
#ifndef GIRIH_COOPERATIVE_GROUPS_H
#define GIRIH_COOPERATIVE_GROUPS_H
#if defined(__cplusplus) && defined(__CUDACC__)
#include "cuda_runtime.h"

namespace cooperative_groups {

struct thread_group {
    __device__ void sync() const;
    __device__ unsigned int size() const;
    __device__ unsigned int num_threads() const;
    __device__ unsigned int thread_rank() const;
};

struct thread_block : thread_group {
    __device__ dim3 group_index() const;
    __device__ dim3 thread_index() const;
    __device__ dim3 group_dim() const;
};

struct grid_group : thread_group {
    __device__ bool is_valid() const;
    __device__ dim3 group_dim() const;
};

struct multi_grid_group : grid_group {};

struct coalesced_group : thread_group {
    __device__ unsigned int meta_group_size() const;
    __device__ unsigned int meta_group_rank() const;
    template <class T> __device__ T shfl(T, unsigned int) const;
    template <class T> __device__ T shfl_up(T, unsigned int) const;
    template <class T> __device__ T shfl_down(T, unsigned int) const;
    template <class T> __device__ T shfl_xor(T, unsigned int) const;
    __device__ int any(int) const;
    __device__ int all(int) const;
    __device__ unsigned int ballot(int) const;
};

template <unsigned int Size, class Parent = void> struct thread_block_tile : coalesced_group {};

__device__ thread_block this_thread_block();
__device__ grid_group this_grid();
__device__ multi_grid_group this_multi_grid();
__device__ coalesced_group coalesced_threads();
template <unsigned int Size, class Group> __device__ thread_block_tile<Size, Group> tiled_partition(const Group&);
template <class Group> __device__ thread_group tiled_partition(const Group&, unsigned int);
template <class Group> __device__ coalesced_group binary_partition(const Group&, bool);
template <class Group> __device__ void sync(const Group&);

template <class T = void> struct plus {};
template <class T = void> struct less {};
template <class T = void> struct greater {};
template <class T = void> struct bit_and {};
template <class T = void> struct bit_or {};
template <class T = void> struct bit_xor {};
template <class Group, class T, class Op> __device__ T reduce(const Group&, T, Op);
template <class Group, class T, class Op> __device__ T inclusive_scan(const Group&, T, Op);
template <class Group, class T> __device__ T inclusive_scan(const Group&, T);
template <class Group, class T, class Op> __device__ T exclusive_scan(const Group&, T, Op);
template <class Group, class T> __device__ T exclusive_scan(const Group&, T);

}
#endif
#endif
