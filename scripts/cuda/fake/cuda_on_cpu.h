// CUDA's dialect as plain C++17, as far as irn's kernels (models/src/cuda/kernels) use it, so that g++
// compiles the same source and emulator.cpp runs it.
//
// A launch runs one thread at a time: shared memory is static, thread and block are globals, and a
// barrier is a switch to another fiber.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
#define __syncthreads() fake::barrier()
#define threadIdx fake::thread
#define blockIdx fake::block
#define blockDim fake::block_size
#define gridDim fake::grid_size

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

inline void __stwb(uint4* to, uint4 value) { *to = value; }

// The upper half of an f32, rounded to the nearest, ties to even.
struct __nv_bfloat16 {
    uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 x) {
    uint32_t bits = (uint32_t)x.bits << 16;
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

inline __nv_bfloat16 __float2bfloat16(float x) {
    if (x != x) return {0x7fff};
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return {(uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

inline unsigned long long atomicAdd(unsigned long long* to, unsigned long long value) {
    unsigned long long before = *to;
    *to += value;
    return before;
}

namespace fake {

struct Index {
    unsigned x = 0, y = 0, z = 0;
};

extern Index thread, block, block_size, grid_size;

void barrier();

// A kernel of any signature as a function of the addresses of its arguments.
using Kernel = std::function<void(void**)>;

// Known by the last part of its name from then on.
void add_kernel(const std::string& name, Kernel kernel);

// Null where there is none of that name.
const Kernel* find_kernel(const std::string& name);

// Runs the whole grid.
void launch(const Kernel& kernel, Index grid, Index block, void** arguments);

template <typename... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<std::remove_reference_t<A>*>(arguments[I])...);
}

struct Registered {
    template <typename... A>
    Registered(const char* name, void (*kernel)(A...)) {
        add_kernel(name, [kernel](void** arguments) {
            call(kernel, arguments, std::index_sequence_for<A...>());
        });
    }
};

}  // namespace fake

#define REGISTER_JOINED(name, line) static const fake::Registered registered_##line(#name, name);
#define REGISTER_AT(name, line) REGISTER_JOINED(name, line)
#define REGISTER(name) REGISTER_AT(name, __LINE__)
