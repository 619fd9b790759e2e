// A matrix product in tiles whose sums stay in vector registers.
#include "convolution.h"

#include <algorithm>
#include <vector>

namespace {

constexpr int ROWS = 6, COLUMNS = 32, DEPTH = 512;

// c += a * b for packed a (depth x ROWS) and b (depth x COLUMNS).
void tile(int depth, const float* a, const float* b, float (*c)[COLUMNS]) {
    float sums[ROWS][COLUMNS] = {};
    for (int k = 0; k < depth; k++) {
        for (int i = 0; i < ROWS; i++) {
#pragma GCC ivdep
            for (int j = 0; j < COLUMNS; j++) sums[i][j] += a[k * ROWS + i] * b[k * COLUMNS + j];
        }
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) c[i][j] = sums[i][j];
    }
}

}  // namespace

void product(int rows, int columns, int depth, Matrix a, Matrix b, float* c) {
    int row_tiles = (rows + ROWS - 1) / ROWS;
    std::vector<float> packed_a((size_t)row_tiles * ROWS * DEPTH), packed_b((size_t)DEPTH * COLUMNS);
    for (int start = 0; start < depth; start += DEPTH) {
        int length = std::min(DEPTH, depth - start);
        for (int row = 0; row < row_tiles * ROWS; row++) {
            float* to = &packed_a[(size_t)(row / ROWS) * ROWS * DEPTH + row % ROWS];
            const float* from = a.data + (size_t)row * a.row_stride + start * a.column_stride;
            for (int k = 0; k < length; k++)
                to[k * ROWS] = row < rows ? from[k * a.column_stride] : 0.0f;
        }
        for (int first = 0; first < columns; first += COLUMNS) {
            int width = std::min(COLUMNS, columns - first);
            for (int k = 0; k < length; k++) {
                const float* from = b.data + (start + k) * b.row_stride + first * b.column_stride;
                for (int j = 0; j < COLUMNS; j++) {
                    packed_b[k * COLUMNS + j] = j < width ? from[j * b.column_stride] : 0.0f;
                }
            }
            for (int i = 0; i < row_tiles; i++) {
                float sums[ROWS][COLUMNS];
                tile(length, &packed_a[(size_t)i * ROWS * DEPTH], packed_b.data(), sums);
                for (int r = 0; r < std::min(ROWS, rows - i * ROWS); r++) {
                    float* to = c + (size_t)(i * ROWS + r) * columns + first;
                    for (int j = 0; j < width; j++) to[j] += sums[r][j];
                }
            }
        }
    }
}
