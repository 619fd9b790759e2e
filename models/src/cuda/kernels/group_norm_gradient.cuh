// The backward pass of group normalisation, in tiles as the forward pass: sums per tile
// (group_norm_sums), per image, channel and group (group_norm_totals), then the input's gradient and the
// parameters'.
#pragma once

#include "group_norm.cuh"

namespace train {

template <typename T, int N>
__device__ void group_norm_sums_by(const T* x, const T* dy, const float* stats, float* partial, int plane,
                                   int channels, int groups, int rows_per_tile) {
    int vectors = channels / N, members = channels / groups;
    Lanes at(vectors);
    int start = blockIdx.x * rows_per_tile;
    int end = start + rows_per_tile < plane ? start + rows_per_tile : plane;
    long long image = (long long)blockIdx.y * plane;
    partial += ((long long)blockIdx.y * gridDim.x + blockIdx.x) * channels * 2;
    for (int base = 0; base < vectors; base += at.columns) {
        int vector = base + at.column;
        bool none = at.idle() || vector >= vectors;
        const float* own = stats + ((long long)blockIdx.y * groups + (none ? 0 : vector * N / members)) * 2;
        float mean = own[0], reciprocal = own[1], sums[N] = {}, along[N] = {};
        for (int row = none ? end : start + at.lane; row < end; row += at.lanes) {
            long long i = ((image + row) * vectors + vector) * N;
            Values<T, N> values = Values<T, N>::load(x + i), gradients = Values<T, N>::load(dy + i);
#pragma unroll
            for (int k = 0; k < N; k++) {
                sums[k] += gradients.at[k];
                along[k] += gradients.at[k] * ((values.at[k] - mean) * reciprocal);
            }
        }
        float* to = partial + base * N * 2;
        const float* totals = lane_sums<N>(sums, at);
        for (int i = threadIdx.x; i < at.taken(base, vectors) * N; i += BLOCK) to[i * 2] = totals[i];
        totals = lane_sums<N>(along, at);
        for (int i = threadIdx.x; i < at.taken(base, vectors) * N; i += BLOCK) to[i * 2 + 1] = totals[i];
    }
}

// Per image, tile and channel the sums of dy and of dy times the normalised x, to `partial` (images,
// tiles, channels, 2). gridDim.x = tiles = ceil(plane / rows_per_tile), gridDim.y = images.
template <typename T>
__device__ void group_norm_sums(const T* x, const T* dy, const float* stats, float* partial, int plane,
                                int channels, int groups, int rows_per_tile) {
    if (wide<T>(channels / groups, x, dy)) {
        group_norm_sums_by<T, WIDE<T>>(x, dy, stats, partial, plane, channels, groups, rows_per_tile);
    } else {
        group_norm_sums_by<T, 1>(x, dy, stats, partial, plane, channels, groups, rows_per_tile);
    }
}

// The tiles' sums become those of every image and channel, `sums` (images, channels, 2), and weighted by
// gamma the means over every group, `levels` (images, groups, 2). gridDim.x = groups, gridDim.y = images.
KERNEL group_norm_totals(const float* partial, const float* gamma, float* sums, float* levels, int plane,
                         int channels, int groups, int tiles) {
    int members = channels / groups;
    partial += ((long long)blockIdx.y * tiles * channels + blockIdx.x * members) * 2;
    sums += ((long long)blockIdx.y * channels + blockIdx.x * members) * 2;
    double weighted[2] = {};
    for (int i = threadIdx.x; i < members * 2; i += BLOCK) {
        double sum = 0;
        for (int tile = 0; tile < tiles; tile++) sum += partial[(long long)tile * channels * 2 + i];
        sums[i] = (float)sum;
        double term = sum * gamma[blockIdx.x * members + i / 2];
        weighted[0] += i % 2 == 0 ? term : 0;
        weighted[1] += i % 2 == 1 ? term : 0;
    }
    double count = (double)plane * members;
    for (int k = 0; k < 2; k++) {
        double total = block_sum(weighted[k]);
        if (threadIdx.x == 0) {
            levels[((long long)blockIdx.y * groups + blockIdx.x) * 2 + k] = (float)(total / count);
        }
    }
}

template <typename T, int N>
__device__ void group_norm_gradient_by(const T* x, const T* dy, const float* stats, const float* levels,
                                       const float* gamma, T* dx, int plane, int channels, int groups) {
    int members = channels / groups;
    long long image = (long long)blockIdx.y * plane * channels, first = (long long)blockIdx.y * groups * 2;
    Channel channel(first_item(), item_stride(), channels / N);
    Affine<N> affine(stats + first, gamma, nullptr, channel.now * N, members);
    const float* level = levels + first + channel.now * N / members * 2;
    for (long long i = first_item() * N; i < (long long)plane * channels; i += item_stride() * N) {
        Values<T, N> values = Values<T, N>::load(x + image + i);
        Values<T, N> gradients = Values<T, N>::load(dy + image + i);
#pragma unroll
        for (int k = 0; k < N; k++) {
            float normalised = (values.at[k] - affine.mean) * affine.reciprocal;
            float rest = gradients.at[k] * affine.gamma[k] - level[0] - normalised * level[1];
            gradients.at[k] = affine.reciprocal * rest;
        }
        gradients.store(dx + image + i);
        if (channel.advance()) {
            affine = Affine<N>(stats + first, gamma, nullptr, channel.now * N, members);
            level = levels + first + channel.now * N / members * 2;
        }
    }
}

// The gradient of x; dx may be dy. gridDim.y = images; in x over items: 16 bytes of an image.
template <typename T>
__device__ void group_norm_gradient(const T* x, const T* dy, const float* stats, const float* levels,
                                    const float* gamma, T* dx, int plane, int channels, int groups) {
    if (wide<T>(channels / groups, x, dy, (const T*)dx)) {
        group_norm_gradient_by<T, WIDE<T>>(x, dy, stats, levels, gamma, dx, plane, channels, groups);
    } else {
        group_norm_gradient_by<T, 1>(x, dy, stats, levels, gamma, dx, plane, channels, groups);
    }
}

// The gradients of gamma and beta: `sums` over the images. Over items: channels.
KERNEL group_norm_parameters(const float* sums, float* d_gamma, float* d_beta, int images, int channels) {
    for (long long channel = first_item(); channel < channels; channel += item_stride()) {
        double gamma = 0, beta = 0;
        for (int image = 0; image < images; image++) {
            const float* pair = sums + ((long long)image * channels + channel) * 2;
            beta += pair[0];
            gamma += pair[1];
        }
        d_gamma[channel] = (float)gamma;
        d_beta[channel] = (float)beta;
    }
}

}  // namespace train
