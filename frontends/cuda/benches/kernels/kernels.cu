// The kernels that the benchmark translates: each in the usual way.

__global__ void matmul_naive(const float* __restrict__ a, const float* __restrict__ b, float* c, int n) {
    int row = blockIdx.y * blockDim.y + threadIdx.y;
    int col = blockIdx.x * blockDim.x + threadIdx.x;
    float sum = 0.0f;
    for (int k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + col];
    c[row * n + col] = sum;
}

#define TILE 16
__global__ void matmul_tiled(const float* __restrict__ a, const float* __restrict__ b, float* c, int n) {
    __shared__ float as[TILE][TILE], bs[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y;
    int col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0.0f;
    for (int t = 0; t < n / TILE; t++) {
        as[threadIdx.y][threadIdx.x] = a[row * n + t * TILE + threadIdx.x];
        bs[threadIdx.y][threadIdx.x] = b[(t * TILE + threadIdx.y) * n + col];
        __syncthreads();
        for (int k = 0; k < TILE; k++) sum += as[threadIdx.y][k] * bs[k][threadIdx.x];
        __syncthreads();
    }
    c[row * n + col] = sum;
}

__global__ void reduce(const float* __restrict__ in, float* out, int n) {
    __shared__ float s[256];
    int t = threadIdx.x;
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + t; i < n; i += blockDim.x * gridDim.x) sum += in[i];
    s[t] = sum;
    __syncthreads();
    for (int stride = blockDim.x / 2; stride > 0; stride >>= 1) {
        if (t < stride) s[t] += s[t + stride];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = s[0];
}

__global__ void softmax(const float* __restrict__ in, float* out, int cols) {
    __shared__ float s[256];
    int t = threadIdx.x;
    const float* x = in + blockIdx.x * cols;
    float* y = out + blockIdx.x * cols;
    float top = -INFINITY;
    for (int i = t; i < cols; i += blockDim.x) top = fmaxf(top, x[i]);
    s[t] = top;
    __syncthreads();
    for (int stride = 128; stride > 0; stride >>= 1) {
        if (t < stride) s[t] = fmaxf(s[t], s[t + stride]);
        __syncthreads();
    }
    top = s[0];
    __syncthreads();
    float sum = 0.0f;
    for (int i = t; i < cols; i += blockDim.x) {
        float e = expf(x[i] - top);
        y[i] = e;
        sum += e;
    }
    s[t] = sum;
    __syncthreads();
    for (int stride = 128; stride > 0; stride >>= 1) {
        if (t < stride) s[t] += s[t + stride];
        __syncthreads();
    }
    sum = s[0];
    for (int i = t; i < cols; i += blockDim.x) y[i] /= sum;
}

__global__ void layernorm(const float* __restrict__ in, const float* __restrict__ w, const float* __restrict__ b, float* out, int cols) {
    __shared__ float s[256], q[256];
    int t = threadIdx.x;
    const float* x = in + blockIdx.x * cols;
    float* y = out + blockIdx.x * cols;
    float sum = 0.0f, squares = 0.0f;
    for (int i = t; i < cols; i += blockDim.x) {
        float v = x[i];
        sum += v;
        squares += v * v;
    }
    s[t] = sum;
    q[t] = squares;
    __syncthreads();
    for (int stride = 128; stride > 0; stride >>= 1) {
        if (t < stride) {
            s[t] += s[t + stride];
            q[t] += q[t + stride];
        }
        __syncthreads();
    }
    float mean = s[0] / cols;
    float scale = rsqrtf(q[0] / cols - mean * mean + 1e-5f);
    for (int i = t; i < cols; i += blockDim.x) y[i] = (x[i] - mean) * scale * w[i] + b[i];
}
