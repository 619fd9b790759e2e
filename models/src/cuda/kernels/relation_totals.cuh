// From the sums over pixel pairs (relation.cuh) to the terms of the loss and its gradients.
#pragma once

#include "relation.cuh"

namespace train {

// What a pair of a kind counts for: its mean is over the pairs of the kind, 0 where there are none.
struct Shares {
    double affinity[3], displacement[2];

    __device__ explicit Shares(const double* totals) {
        for (int k = 0; k < 3; k++) affinity[k] = 1.0 / (totals[k] + (double)EPSILON);
        // Two coordinates a pair.
        for (int k = 0; k < 2; k++) displacement[k] = 1.0 / (2.0 * totals[k] + (double)EPSILON);
    }
};

// Sums of `blocks` of relation_pairs, to `totals` (3 counts, 3 affinities, 2 displacements), and the terms
// to `losses`: background attracts, foreground attracts, mean of both, different repel, foreground
// displacements, background displacements, all together. One block.
KERNEL relation_totals(const double* partial, int blocks, double* totals, float* losses) {
    __shared__ double shared[BLOCK];
    double sum = 0;
    for (int i = threadIdx.x; i < blocks * QUANTITIES; i += BLOCK) sum += partial[i];
    shared[threadIdx.x] = sum;
    tree(shared, BLOCK / QUANTITIES, QUANTITIES);
    if (threadIdx.x > 0) return;
    for (int k = 0; k < QUANTITIES; k++) totals[k] = shared[k];
    Shares shares(shared);
    double background = shared[3] * shares.affinity[0], foreground = shared[4] * shares.affinity[1];
    double negative = shared[5] * shares.affinity[2], positive = (background + foreground) / 2.0;
    double dp_background = shared[6] * shares.displacement[0];
    double dp_foreground = shared[7] * shares.displacement[1];
    losses[0] = (float)background;
    losses[1] = (float)foreground;
    losses[2] = (float)positive;
    losses[3] = (float)negative;
    losses[4] = (float)dp_foreground;
    losses[5] = (float)dp_background;
    losses[6] = (float)((positive + negative) / 2.0 + (dp_foreground + dp_background) / 2.0);
}

// The gradients of the logits, (images, cells), and of the displacements, (images, 2, cells), from
// relation_pairs' slopes. Over items: images * cells.
KERNEL relation_gradient(const unsigned long long* edge_slopes, const float* displacement_slopes,
                         const double* totals, const float* probability, float* d_edge,
                         float* d_displacement, int images, int cells) {
    Shares shares(totals);
    long long count = (long long)images * cells;
    for (long long i = first_item(); i < count; i += item_stride()) {
        double slope = 0;
        for (int k = 0; k < 3; k++) {
            double sum = (double)(long long)edge_slopes[k * count + i] / (double)FIXED_POINT;
            slope += sum * (shares.affinity[k] / (k < 2 ? 4.0 : 2.0));
        }
        double p = probability[i];
        d_edge[i] = (float)(slope * (p * (1.0 - p)));
        for (long long j = 2 * i; j < 2 * i + 2; j++) {
            double sum = displacement_slopes[j] * (shares.displacement[0] / 2.0);
            sum += displacement_slopes[2 * count + j] * (shares.displacement[1] / 2.0);
            d_displacement[j] = (float)sum;
        }
    }
}

}  // namespace train
