// A convolution of the fake cuDNN: shapes with strides, and the three products.
#pragma once

#include <cstddef>

// cudnnDataType_t, as far as the fake has them.
enum Type { F32 = 0, BF16 = 9 };

// Images, channels, rows, columns; strides in values.
struct Tensor {
    int type = -1;
    int size[4] = {}, stride[4] = {};

    // A dense tensor, channels innermost or not.
    void set(int type, const int* size, bool channels_last);
};

struct Filter {
    int format = -1;
    Tensor values;  // c_out, c_in / groups, rows, columns
};

struct Convolution {
    int padding[2] = {}, step[2] = {1, 1}, dilation[2] = {1, 1}, groups = 1;
    bool flipped = false;

    // Rows (axis 0) or columns (axis 1) of the output.
    int output(const Tensor& x, const Filter& w, int axis) const;
    // Whether y is what x becomes.
    bool fits(const Tensor& x, const Filter& w, const Tensor& y) const;
};

// result = alpha * product + beta * result, where beta is 0 without reading it.
struct Scale {
    float alpha, beta;
};

void forward(const Convolution&, const Tensor& x, const void* x_data, const Filter& w,
             const void* w_data, const Tensor& y, void* y_data, Scale);
void backward_data(const Convolution&, const Filter& w, const void* w_data, const Tensor& dy,
                   const void* dy_data, const Tensor& dx, void* dx_data, Scale);
void backward_filter(const Convolution&, const Tensor& x, const void* x_data, const Tensor& dy,
                     const void* dy_data, const Filter& dw, void* dw_data, Scale);

// A matrix whose value at (row, column) is data[row * row_stride + column * column_stride].
struct Matrix {
    const float* data;
    size_t row_stride, column_stride;
};

// c (rows x columns, dense) += a * b, over `depth`.
void product(int rows, int columns, int depth, Matrix a, Matrix b, float* c);
