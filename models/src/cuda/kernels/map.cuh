// Between planes of f32 (NCHW), as photos and the tests have them, and maps (NHWC).
#pragma once

#include "number.cuh"

namespace train {

// Over items: the images * plane pixels. Channels beyond those of `nchw` become 0.
template <typename T>
__device__ void to_map(const float* nchw, T* nhwc, int images, int channels, int plane, int padded) {
    long long pixels = (long long)images * plane;
    for (long long i = first_item(); i < pixels; i += item_stride()) {
        const float* from = nchw + i / plane * channels * plane + i % plane;
        for (int c = 0; c < padded; c++) {
            nhwc[i * padded + c] = from_float<T>(c < channels ? from[(long long)c * plane] : 0.0f);
        }
    }
}

// Over items: the images * plane pixels.
template <typename T>
__device__ void from_map(const T* nhwc, float* nchw, int images, int channels, int plane) {
    long long pixels = (long long)images * plane;
    for (long long i = first_item(); i < pixels; i += item_stride()) {
        float* to = nchw + i / plane * channels * plane + i % plane;
        for (int c = 0; c < channels; c++) to[(long long)c * plane] = to_float(nhwc[i * channels + c]);
    }
}

}  // namespace train
