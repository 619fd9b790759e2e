// A convolution's weights times the scale of the normalisation after it, and the shift that remains
// (ops/fold.rs): the weights lose the running statistics' deviation, the shift their mean.
#pragma once

#include "reduce.cuh"

namespace train {

// A block per output channel. `weight` (c_out, c_in, taps) becomes `folded` (c_out, taps, padded), zero
// beyond c_in. Without gamma the scale is 1 and the shift beta, or 0 where there is none either.
template <typename T>
__device__ void fold(const float* weight, const float* gamma, const float* beta, const float* mean,
                     const float* variance, float eps, T* folded, float* shift, int c_out, int c_in,
                     int taps, int padded) {
    int o = blockIdx.x;
    if (o >= c_out) return;
    float scale = gamma ? gamma[o] / sqrtf(variance[o] + eps) : 1.0f;
    const float* from = weight + (long long)o * c_in * taps;
    T* to = folded + (long long)o * taps * padded;
    for (int i = threadIdx.x; i < taps * padded; i += BLOCK) {
        int c = i % padded, tap = i / padded;
        to[i] = from_float<T>(c < c_in ? from[c * taps + tap] * scale : 0.0f);
    }
    if (threadIdx.x == 0) {
        shift[o] = (beta ? beta[o] : 0.0f) - (gamma ? mean[o] * scale : 0.0f);
    }
}

// The gradients from that of `folded` and, per tile of rows, that of the shift (finish_gradient's
// `partial`). A block per output channel. Null outputs are left out.
template <typename T>
__device__ void fold_gradient(const T* d_folded, const float* partial, int tiles, const float* weight,
                              const float* gamma, const float* mean, const float* variance, float eps,
                              float* d_weight, float* d_gamma, float* d_beta, int c_out, int c_in,
                              int taps, int padded) {
    int o = blockIdx.x;
    if (o >= c_out) return;
    float deviation = gamma ? sqrtf(variance[o] + eps) : 1.0f;
    float scale = gamma ? gamma[o] / deviation : 1.0f;
    const T* from = d_folded + (long long)o * taps * padded;
    long long first = (long long)o * c_in * taps;
    double along = 0;
    for (int i = threadIdx.x; i < c_in * taps; i += BLOCK) {
        float gradient = to_float(from[i % taps * padded + i / taps]);
        if (d_weight) d_weight[first + i] = gradient * scale;
        if (d_gamma) along += (double)gradient * weight[first + i];
    }
    double shift = 0;
    if (d_gamma || d_beta) {
        for (int tile = threadIdx.x; tile < tiles; tile += BLOCK) {
            shift += partial[(long long)tile * c_out + o];
        }
        shift = block_sum(shift);
    }
    if (d_gamma) along = block_sum(along);
    if (threadIdx.x > 0) return;
    if (d_beta) d_beta[o] = (float)shift;
    if (d_gamma) d_gamma[o] = ((float)along - mean[o] * (float)shift) / deviation;
}

}  // namespace train
