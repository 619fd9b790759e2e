// A step of SGD with momentum (ops/sgd.rs) over all parameters at once.
#pragma once

#include "number.cuh"

namespace train {

struct Parameter {
    float* value;
    const float* gradient;
    float* buffer;
    float rate;
    float decay;
};

// A part of a parameter, small enough for a block.
struct Chunk {
    int parameter;
    int length;
    long long offset;
};

__device__ inline void sgd_step(float& value, float gradient, float& buffer, const Parameter& of,
                                float momentum) {
    buffer = buffer * momentum + (gradient + value * of.decay);
    value -= of.rate * buffer;
}

// A block per chunk: buffer = buffer * momentum + gradient + value * decay; value -= rate * buffer.
KERNEL sgd(const Parameter* table, const Chunk* chunks, float momentum) {
    Chunk chunk = chunks[blockIdx.x];
    Parameter of = table[chunk.parameter];
    float* value = of.value + chunk.offset;
    const float* gradient = of.gradient + chunk.offset;
    float* buffer = of.buffer + chunk.offset;
    bool by_four = wide<float>(0, (const float*)value, gradient, (const float*)buffer);
    int vectors = by_four ? chunk.length / 4 : 0;
    for (int i = threadIdx.x; i < vectors; i += BLOCK) {
        Values<float, 4> values = Values<float, 4>::load(value + 4 * i);
        Values<float, 4> gradients = Values<float, 4>::load(gradient + 4 * i);
        Values<float, 4> buffers = Values<float, 4>::load(buffer + 4 * i);
#pragma unroll
        for (int k = 0; k < 4; k++) sgd_step(values.at[k], gradients.at[k], buffers.at[k], of, momentum);
        values.store(value + 4 * i);
        buffers.store(buffer + 4 * i);
    }
    for (int i = 4 * vectors + threadIdx.x; i < chunk.length; i += BLOCK) {
        sgd_step(value[i], gradient[i], buffer[i], of, momentum);
    }
}

}  // namespace train
