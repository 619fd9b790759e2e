// Convolutions of any layout: each image and group becomes a dense f32 matrix of patches, a row per
// output cell, which is multiplied.
#include "convolution.h"

#include "cuda_on_cpu.h"

#include <vector>

using Values = std::vector<float>;

void Tensor::set(int of_type, const int* of_size, bool channels_last) {
    type = of_type;
    for (int k = 0; k < 4; k++) size[k] = of_size[k];
    const int order[2][4] = {{3, 2, 1, 0}, {1, 3, 2, 0}};
    int next = 1;
    for (int axis : order[channels_last]) {
        stride[axis] = next;
        next *= size[axis];
    }
}

int Convolution::output(const Tensor& x, const Filter& w, int axis) const {
    int reach = dilation[axis] * (w.values.size[axis + 2] - 1) + 1;
    return (x.size[axis + 2] + 2 * padding[axis] - reach) / step[axis] + 1;
}

bool Convolution::fits(const Tensor& x, const Filter& w, const Tensor& y) const {
    bool channels = x.size[1] == w.values.size[1] * groups && y.size[1] == w.values.size[0];
    bool cells = y.size[2] == output(x, w, 0) && y.size[3] == output(x, w, 1);
    bool types = x.type == w.values.type && x.type == y.type && (x.type == F32 || x.type == BF16);
    return channels && cells && types && x.size[0] == y.size[0] && w.values.size[0] % groups == 0;
}

namespace {

float get(const Tensor& of, const void* data, size_t at) {
    return of.type == F32 ? static_cast<const float*>(data)[at]
                          : __bfloat162float(static_cast<const __nv_bfloat16*>(data)[at]);
}

void put(const Tensor& of, void* data, size_t at, float value, Scale scale) {
    value = scale.alpha * value + (scale.beta == 0 ? 0 : scale.beta * get(of, data, at));
    if (of.type == F32) {
        static_cast<float*>(data)[at] = value;
    } else {
        static_cast<__nv_bfloat16*>(data)[at] = __float2bfloat16(value);
    }
}

size_t index(const Tensor& of, int n, int c, int y, int x) {
    return (size_t)n * of.stride[0] + (size_t)c * of.stride[1] + (size_t)y * of.stride[2] +
           (size_t)x * of.stride[3];
}

// Channels [first, first + count) of item n as (cell, channel) or back.
Values cells(const Tensor& of, const void* data, int n, int first, int count) {
    Values values;
    values.reserve((size_t)of.size[2] * of.size[3] * count);
    for (int y = 0; y < of.size[2]; y++) {
        for (int x = 0; x < of.size[3]; x++) {
            for (int c = 0; c < count; c++)
                values.push_back(get(of, data, index(of, n, first + c, y, x)));
        }
    }
    return values;
}

void put_cells(const Tensor& of, void* data, int n, int first, int count, const Values& values,
               Scale scale) {
    const float* next = values.data();
    for (int y = 0; y < of.size[2]; y++) {
        for (int x = 0; x < of.size[3]; x++) {
            for (int c = 0; c < count; c++) put(of, data, index(of, n, first + c, y, x), *next++, scale);
        }
    }
}

// A convolution's parts that the three products share.
struct Shape {
    const Convolution& by;
    const Tensor &x, &y;
    const Tensor& w;
    int c_in = w.size[1], c_out = w.size[0] / by.groups, taps = w.size[2] * w.size[3];
    int depth = c_in * taps, out = y.size[2] * y.size[3];

    // Calls `visit(patch, cell)` for every tap of every output that lies inside the map: the index of
    // its first channel in the patches (out, taps, c_in), and in the cells (rows * columns, c_in) of x.
    template <typename Visit>
    void patches(Visit visit) const {
        size_t patch = 0;
        for (int cell = 0; cell < out; cell++) {
            for (int tap = 0; tap < taps; tap++, patch += c_in) {
                int row =
                    cell / y.size[3] * by.step[0] - by.padding[0] + tap / w.size[3] * by.dilation[0];
                int column =
                    cell % y.size[3] * by.step[1] - by.padding[1] + tap % w.size[3] * by.dilation[1];
                if (row < 0 || row >= x.size[2] || column < 0 || column >= x.size[3]) continue;
                visit(patch, ((size_t)row * x.size[3] + column) * c_in);
            }
        }
    }

    Values gather(const Values& map) const {
        Values patches_((size_t)out * depth);
        patches([&](size_t patch, size_t cell) {
            memcpy(&patches_[patch], &map[cell], c_in * sizeof(float));
        });
        return patches_;
    }

    Values scatter(const Values& patches_) const {
        Values map((size_t)x.size[2] * x.size[3] * c_in);
        patches([&](size_t patch, size_t cell) {
            for (int c = 0; c < c_in; c++) map[cell + c] += patches_[patch + c];
        });
        return map;
    }

    // A group's weights as (c_out, taps, c_in). A true convolution has its taps in reverse.
    Values weights(const void* data, int group) const {
        Values values;
        for (int o = 0; o < c_out; o++) {
            for (int tap = 0; tap < taps; tap++) {
                for (int c = 0; c < c_in; c++)
                    values.push_back(get(w, data, weight_index(group, o, tap, c)));
            }
        }
        return values;
    }

    size_t weight_index(int group, int o, int tap, int c) const {
        int at = by.flipped ? taps - 1 - tap : tap;
        return index(w, group * c_out + o, c, at / w.size[3], at % w.size[3]);
    }
};

}  // namespace

void forward(const Convolution& by, const Tensor& x, const void* x_data, const Filter& w,
             const void* w_data, const Tensor& y, void* y_data, Scale scale) {
    Shape shape{by, x, y, w.values};
    size_t depth = shape.depth;
    for (int group = 0; group < by.groups; group++) {
        Values weights = shape.weights(w_data, group);
        for (int n = 0; n < x.size[0]; n++) {
            Values patches = shape.gather(cells(x, x_data, n, group * shape.c_in, shape.c_in));
            Values result((size_t)shape.out * shape.c_out);
            product(shape.out, shape.c_out, shape.depth, {patches.data(), depth, 1},
                    {weights.data(), 1, depth}, result.data());
            put_cells(y, y_data, n, group * shape.c_out, shape.c_out, result, scale);
        }
    }
}

void backward_data(const Convolution& by, const Filter& w, const void* w_data, const Tensor& dy,
                   const void* dy_data, const Tensor& dx, void* dx_data, Scale scale) {
    Shape shape{by, dx, dy, w.values};
    size_t depth = shape.depth, c_out = shape.c_out;
    for (int group = 0; group < by.groups; group++) {
        Values weights = shape.weights(w_data, group);
        for (int n = 0; n < dx.size[0]; n++) {
            Values gradient = cells(dy, dy_data, n, group * shape.c_out, shape.c_out);
            Values patches((size_t)shape.out * shape.depth);
            product(shape.out, shape.depth, shape.c_out, {gradient.data(), c_out, 1},
                    {weights.data(), depth, 1}, patches.data());
            put_cells(dx, dx_data, n, group * shape.c_in, shape.c_in, shape.scatter(patches), scale);
        }
    }
}

void backward_filter(const Convolution& by, const Tensor& x, const void* x_data, const Tensor& dy,
                     const void* dy_data, const Filter& dw, void* dw_data, Scale scale) {
    Shape shape{by, x, dy, dw.values};
    size_t depth = shape.depth, c_out = shape.c_out;
    for (int group = 0; group < by.groups; group++) {
        Values weights((size_t)shape.c_out * shape.depth);
        for (int n = 0; n < x.size[0]; n++) {
            Values patches = shape.gather(cells(x, x_data, n, group * shape.c_in, shape.c_in));
            Values gradient = cells(dy, dy_data, n, group * shape.c_out, shape.c_out);
            product(shape.c_out, shape.depth, shape.out, {gradient.data(), 1, c_out},
                    {patches.data(), depth, 1}, weights.data());
        }
        for (size_t i = 0; i < weights.size(); i++) {
            int o = i / depth, tap = i % depth / shape.c_in, c = i % shape.c_in;
            put(dw.values, dw_data, shape.weight_index(group, o, tap, c), weights[i], scale);
        }
    }
}
