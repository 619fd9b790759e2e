// Sums over a block: a tree in shared memory, whose order depends on the sizes alone.
#pragma once

#include "number.cuh"

namespace train {

// Sums `count` arrays of `length` items, item `i` of array `a` at shared[i * count + a], into the first
// item of each. All threads call it; it begins and ends with a barrier.
template <typename Sum>
__device__ inline void tree(Sum* shared, int length, int count) {
    for (int now = length; now > 1;) {
        int half = (now + 1) / 2;
        __syncthreads();
        for (int i = threadIdx.x; i < (now - half) * count; i += BLOCK) shared[i] += shared[i + half * count];
        now = half;
    }
    __syncthreads();
}

// The sum of every thread's value, known to all.
__device__ inline double block_sum(double value) {
    __shared__ double shared[BLOCK];
    __syncthreads();
    shared[threadIdx.x] = value;
    tree(shared, BLOCK, 1);
    return shared[0];
}

// How a block walks over rows of channels: threads beside each other take neighbouring channels (N at a
// time), what is left of the block takes further rows.
struct Lanes {
    int columns, lanes, column, lane;

    // `vectors`: rows of channels / N items, of which a block takes up to BLOCK at a time.
    __device__ explicit Lanes(int vectors) {
        columns = vectors < BLOCK ? vectors : BLOCK;
        lanes = BLOCK / columns;
        column = threadIdx.x % columns;
        lane = threadIdx.x / columns;
    }

    __device__ bool idle() const { return lane >= lanes; }

    // How many vectors from `base` on there are for this block's columns.
    __device__ int taken(int base, int vectors) const {
        return vectors - base < columns ? vectors - base : columns;
    }
};

// Per vector of this block's columns N sums over its lanes, valid until the next call.
template <int N>
__device__ inline const float* lane_sums(const float* sums, const Lanes& at) {
    __shared__ float shared[BLOCK * N];
    __syncthreads();
    if (!at.idle()) {
#pragma unroll
        for (int k = 0; k < N; k++) shared[(at.lane * at.columns + at.column) * N + k] = sums[k];
    }
    tree(shared, at.lanes, at.columns * N);
    return shared;
}

}  // namespace train
