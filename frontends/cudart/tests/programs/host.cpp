// A file of the host, which asks the runtime all the same.
#include <cuda_runtime_api.h>

double host_sum(const double* x, int n) {
    int devices = 0;
    double sum = 0.0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices < 1) return -1.0;
    for (int i = 0; i < n; i++) sum += x[i];
    return sum;
}
