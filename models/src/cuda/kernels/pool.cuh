// The stem's 3x3 maximum with stride 2 and padding 1 (ops/max_pool.rs). Nothing is kept of the forward
// pass: the gradient finds the maxima again.
#pragma once

#include "number.cuh"

namespace train {

// The rows or columns of the window around output `i`, inside the map.
struct Window {
    int first, last;

    __device__ Window(int i, int size)
        : first(i > 0 ? 2 * i - 1 : 0), last(2 * i + 1 < size ? 2 * i + 1 : size - 1) {}
};

template <typename T, int N>
__device__ void max_pool_by(const T* x, T* y, int images, int height, int width, int channels) {
    int rows = (height + 1) / 2, columns = (width + 1) / 2, vectors = channels / N;
    for (int line = blockIdx.x; line < images * rows; line += gridDim.x) {
        const T* plane = x + (long long)(line / rows) * height * width * channels;
        Window vertical(line % rows, height);
        for (int i = threadIdx.x; i < columns * vectors; i += BLOCK) {
            int c = i % vectors * N;
            Window horizontal(i / vectors, width);
            Values<T, N> largest;
#pragma unroll
            for (int k = 0; k < N; k++) largest.at[k] = -INFINITY;
            for (int row = vertical.first; row <= vertical.last; row++) {
                for (int column = horizontal.first; column <= horizontal.last; column++) {
                    long long at = ((long long)row * width + column) * channels + c;
                    Values<T, N> values = Values<T, N>::load(plane + at);
#pragma unroll
                    for (int k = 0; k < N; k++) largest.at[k] = fmaxf(largest.at[k], values.at[k]);
                }
            }
            largest.store(y + ((long long)line * columns * vectors + i) * N);
        }
    }
}

// `x` [images][height][width][channels] to [images][ceil(height/2)][ceil(width/2)][channels]. Over lines:
// those of y.
template <typename T>
__device__ void max_pool(const T* x, T* y, int images, int height, int width, int channels) {
    if (wide<T>(channels, x, (const T*)y)) {
        max_pool_by<T, WIDE<T>>(x, y, images, height, width, channels);
    } else {
        max_pool_by<T, 1>(x, y, images, height, width, channels);
    }
}

// Adds to `sums` the gradients of those outputs whose first maximum is (row, column).
template <typename T, int N>
__device__ void add_if_first(const T* plane, Values<T, N> gradient, Window vertical,
                             Window horizontal, int row, int column, int width, int channels, int c,
                             float* sums) {
    Values<T, N> largest = {};
    bool here[N] = {};
    for (int y = vertical.first; y <= vertical.last; y++) {
        for (int x = horizontal.first; x <= horizontal.last; x++) {
            bool first = y == vertical.first && x == horizontal.first;
            long long at = ((long long)y * width + x) * channels + c;
            Values<T, N> values = Values<T, N>::load(plane + at);
#pragma unroll
            for (int k = 0; k < N; k++) {
                // Strictly: of equal values the first in raster order counts.
                if (first || values.at[k] > largest.at[k]) {
                    largest.at[k] = values.at[k];
                    here[k] = y == row && x == column;
                }
            }
        }
    }
#pragma unroll
    for (int k = 0; k < N; k++) sums[k] += here[k] ? gradient.at[k] : 0.0f;
}

template <typename T, int N>
__device__ void max_pool_gradient_by(const T* x, const T* dy, T* dx, int images, int height, int width,
                                     int channels) {
    int rows = (height + 1) / 2, columns = (width + 1) / 2, vectors = channels / N;
    for (int line = blockIdx.x; line < images * height; line += gridDim.x) {
        int image = line / height, row = line % height;
        const T* plane = x + (long long)image * height * width * channels;
        for (int i = threadIdx.x; i < width * vectors; i += BLOCK) {
            int column = i / vectors, c = i % vectors * N;
            Values<T, N> sums = {};
            for (int r = row / 2; r <= (row + 1) / 2 && r < rows; r++) {
                for (int q = column / 2; q <= (column + 1) / 2 && q < columns; q++) {
                    long long at = (((long long)image * rows + r) * columns + q) * channels + c;
                    Values<T, N> gradient = Values<T, N>::load(dy + at);
                    add_if_first<T, N>(plane, gradient, Window(r, height), Window(q, width), row,
                                       column, width, channels, c, sums.at);
                }
            }
            sums.store(dx + ((long long)line * width * vectors + i) * N);
        }
    }
}

// Each output's gradient goes to the first maximum of its window; here every input gathers from the at
// most four windows that it is in. Over lines: those of x.
template <typename T>
__device__ void max_pool_gradient(const T* x, const T* dy, T* dx, int images, int height, int width,
                                  int channels) {
    if (wide<T>(channels, x, dy, (const T*)dx)) {
        max_pool_gradient_by<T, WIDE<T>>(x, dy, dx, images, height, width, channels);
    } else {
        max_pool_gradient_by<T, 1>(x, dy, dx, images, height, width, channels);
    }
}

}  // namespace train
