// The fake driver's device, contexts and errors.
#include "driver.h"

#include <cstdio>
#include <cstring>

namespace {

constexpr char NAME[] = "irn fake GPU (CPU emulation)";
bool initialised = false;
int primary;  // its address is the context
thread_local void* current = nullptr;

const struct {
    int code;
    const char *name, *text;
} ERRORS[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
};

// cuda.h's CUdevice_attribute: number and value. All others are 0.
const int ATTRIBUTES[][2] = {
    {1, 1024},  {2, 1024},     {3, 1024},   {4, 64},       {5, 2147483647}, {6, 65535},
    {7, 65535}, {8, 49152},    {9, 65536},  {10, 32},      {12, 65536},     {13, 1000000},
    {16, 2},    {36, 1000000}, {37, 512},   {38, 1 << 20}, {39, 2048},      {41, 1},
    {75, 9},    {76, 0},       {81, 49152}, {97, 49152},   {115, 1},
};

}  // namespace

API cuInit(unsigned) {
    initialised = true;
    return SUCCESS;
}

API cuDriverGetVersion(int* version) {
    *version = 13000;
    return SUCCESS;
}

API cuGetErrorName(int code, const char** text) {
    for (auto& error : ERRORS) {
        if (error.code == code) return *text = error.name, SUCCESS;
    }
    return *text = nullptr, INVALID_VALUE;
}

API cuGetErrorString(int code, const char** text) {
    for (auto& error : ERRORS) {
        if (error.code == code) return *text = error.text, SUCCESS;
    }
    return *text = nullptr, INVALID_VALUE;
}

API cuDeviceGetCount(int* count) {
    *count = 1;
    return initialised ? SUCCESS : NOT_INITIALIZED;
}

API cuDeviceGet(int* device, int ordinal) {
    *device = 0;
    if (!initialised) return NOT_INITIALIZED;
    return ordinal == 0 ? SUCCESS : INVALID_DEVICE;
}

API cuDeviceGetName(char* name, int length, int) {
    snprintf(name, length, "%s", NAME);
    return SUCCESS;
}

API cuDeviceGetUuid_v2(char* uuid, int) {
    memcpy(uuid, "irn-fake-device0", 16);
    return SUCCESS;
}

API cuDeviceGetUuid(char* uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

API cuDeviceTotalMem_v2(size_t* bytes, int) {
    *bytes = MEMORY;
    return SUCCESS;
}

API cuDeviceGetAttribute(int* value, int attribute, int) {
    *value = 0;
    for (auto& known : ATTRIBUTES) {
        if (known[0] == attribute) *value = known[1];
    }
    return SUCCESS;
}

API cuDevicePrimaryCtxRetain(void** context, int) {
    *context = &primary;
    return initialised ? SUCCESS : NOT_INITIALIZED;
}

API cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }

API cuDevicePrimaryCtxGetState(int, unsigned* flags, int* active) {
    *flags = 0;
    *active = 1;
    return SUCCESS;
}

API cuCtxSetCurrent(void* context) {
    current = context;
    return SUCCESS;
}

API cuCtxGetCurrent(void** context) {
    *context = current;
    return SUCCESS;
}

API cuCtxGetDevice(int* device) {
    *device = 0;
    return current ? SUCCESS : INVALID_CONTEXT;
}

API cuCtxSynchronize() { return current ? SUCCESS : INVALID_CONTEXT; }

API cuCtxSetFlags(unsigned) { return SUCCESS; }

API cuCtxGetLimit(size_t* value, int) {
    *value = 0;
    return SUCCESS;
}

API cuCtxSetLimit(int, size_t) { return SUCCESS; }

API cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    *least = *greatest = 0;
    return SUCCESS;
}

API cuProfilerStart() { return SUCCESS; }
API cuProfilerStop() { return SUCCESS; }
