// The classifier's loss (ops/soft_margin.rs): an image's logits are the means of its cells' scores, the
// loss is a logistic loss per class, mean over classes and images.
#pragma once

#include "reduce.cuh"

namespace train {

// `scores` (images, cells, classes) to `logits` (images, classes). A block per image.
template <typename T>
__device__ void pool_scores(const T* scores, float* logits, int cells, int classes) {
    Lanes at(classes);
    const T* image = scores + (long long)blockIdx.x * cells * classes;
    for (int base = 0; base < classes; base += at.columns) {
        int class_ = base + at.column;
        float sum = 0;
        int first = at.idle() || class_ >= classes ? cells : at.lane;
        for (int cell = first; cell < cells; cell += at.lanes) {
            sum += to_float(image[(long long)cell * classes + class_]);
        }
        const float* totals = lane_sums<1>(&sum, at);
        if (at.lane == 0 && class_ < classes) {
            logits[(long long)blockIdx.x * classes + class_] = totals[at.column] / cells;
        }
    }
}

// The gradient of the scores: every cell has its share. Over items: images * cells * classes.
template <typename T>
__device__ void pool_gradient(const float* d_logits, T* d_scores, int images, int cells, int classes) {
    long long count = (long long)images * cells * classes;
    for (long long i = first_item(); i < count; i += item_stride()) {
        long long image = i / ((long long)cells * classes);
        d_scores[i] = from_float<T>(d_logits[image * classes + i % classes] / cells);
    }
}

// ln(1 + exp(x)) without overflow.
__device__ inline double softplus(double x) { return fmax(x, 0.0) + log1p(exp(-fabs(x))); }

__device__ inline double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

// The mean loss of `count` logits and targets, a scalar, and its gradient. One block.
KERNEL soft_margin(const float* logits, const float* targets, float* loss, float* d_logits, int count) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) {
        double x = logits[i], y = targets[i];
        sum += y * softplus(-x) + (1.0 - y) * softplus(x);
        d_logits[i] = (float)((sigmoid(x) * (1.0 - y) - sigmoid(-x) * y) / count);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) *loss = (float)(sum / count);
}

}  // namespace train
