// What follows a convolution in one pass over its output: shift, residual, ReLU; and the backward pass of
// the same, which also sums the shift's gradient.
#pragma once

#include "reduce.cuh"

namespace train {

template <typename T, int N>
__device__ void finish_by(T* y, const float* shift, const T* residual, int relu, long long count,
                          int channels) {
    Channel channel(first_item(), item_stride(), channels / N);
    Plain<N> shifts = Plain<N>::load(shift + channel.now * N);
    for (long long i = first_item(); i < count / N; i += item_stride()) {
        Values<T, N> values = Values<T, N>::load(y + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) values.at[k] += shifts.at[k];
        if (residual) {
            Values<T, N> others = Values<T, N>::load(residual + i * N);
#pragma unroll
            for (int k = 0; k < N; k++) values.at[k] += others.at[k];
        }
        if (relu) {
#pragma unroll
            for (int k = 0; k < N; k++) values.at[k] = positive(values.at[k]);
        }
        values.store(y + i * N);
        if (channel.advance()) shifts = Plain<N>::load(shift + channel.now * N);
    }
}

// In place y = act(y + shift[channel] + residual), of `count` values. Over items: 16 bytes of y.
template <typename T>
__device__ void finish(T* y, const float* shift, const T* residual, int relu, long long count,
                       int channels) {
    if (wide<T>(channels, y, residual)) {
        finish_by<T, WIDE<T>>(y, shift, residual, relu, count, channels);
    } else {
        finish_by<T, 1>(y, shift, residual, relu, count, channels);
    }
}

template <typename T, int N>
__device__ void finish_gradient_by(const T* y, const T* dy, T* dz, float* partial, long long rows,
                                   int channels, int rows_per_tile) {
    int vectors = channels / N;
    Lanes at(vectors);
    long long start = (long long)blockIdx.x * rows_per_tile;
    long long end = start + rows_per_tile < rows ? start + rows_per_tile : rows;
    for (int base = 0; base < vectors; base += at.columns) {
        int vector = base + at.column;
        float sums[N] = {};
        long long row = at.idle() || vector >= vectors ? end : start + at.lane;
        for (; row < end; row += at.lanes) {
            long long i = (row * vectors + vector) * N;
            Values<T, N> values = Values<T, N>::load(dy + i);
            if (y) {
                Values<T, N> outputs = Values<T, N>::load(y + i);
#pragma unroll
                for (int k = 0; k < N; k++) values.at[k] = outputs.at[k] > 0.0f ? values.at[k] : 0.0f;
            }
            if (dz) values.store(dz + i);
#pragma unroll
            for (int k = 0; k < N; k++) sums[k] += values.at[k];
        }
        if (partial) {
            const float* totals = lane_sums<N>(sums, at);
            float* to = partial + (long long)blockIdx.x * channels + base * N;
            for (int i = threadIdx.x; i < at.taken(base, vectors) * N; i += BLOCK) to[i] = totals[i];
        }
    }
}

// dz = y > 0 ? dy : 0 and, where `partial` is given, per tile of rows the sums of dz. Without y there is
// no ReLU; dz may be dy, or null where only the sums are wanted. A block per tile:
// gridDim.x = ceil(rows / rows_per_tile), which is the first size of `partial` (tiles, channels).
template <typename T>
__device__ void finish_gradient(const T* y, const T* dy, T* dz, float* partial, long long rows,
                                int channels, int rows_per_tile) {
    if (wide<T>(channels, y, dy, (const T*)dz)) {
        finish_gradient_by<T, WIDE<T>>(y, dy, dz, partial, rows, channels, rows_per_tile);
    } else {
        finish_gradient_by<T, 1>(y, dy, dz, partial, rows, channels, rows_per_tile);
    }
}

}  // namespace train
