// What every kernel here rests on: the compiler's dialect, the launch convention and the export of a
// template for both types of map.
//
// Maps are NHWC (channels innermost) of f32 or bf16; arithmetic is in f32, sums over many values end in
// f64. No float atomics and no order that depends on scheduling: the same bits every run. Only static
// shared memory and __syncthreads are used, so that scripts/cuda/fake can run the same code on a CPU.
//
// Launch convention: blocks of BLOCK threads in x, no dynamic shared memory. A kernel said to be "over
// items" strides over them by the whole grid, any gridDim.x > 0 will do (enough: items / BLOCK, at most
// some thousand). A kernel said to be "over lines" strides over them by blocks.
#pragma once

#ifdef __CUDACC__
#include <cuda_bf16.h>
#define REGISTER(name)
#else
#include "cuda_on_cpu.h"
#endif

#define BLOCK 256
#define KERNEL extern "C" __global__ void __launch_bounds__(BLOCK)

// `name_f32` and `name_bf16` from the device template `train::name<T>`.
#define EXPORT(name, parameters, arguments)                       \
    namespace f32 {                                               \
    using T = float;                                              \
    KERNEL name##_f32 parameters { train::name<T> arguments; }    \
    REGISTER(name##_f32)                                          \
    }                                                             \
    namespace bf16 {                                              \
    using T = __nv_bfloat16;                                      \
    KERNEL name##_bf16 parameters { train::name<T> arguments; }   \
    REGISTER(name##_bf16)                                         \
    }

namespace train {

// This thread's first item and the distance to its next one.
__device__ inline long long first_item() { return (long long)blockIdx.x * BLOCK + threadIdx.x; }
__device__ inline long long item_stride() { return (long long)gridDim.x * BLOCK; }

}  // namespace train
