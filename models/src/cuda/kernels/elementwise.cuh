// Operations on whole maps that no channel matters to, and copies between parts of maps.
#pragma once

#include "number.cuh"

namespace train {

template <typename T, int N>
__device__ void relu_by(const T* x, T* y, long long count) {
    for (long long i = first_item(); i < count / N; i += item_stride()) {
        Values<T, N> values = Values<T, N>::load(x + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) values.at[k] = positive(values.at[k]);
        values.store(y + i * N);
    }
}

// y = max(x, 0); y may be x. Over items: 16 bytes of x.
template <typename T>
__device__ void relu(const T* x, T* y, long long count) {
    if (wide<T>(count, x, (const T*)y)) {
        relu_by<T, WIDE<T>>(x, y, count);
    } else {
        relu_by<T, 1>(x, y, count);
    }
}

template <typename T, int N>
__device__ void add_by(T* sum, const T* other, long long count) {
    for (long long i = first_item(); i < count / N; i += item_stride()) {
        Values<T, N> values = Values<T, N>::load(sum + i * N);
        Values<T, N> others = Values<T, N>::load(other + i * N);
#pragma unroll
        for (int k = 0; k < N; k++) values.at[k] += others.at[k];
        values.store(sum + i * N);
    }
}

// sum += other. Over items: 16 bytes of sum.
template <typename T>
__device__ void add(T* sum, const T* other, long long count) {
    if (wide<T>(count, (const T*)sum, other)) {
        add_by<T, WIDE<T>>(sum, other, count);
    } else {
        add_by<T, 1>(sum, other, count);
    }
}

template <typename T, int N>
__device__ void copy_by(const T* from, T* to, int images, int height, int width, int channels,
                        long long from_image, long long from_row, long long from_column,
                        long long to_image, long long to_row, long long to_column) {
    int vectors = channels / N;
    for (int line = blockIdx.x; line < images * height; line += gridDim.x) {
        int image = line / height, row = line % height;
        const T* source = from + image * from_image + row * from_row;
        T* destination = to + image * to_image + row * to_row;
        for (int i = threadIdx.x; i < width * vectors; i += BLOCK) {
            int column = i / vectors, c = i % vectors * N;
            Values<T, N> values = Values<T, N>::load(source + column * from_column + c);
            values.store(destination + column * to_column + c);
        }
    }
}

// Values [images][height][width][channels] from one layout to another, given by strides in values
// (channels are neighbours): concatenation, cropping and the gradients of both. Over lines: images *
// height.
template <typename T>
__device__ void copy(const T* from, T* to, int images, int height, int width, int channels,
                     long long from_image, long long from_row, long long from_column,
                     long long to_image, long long to_row, long long to_column) {
    long long odd = (from_image | from_row | from_column | to_image | to_row | to_column) % WIDE<T>;
    if (odd == 0 && wide<T>(channels, from, (const T*)to)) {
        copy_by<T, WIDE<T>>(from, to, images, height, width, channels, from_image, from_row,
                            from_column, to_image, to_row, to_column);
    } else {
        copy_by<T, 1>(from, to, images, height, width, channels, from_image, from_row, from_column,
                      to_image, to_row, to_column);
    }
}

}  // namespace train
