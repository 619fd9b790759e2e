// What the parts of the fake driver (libcuda.so.1) share. Signatures and numbers are those of cuda.h,
// with plain types for its handles and enumerations, so that only g++ is needed.
#pragma once

#include <cstddef>

// cuda.h's CUresult, as far as the fake gives them.
enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    FILE_NOT_FOUND = 301,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    LAUNCH_OUT_OF_RESOURCES = 701,
    NOT_SUPPORTED = 801,
};

using Address = unsigned long long;
using Stream = void*;

#define API extern "C" __attribute__((visibility("default"))) int

// Bytes of the device's memory.
constexpr size_t MEMORY = size_t(16) << 30;
