// IRNet's loss over pixel pairs (ops/relation_loss): one pass over all pairs, of which none is stored.
//
// A thread is a cell of the map. As a source it goes through its pairs: the affinity's slope goes to the
// one cell of the path that is its maximum, by an integer atomic, whose sum no order changes. What is
// lost on displacements is whole numbers that each cell gathers itself, as a source and as a destination.
//
// An affinity's slope is +-1 / share as f32, with a share of 1e-5 to 1.00001. Such a number is a whole
// multiple of 2^-24 (half an f32's last place in [0.5, 1)), so that as a multiple of 2^-32 it is exact;
// and 2^31 / 1e5 = 21474 of the largest fit a 64-bit sum. A cell lies on 2134 paths of radius 10 (and at
// radius 21 on 19650), if all of them have it for their maximum, so that no sum overflows.
#pragma once

#include "reduce.cuh"

namespace train {

constexpr float EPSILON = 1e-5f;
constexpr float FIXED_POINT = 4294967296.0f;
// The sums of relation_loss/sums.rs: 3 counts, 3 affinities, 2 displacements.
constexpr int QUANTITIES = 8;
constexpr int UNKNOWN = 3;

// Background, foreground, different, or unknown.
__device__ inline int pair_kind(int a, int b, int classes) {
    if ((a > b ? a : b) > classes) return UNKNOWN;
    return a != b ? 2 : a != 0;
}

// Sources are all cells whose every destination lies inside the map as upstream takes them
// (pairs.rs::Sources).
struct Sources {
    int rim, rows, columns;

    __device__ Sources(int radius, int height, int width)
        : rim(radius > 0 ? radius - 1 : 0), rows(height - rim), columns(width - 2 * rim) {}

    __device__ bool has(int y, int x) const {
        return y >= 0 && y < rows && x >= rim && x < rim + columns;
    }
};

// The gradient of |x|: 0 at 0, and not a number where x is none.
__device__ inline float sign(float x) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x * 0.0f; }

// A thread's sums of a kind's affinity losses: logarithms of products, as long as these are numbers.
struct Logarithms {
    double product = 1, sum = 0;

    __device__ void add(float share) {
        product *= share;
        if (product < 1e-200) flush();
    }
    __device__ void flush() {
        sum -= log(product);
        product = 1;
    }
};

// What a thread knows of its map.
struct Cells {
    const float* probability;
    const float* displacement;
    const unsigned char* label;
    int plane, classes;
};

// The sums of a cell's pairs.
struct Terms {
    int count[3] = {};
    Logarithms losses[3];
    double displacement[2] = {};
    // [kind][axis]
    float slopes[2][2] = {};

    // One pair's displacements; the cell is the source (side 1) or the destination (side -1).
    __device__ void displace(const Cells& map, int kind, int source, int destination, int dy, int dx,
                             float side) {
        for (int axis = 0; axis < 2; axis++) {
            const float* plane = map.displacement + (long long)axis * map.plane;
            float target = kind == 0 ? 0.0f : (float)(axis == 0 ? dy : dx);
            float error = plane[source] - plane[destination] - target, slope = side * sign(error);
            // Not by the kind as an index: the array would leave the registers.
            slopes[0][axis] += kind == 0 ? slope : 0.0f;
            slopes[1][axis] += kind == 1 ? slope : 0.0f;
            if (side < 0) continue;
            displacement[0] += kind == 0 ? fabsf(error) : 0.0f;
            displacement[1] += kind == 1 ? fabsf(error) : 0.0f;
        }
    }

    // One pair's affinity: its slope, and where on the path it goes.
    __device__ float attract(const Cells& map, int kind, int source, const int* cells, int length,
                             int* at) {
        float largest = -INFINITY;
        *at = source;
        for (int k = 0; k < length; k++) {
            float edge = map.probability[source + cells[k]];
            // Strictly: of equal edges the first in path order counts.
            if (edge > largest) {
                largest = edge;
                *at = source + cells[k];
            }
        }
        float affinity = 1.0f - largest;
        float share = kind == 2 ? 1.0f + EPSILON - affinity : affinity + EPSILON;
#pragma unroll
        for (int k = 0; k < 3; k++) {
            if (kind != k) continue;
            count[k]++;
            losses[k].add(share);
        }
        return (kind == 2 ? -1.0f : 1.0f) / share;
    }
};

// Edge logits to probabilities. Over items.
KERNEL relation_probabilities(const float* logits, float* probability, long long count) {
    for (long long i = first_item(); i < count; i += item_stride()) {
        probability[i] = 1.0f / (1.0f + expf(-logits[i]));
    }
}

// All pairs of all images. `probability` and `label` (images, height, width), `displacement` (images, 2,
// height, width). Each of `count` `directions` is {dy, dx, first of its cells, number of them}; `cells`
// are y * width + x relative to the source, destination first.
//
// `edge_slopes` (3 kinds, images, height, width) must be zeros, multiples of 2^-32 are added to it;
// `displacement_slopes` (2 kinds, images, 2, height, width) are written, and QUANTITIES sums a block to
// `partial` (images, gridDim.x, 8). gridDim.x = ceil(height * width / BLOCK), gridDim.y = images.
KERNEL relation_pairs(const float* probability, const float* displacement, const unsigned char* label,
                      const int* directions, const int* cells, int count,
                      unsigned long long* edge_slopes, float* displacement_slopes, double* partial,
                      int height, int width, int radius, int classes) {
    int plane = height * width, here = blockIdx.x * BLOCK + threadIdx.x, images = gridDim.y;
    long long image = (long long)blockIdx.y * plane;
    Cells map = {probability + image, displacement + 2 * image, label + image, plane, classes};
    Sources sources(radius, height, width);
    int y = here / width, x = here % width;
    bool inside = here < plane, source = inside && sources.has(y, x);
    Terms terms;
    for (int d = 0; inside && d < count; d++) {
        int dy = directions[4 * d], dx = directions[4 * d + 1], offset = dy * width + dx;
        if (sources.has(y - dy, x - dx)) {
            int kind = pair_kind(map.label[here - offset], map.label[here], classes);
            if (kind < 2) terms.displace(map, kind, here - offset, here, dy, dx, -1.0f);
        }
        int kind = source ? pair_kind(map.label[here], map.label[here + offset], classes) : UNKNOWN;
        if (kind == UNKNOWN) continue;
        if (kind < 2) terms.displace(map, kind, here, here + offset, dy, dx, 1.0f);
        int at;
        const int* path = cells + directions[4 * d + 2];
        float slope = terms.attract(map, kind, here, path, directions[4 * d + 3], &at);
        long long fixed = (long long)(slope * FIXED_POINT);
        atomicAdd(edge_slopes + (long long)kind * images * plane + image + at, (unsigned long long)fixed);
    }
    for (int k = 0; inside && k < 4; k++) {
        // (kind, image, axis, cell)
        long long at = ((long long)(k / 2) * images + blockIdx.y) * 2 + k % 2;
        displacement_slopes[at * plane + here] = terms.slopes[k / 2][k % 2];
    }
    double* to = partial + ((long long)blockIdx.y * gridDim.x + blockIdx.x) * QUANTITIES;
#pragma unroll
    for (int k = 0; k < QUANTITIES; k++) {
        if (k >= 3 && k < 6) terms.losses[k - 3].flush();
        double value = k < 3 ? terms.count[k] : k < 6 ? terms.losses[k - 3].sum : terms.displacement[k - 6];
        value = block_sum(value);
        if (threadIdx.x == 0) to[k] = value;
    }
}

}  // namespace train
