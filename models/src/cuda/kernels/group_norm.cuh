// Group normalisation (ops/group_norm.rs): each group of channels of each image by its own mean and
// variance.
//
// One block per image and group would leave a large card idle (16 images of 4 groups) and read a pixel's
// channels in pieces. So planes are split into tiles of pixels, whose blocks read whole rows of channels
// (group_partials), and a second small kernel puts the tiles of a group together (group_statistics).
#pragma once

#include "reduce.cuh"

namespace train {

template <typename T, int N>
__device__ void group_partials_by(const T* x, float* partial, int plane, int channels,
                                  int rows_per_tile) {
    int vectors = channels / N;
    Lanes at(vectors);
    int start = blockIdx.x * rows_per_tile;
    int end = start + rows_per_tile < plane ? start + rows_per_tile : plane;
    long long image = (long long)blockIdx.y * plane;
    partial += ((long long)blockIdx.y * gridDim.x + blockIdx.x) * channels * 2;
    for (int base = 0; base < vectors; base += at.columns) {
        int vector = base + at.column;
        int first = at.idle() || vector >= vectors ? end : start + at.lane;
        const T* column = x + (image * vectors + vector) * N;
        float sums[N] = {}, means[N] = {}, squares[N] = {};
        for (int row = first; row < end; row += at.lanes) {
            Values<T, N> values = Values<T, N>::load(column + (long long)row * channels);
#pragma unroll
            for (int k = 0; k < N; k++) sums[k] += values.at[k];
        }
        const float* totals = lane_sums<N>(sums, at);
#pragma unroll
        for (int k = 0; k < N; k++) means[k] = totals[at.column * N + k] / (end - start);
        // Again, from the cache: without the mean nothing cancels.
        for (int row = first; row < end; row += at.lanes) {
            Values<T, N> values = Values<T, N>::load(column + (long long)row * channels);
#pragma unroll
            for (int k = 0; k < N; k++) {
                float rest = values.at[k] - means[k];
                squares[k] += rest * rest;
            }
        }
        totals = lane_sums<N>(squares, at);
        if (at.lane > 0 || vector >= vectors) continue;
#pragma unroll
        for (int k = 0; k < N; k++) {
            partial[(vector * N + k) * 2] = means[k];
            partial[(vector * N + k) * 2 + 1] = totals[at.column * N + k];
        }
    }
}

// Per image, tile and channel of `x` the mean and the sum of squared differences from it, to `partial`
// (images, tiles, channels, 2). gridDim.x = tiles = ceil(plane / rows_per_tile), gridDim.y = images.
template <typename T>
__device__ void group_partials(const T* x, float* partial, int plane, int channels, int rows_per_tile) {
    if (wide<T>(channels, x)) {
        group_partials_by<T, WIDE<T>>(x, partial, plane, channels, rows_per_tile);
    } else {
        group_partials_by<T, 1>(x, partial, plane, channels, rows_per_tile);
    }
}

// Mean and reciprocal deviation of every image and group, to `stats` (images, groups, 2).
// gridDim.x = groups, gridDim.y = images.
KERNEL group_statistics(const float* partial, float* stats, int plane, int channels, int groups,
                        int rows_per_tile, float eps) {
    int members = channels / groups, tiles = (plane + rows_per_tile - 1) / rows_per_tile;
    partial += ((long long)blockIdx.y * tiles * channels + blockIdx.x * members) * 2;
    double count = (double)plane * members, sum = 0, squares = 0;
    for (int i = threadIdx.x; i < tiles * members; i += BLOCK) {
        int tile = i / members, rows = plane - tile * rows_per_tile;
        rows = rows < rows_per_tile ? rows : rows_per_tile;
        sum += (double)partial[((long long)tile * channels + i % members) * 2] * rows;
    }
    double mean = block_sum(sum) / count;
    for (int i = threadIdx.x; i < tiles * members; i += BLOCK) {
        int tile = i / members, rows = plane - tile * rows_per_tile;
        rows = rows < rows_per_tile ? rows : rows_per_tile;
        const float* pair = partial + ((long long)tile * channels + i % members) * 2;
        squares += pair[1] + (pair[0] - mean) * (pair[0] - mean) * rows;
    }
    double variance = block_sum(squares) / count;
    if (threadIdx.x > 0) return;
    stats += ((long long)blockIdx.y * groups + blockIdx.x) * 2;
    stats[0] = (float)mean;
    stats[1] = (float)(1.0 / sqrt(variance + eps));
}

// By what N neighbouring channels of a group are normalised.
template <int N>
struct Affine {
    float mean, reciprocal, gamma[N], beta[N];

    // `stats`: the image's. Without beta it is 0.
    __device__ Affine(const float* stats, const float* gammas, const float* betas, int channel,
                      int members) {
        mean = stats[channel / members * 2];
        reciprocal = stats[channel / members * 2 + 1];
#pragma unroll
        for (int k = 0; k < N; k++) {
            gamma[k] = gammas[channel + k];
            beta[k] = betas ? betas[channel + k] : 0.0f;
        }
    }
};

template <typename T, int N>
__device__ void group_norm_by(const T* x, const float* stats, const float* gamma, const float* beta, T* y,
                              int plane, int channels, int groups, int relu) {
    int members = channels / groups;
    long long image = (long long)blockIdx.y * plane * channels;
    const float* own = stats + (long long)blockIdx.y * groups * 2;
    Channel channel(first_item(), item_stride(), channels / N);
    Affine<N> affine(own, gamma, beta, channel.now * N, members);
    for (long long i = first_item() * N; i < (long long)plane * channels; i += item_stride() * N) {
        Values<T, N> values = Values<T, N>::load(x + image + i);
#pragma unroll
        for (int k = 0; k < N; k++) {
            float normalised = (values.at[k] - affine.mean) * affine.reciprocal;
            values.at[k] = normalised * affine.gamma[k] + affine.beta[k];
            if (relu) values.at[k] = positive(values.at[k]);
        }
        values.store(y + image + i);
        if (channel.advance()) affine = Affine<N>(own, gamma, beta, channel.now * N, members);
    }
}

// y = act((x - mean) * reciprocal * gamma + beta); y may be x. gridDim.y = images; in x over items: 16
// bytes of an image.
template <typename T>
__device__ void group_norm(const T* x, const float* stats, const float* gamma, const float* beta, T* y,
                           int plane, int channels, int groups, int relu) {
    if (wide<T>(channels / groups, x, (const T*)y)) {
        group_norm_by<T, WIDE<T>>(x, stats, gamma, beta, y, plane, channels, groups, relu);
    } else {
        group_norm_by<T, 1>(x, stats, gamma, beta, y, plane, channels, groups, relu);
    }
}

}  // namespace train
