// All kernels of a training step: what takes a map exists for f32 and bf16, by the suffix.
#include "elementwise.cuh"
#include "finish.cuh"
#include "fold.cuh"
#include "group_norm.cuh"
#include "group_norm_gradient.cuh"
#include "loss.cuh"
#include "map.cuh"
#include "pool.cuh"
#include "relation.cuh"
#include "relation_totals.cuh"
#include "resample.cuh"
#include "sgd.cuh"

EXPORT(to_map, (const float* nchw, T* nhwc, int images, int channels, int plane, int padded),
       (nchw, nhwc, images, channels, plane, padded))
EXPORT(from_map, (const T* nhwc, float* nchw, int images, int channels, int plane),
       (nhwc, nchw, images, channels, plane))
EXPORT(fold,
       (const float* weight, const float* gamma, const float* beta, const float* mean,
        const float* variance, float eps, T* folded, float* shift, int c_out, int c_in, int taps,
        int padded),
       (weight, gamma, beta, mean, variance, eps, folded, shift, c_out, c_in, taps, padded))
EXPORT(fold_gradient,
       (const T* d_folded, const float* partial, int tiles, const float* weight, const float* gamma,
        const float* mean, const float* variance, float eps, float* d_weight, float* d_gamma,
        float* d_beta, int c_out, int c_in, int taps, int padded),
       (d_folded, partial, tiles, weight, gamma, mean, variance, eps, d_weight, d_gamma, d_beta, c_out,
        c_in, taps, padded))
EXPORT(finish, (T* y, const float* shift, const T* residual, int relu, long long count, int channels),
       (y, shift, residual, relu, count, channels))
EXPORT(finish_gradient,
       (const T* y, const T* dy, T* dz, float* partial, long long rows, int channels,
        int rows_per_tile),
       (y, dy, dz, partial, rows, channels, rows_per_tile))
EXPORT(relu, (const T* x, T* y, long long count), (x, y, count))
EXPORT(add, (T* sum, const T* other, long long count), (sum, other, count))
EXPORT(copy,
       (const T* from, T* to, int images, int height, int width, int channels, long long from_image,
        long long from_row, long long from_column, long long to_image, long long to_row,
        long long to_column),
       (from, to, images, height, width, channels, from_image, from_row, from_column, to_image, to_row,
        to_column))
EXPORT(max_pool, (const T* x, T* y, int images, int height, int width, int channels),
       (x, y, images, height, width, channels))
EXPORT(max_pool_gradient,
       (const T* x, const T* dy, T* dx, int images, int height, int width, int channels),
       (x, dy, dx, images, height, width, channels))
EXPORT(group_partials, (const T* x, float* partial, int plane, int channels, int rows_per_tile),
       (x, partial, plane, channels, rows_per_tile))
EXPORT(group_norm,
       (const T* x, const float* stats, const float* gamma, const float* beta, T* y, int plane,
        int channels, int groups, int relu),
       (x, stats, gamma, beta, y, plane, channels, groups, relu))
EXPORT(group_norm_sums,
       (const T* x, const T* dy, const float* stats, float* partial, int plane, int channels, int groups,
        int rows_per_tile),
       (x, dy, stats, partial, plane, channels, groups, rows_per_tile))
EXPORT(group_norm_gradient,
       (const T* x, const T* dy, const float* stats, const float* levels, const float* gamma, T* dx,
        int plane, int channels, int groups),
       (x, dy, stats, levels, gamma, dx, plane, channels, groups))
EXPORT(upsample,
       (const T* x, T* y, int images, int height, int width, int channels, int factor, int relu),
       (x, y, images, height, width, channels, factor, relu))
EXPORT(upsample_gradient,
       (const T* dy, T* dx, int images, int height, int width, int channels, int factor),
       (dy, dx, images, height, width, channels, factor))
EXPORT(pool_scores, (const T* scores, float* logits, int cells, int classes),
       (scores, logits, cells, classes))
EXPORT(pool_gradient, (const float* d_logits, T* d_scores, int images, int cells, int classes),
       (d_logits, d_scores, images, cells, classes))

REGISTER(train::group_statistics)
REGISTER(train::group_norm_totals)
REGISTER(train::group_norm_parameters)
REGISTER(train::soft_margin)
REGISTER(train::relation_probabilities)
REGISTER(train::relation_pairs)
REGISTER(train::relation_totals)
REGISTER(train::relation_gradient)
REGISTER(train::sgd)
