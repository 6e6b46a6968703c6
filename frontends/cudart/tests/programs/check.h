// What the programs check with: the first thing that does not hold ends the program.
#pragma once
#include <cstdio>
#include <cstdlib>

#define CHECK(holds) \
    do { \
        if (!(holds)) { \
            printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #holds); \
            exit(1); \
        } \
    } while (0)
#define CUDA(call) \
    do { \
        cudaError_t code = (call); \
        if (code != cudaSuccess) { \
            printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(code)); \
            exit(1); \
        } \
    } while (0)
