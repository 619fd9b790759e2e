// The fake driver's modules and launches. Any image will do: a function is the kernel of that name that
// was compiled into this library.
#include "cuda_on_cpu.h"
#include "driver.h"

#include <cstdio>
#include <mutex>
#include <unistd.h>

namespace {

// What the kernels are compiled for: their launch bound.
constexpr unsigned THREADS = 256;

struct LaunchConfig {
    unsigned grid[3], block[3], shared_bytes;
    Stream stream;
};

int run(const void* function, const unsigned* grid, const unsigned* block, void** arguments) {
    if (!function) return INVALID_HANDLE;
    if (!arguments || grid[0] > 2147483647u || grid[1] > 65535 || grid[2] > 65535) return INVALID_VALUE;
    for (int k = 0; k < 3; k++) {
        if (grid[k] == 0 || block[k] == 0) return INVALID_VALUE;
    }
    if (block[0] * block[1] * block[2] > THREADS) return LAUNCH_OUT_OF_RESOURCES;
    static std::mutex lock;
    std::lock_guard<std::mutex> held(lock);
    fake::Index blocks{grid[0], grid[1], grid[2]}, threads{block[0], block[1], block[2]};
    fake::launch(*static_cast<const fake::Kernel*>(function), blocks, threads, arguments);
    return SUCCESS;
}

int find(const void** function, const char* name) {
    *function = fake::find_kernel(name);
    return *function ? SUCCESS : NOT_FOUND;
}

}  // namespace

API cuModuleLoadData(void** module, const void* image) {
    if (!image) return INVALID_IMAGE;
    *module = new char;
    return SUCCESS;
}
API cuModuleLoadDataEx(void** module, const void* image, unsigned, int*, void**) {
    return cuModuleLoadData(module, image);
}
API cuModuleLoadFatBinary(void** module, const void* image) { return cuModuleLoadData(module, image); }
API cuModuleLoad(void** module, const char* path) {
    return access(path, R_OK) == 0 ? cuModuleLoadData(module, path) : FILE_NOT_FOUND;
}
API cuModuleUnload(void* module) {
    delete static_cast<char*>(module);
    return SUCCESS;
}
API cuModuleGetFunction(const void** function, void* module, const char* name) {
    return module ? find(function, name) : INVALID_HANDLE;
}
API cuModuleGetGlobal_v2(Address*, size_t*, void*, const char*) { return NOT_FOUND; }

API cuLibraryLoadData(void** library, const void* image, int*, void**, unsigned, int*, void**,
                      unsigned) {
    return cuModuleLoadData(library, image);
}
API cuLibraryUnload(void* library) { return cuModuleUnload(library); }
API cuLibraryGetKernel(const void** kernel, void* library, const char* name) {
    return library ? find(kernel, name) : INVALID_HANDLE;
}
API cuKernelGetFunction(const void** function, const void* kernel) {
    *function = kernel;
    return SUCCESS;
}

// cuda.h's CUfunction_attribute: 0 is the largest block, 4 the registers.
API cuFuncGetAttribute(int* value, int attribute, const void*) {
    *value = attribute == 0 ? THREADS : attribute == 4 ? 32 : 0;
    return SUCCESS;
}
API cuFuncSetAttribute(const void*, int, int) { return SUCCESS; }
API cuFuncSetCacheConfig(const void*, int) { return SUCCESS; }
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void*, int, size_t) {
    *blocks = 8;
    return SUCCESS;
}
API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, const void*, int, size_t,
                                                         unsigned) {
    *blocks = 8;
    return SUCCESS;
}

API cuLaunchKernel(const void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned, Stream,
                   void** arguments, void**) {
    const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    return run(function, grid, block, arguments);
}
API cuLaunchKernelEx(const LaunchConfig* config, const void* function, void** arguments, void**) {
    return run(function, config->grid, config->block, arguments);
}
API cuLaunchCooperativeKernel(const void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                              unsigned, Stream, void**) {
    return NOT_SUPPORTED;
}
