// Bilinear enlargement by a whole factor with half-pixel centres (ops/upsample.rs).
#pragma once

#include "number.cuh"

namespace train {

// The two inputs an output lies between, and how much of the second it takes.
struct Tap {
    int low, high;
    float share;

    __device__ Tap(int i, int size, int factor) {
        float centre = fmaxf((i + 0.5f) / factor - 0.5f, 0.0f);
        low = (int)centre < size - 1 ? (int)centre : size - 1;
        high = low + 1 < size - 1 ? low + 1 : size - 1;
        share = centre - low;
    }

    // How much of input `at` the output takes.
    __device__ float weight(int at) const {
        return (low == at ? 1.0f - share : 0.0f) + (high == at ? share : 0.0f);
    }
};

template <typename T, int N>
__device__ void upsample_by(const T* x, T* y, int images, int height, int width, int channels, int factor,
                            int relu) {
    int rows = height * factor, columns = width * factor, vectors = channels / N;
    for (int line = blockIdx.x; line < images * rows; line += gridDim.x) {
        Tap row(line % rows, height, factor);
        const T* plane = x + (long long)(line / rows) * height * width * channels;
        const T* low = plane + (long long)row.low * width * channels;
        const T* high = plane + (long long)row.high * width * channels;
        for (int i = threadIdx.x; i < columns * vectors; i += BLOCK) {
            Tap column(i / vectors, width, factor);
            int left = column.low * channels + i % vectors * N;
            int right = column.high * channels + i % vectors * N;
            Values<T, N> a = Values<T, N>::load(low + left), b = Values<T, N>::load(low + right);
            Values<T, N> c = Values<T, N>::load(high + left), d = Values<T, N>::load(high + right);
#pragma unroll
            for (int k = 0; k < N; k++) {
                // Along the rows first, as PyTorch does.
                float above = a.at[k] * (1.0f - column.share) + b.at[k] * column.share;
                float below = c.at[k] * (1.0f - column.share) + d.at[k] * column.share;
                a.at[k] = above * (1.0f - row.share) + below * row.share;
                if (relu) a.at[k] = positive(a.at[k]);
            }
            a.store(y + ((long long)line * columns * vectors + i) * N);
        }
    }
}

// `x` [images][height][width][channels] to `factor` times its height and width, then a ReLU if asked for.
// Over lines: those of y.
template <typename T>
__device__ void upsample(const T* x, T* y, int images, int height, int width, int channels, int factor,
                         int relu) {
    if (wide<T>(channels, x, (const T*)y)) {
        upsample_by<T, WIDE<T>>(x, y, images, height, width, channels, factor, relu);
    } else {
        upsample_by<T, 1>(x, y, images, height, width, channels, factor, relu);
    }
}

// Outputs that may take something of input `at`: those less than one input away from it.
struct Reach {
    int first, last;

    __device__ Reach(int at, int size, int factor) {
        first = at * factor - (factor + 1) / 2;
        last = at * factor + factor + factor / 2;
        if (first < 0) first = 0;
        if (last > size * factor - 1) last = size * factor - 1;
    }
};

template <typename T, int N>
__device__ void upsample_gradient_by(const T* dy, T* dx, int images, int height, int width, int channels,
                                     int factor) {
    int vectors = channels / N;
    long long pitch = (long long)width * factor * channels;
    for (int line = blockIdx.x; line < images * height; line += gridDim.x) {
        int row = line % height;
        const T* plane = dy + line / height * (height * factor * pitch);
        Reach vertical(row, height, factor);
        for (int i = threadIdx.x; i < width * vectors; i += BLOCK) {
            int column = i / vectors, c = i % vectors * N;
            Reach horizontal(column, width, factor);
            Values<T, N> sums = {};
            for (int y = vertical.first; y <= vertical.last; y++) {
                float share = Tap(y, height, factor).weight(row);
                if (share == 0.0f) continue;
                float along[N] = {};
                for (int x = horizontal.first; x <= horizontal.last; x++) {
                    float weight = Tap(x, width, factor).weight(column);
                    if (weight == 0.0f) continue;
                    Values<T, N> values = Values<T, N>::load(plane + y * pitch + x * channels + c);
#pragma unroll
                    for (int k = 0; k < N; k++) along[k] += values.at[k] * weight;
                }
#pragma unroll
                for (int k = 0; k < N; k++) sums.at[k] += along[k] * share;
            }
            sums.store(dx + ((long long)line * width * vectors + i) * N);
        }
    }
}

// The transpose of `upsample` without its ReLU: every input gathers from the outputs that take of it.
// `height` and `width` are those of dx. Over lines: those of dx.
template <typename T>
__device__ void upsample_gradient(const T* dy, T* dx, int images, int height, int width, int channels,
                                  int factor) {
    if (wide<T>(channels, dy, (const T*)dx)) {
        upsample_gradient_by<T, WIDE<T>>(dy, dx, images, height, width, channels, factor);
    } else {
        upsample_gradient_by<T, 1>(dy, dx, images, height, width, channels, factor);
    }
}

}  // namespace train
