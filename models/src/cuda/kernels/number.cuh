// Values of a map: to and from f32, one at a time or 16 bytes at once.
#pragma once

#include "kernel.cuh"

namespace train {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) { return x; }
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) { return __float2bfloat16(x); }

// A NaN is not less than 0 and stays: a diverged network must not look healthy.
__device__ inline float positive(float x) { return x < 0.0f ? 0.0f : x; }

// Values of T in 16 bytes.
template <typename T>
constexpr int WIDE = 16 / (int)sizeof(T);

// N neighbouring values; with N = WIDE<T> a single access of 16 bytes, which the address must be a
// multiple of.
template <typename T, int N>
struct Values {
    float at[N];

    __device__ static Values load(const T* from) {
        Values values;
        if constexpr (N == 1) {
            values.at[0] = to_float(*from);
        } else {
            uint4 raw = *reinterpret_cast<const uint4*>(from);
            T parts[N];
            memcpy(parts, &raw, sizeof raw);
#pragma unroll
            for (int k = 0; k < N; k++) values.at[k] = to_float(parts[k]);
        }
        return values;
    }

    __device__ void store(T* to) const {
        if constexpr (N == 1) {
            *to = from_float<T>(at[0]);
        } else {
            T parts[N];
#pragma unroll
            for (int k = 0; k < N; k++) parts[k] = from_float<T>(at[k]);
            uint4 raw;
            memcpy(&raw, parts, sizeof raw);
            // Not by assignment, which the compiler may take apart again.
            __stwb(reinterpret_cast<uint4*>(to), raw);
        }
    }
};

// N f32 values of any alignment, as shifts and scales of channels are.
template <int N>
struct Plain {
    float at[N];

    __device__ static Plain load(const float* from) {
        Plain values;
#pragma unroll
        for (int k = 0; k < N; k++) values.at[k] = from[k];
        return values;
    }
};

// Whether accesses of 16 bytes may be used: the length is a multiple of theirs, and the address is.
template <typename T>
__device__ inline bool wide(long long length) { return length % WIDE<T> == 0; }
template <typename T, typename... Rest>
__device__ inline bool wide(long long length, const T* address, Rest... rest) {
    return (unsigned long long)address % 16 == 0 && wide<T>(length, rest...);
}

// The channel of a thread's item, followed from item to item without a division.
struct Channel {
    int now, step, channels;

    __device__ Channel(long long first, long long stride, int channels)
        : now((int)(first % channels)), step((int)(stride % channels)), channels(channels) {}

    // On to the next item; false where that is of the same channel, as with most sizes.
    __device__ bool advance() {
        now += step;
        if (now >= channels) now -= channels;
        return step != 0;
    }
};

}  // namespace train
