// The fake driver's memory: of the host, with what a real device punishes made visible. New memory is
// full of NaN, every copy must lie inside an allocation, and a kernel that writes past the end of one is
// found out when it is freed.
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace {

constexpr size_t GUARD = 256;
constexpr unsigned char NAN_BYTE = 0xff, GUARD_BYTE = 0xa5;

std::mutex lock;
std::map<Address, size_t> allocations;
size_t used = 0, peak = 0;

int allocate(Address* address, size_t bytes) {
    std::lock_guard<std::mutex> held(lock);
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > MEMORY - used) return OUT_OF_MEMORY;
    size_t rounded = (bytes + GUARD - 1) / GUARD * GUARD;
    char* memory = static_cast<char*>(aligned_alloc(GUARD, rounded + GUARD));
    if (!memory) return OUT_OF_MEMORY;
    memset(memory, NAN_BYTE, bytes);
    memset(memory + bytes, GUARD_BYTE, rounded + GUARD - bytes);
    *address = reinterpret_cast<Address>(memory);
    allocations[*address] = bytes;
    used += bytes;
    if (used > peak) peak = used;
    return SUCCESS;
}

void check_guard(Address address, size_t bytes) {
    const unsigned char* end = reinterpret_cast<const unsigned char*>(address + bytes);
    for (size_t i = 0; i < GUARD; i++) {
        if (end[i] == GUARD_BYTE) continue;
        fprintf(stderr, "fake GPU: written %zu bytes beyond an allocation of %zu\n", i, bytes);
        abort();
    }
}

int release(Address address) {
    std::lock_guard<std::mutex> held(lock);
    auto found = allocations.find(address);
    if (address == 0) return SUCCESS;
    if (found == allocations.end()) return INVALID_VALUE;
    check_guard(address, found->second);
    // What is used after it was freed is not a number.
    memset(reinterpret_cast<void*>(address), NAN_BYTE, found->second);
    used -= found->second;
    allocations.erase(found);
    free(reinterpret_cast<void*>(address));
    return SUCCESS;
}

bool inside(Address address, size_t bytes) {
    std::lock_guard<std::mutex> held(lock);
    auto after = allocations.upper_bound(address);
    if (after == allocations.begin()) return bytes == 0;
    --after;
    return address + bytes <= after->first + after->second;
}

template <typename Value>
int fill(Address to, Value value, size_t count) {
    if (!inside(to, count * sizeof value)) return INVALID_VALUE;
    Value* values = reinterpret_cast<Value*>(to);
    for (size_t i = 0; i < count; i++) values[i] = value;
    return SUCCESS;
}

}  // namespace

API cuMemAlloc_v2(Address* address, size_t bytes) { return allocate(address, bytes); }
API cuMemAllocAsync(Address* address, size_t bytes, Stream) { return allocate(address, bytes); }
API cuMemAllocFromPoolAsync(Address* address, size_t bytes, void*, Stream) {
    return allocate(address, bytes);
}
API cuMemAllocManaged(Address* address, size_t bytes, unsigned) { return allocate(address, bytes); }
API cuMemFree_v2(Address address) { return release(address); }
API cuMemFreeAsync(Address address, Stream) { return release(address); }

API cuMemGetInfo_v2(size_t* free, size_t* total) {
    std::lock_guard<std::mutex> held(lock);
    *free = MEMORY - used;
    *total = MEMORY;
    return SUCCESS;
}

API cuMemHostAlloc(void** address, size_t bytes, unsigned) {
    *address = aligned_alloc(GUARD, (bytes + GUARD - 1) / GUARD * GUARD);
    return *address ? SUCCESS : OUT_OF_MEMORY;
}
API cuMemAllocHost_v2(void** address, size_t bytes) { return cuMemHostAlloc(address, bytes, 0); }
API cuMemFreeHost(void* address) {
    free(address);
    return SUCCESS;
}
API cuMemHostRegister_v2(void*, size_t, unsigned) { return SUCCESS; }
API cuMemHostUnregister(void*) { return SUCCESS; }

API cuMemcpyHtoD_v2(Address to, const void* from, size_t bytes) {
    if (!inside(to, bytes)) return INVALID_VALUE;
    memcpy(reinterpret_cast<void*>(to), from, bytes);
    return SUCCESS;
}
API cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, Stream) {
    return cuMemcpyHtoD_v2(to, from, bytes);
}

API cuMemcpyDtoH_v2(void* to, Address from, size_t bytes) {
    if (!inside(from, bytes)) return INVALID_VALUE;
    memcpy(to, reinterpret_cast<void*>(from), bytes);
    return SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, Stream) {
    return cuMemcpyDtoH_v2(to, from, bytes);
}

API cuMemcpyDtoD_v2(Address to, Address from, size_t bytes) {
    if (!inside(to, bytes) || !inside(from, bytes)) return INVALID_VALUE;
    memmove(reinterpret_cast<void*>(to), reinterpret_cast<void*>(from), bytes);
    return SUCCESS;
}
API cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream) {
    return cuMemcpyDtoD_v2(to, from, bytes);
}

API cuMemsetD8_v2(Address to, unsigned char value, size_t count) { return fill(to, value, count); }
API cuMemsetD8Async(Address to, unsigned char value, size_t count, Stream) { return fill(to, value, count); }
API cuMemsetD16Async(Address to, unsigned short value, size_t count, Stream) { return fill(to, value, count); }
API cuMemsetD32Async(Address to, unsigned value, size_t count, Stream) { return fill(to, value, count); }

// One pool, which cannot be changed. Its attributes 5 to 8 (cuda.h's CUmemPool_attribute) are the bytes
// reserved and used, now and at most.
API cuDeviceGetDefaultMemPool(void** pool, int) {
    *pool = &allocations;
    return SUCCESS;
}
API cuDeviceGetMemPool(void** pool, int device) { return cuDeviceGetDefaultMemPool(pool, device); }
API cuDeviceSetMemPool(int, void*) { return SUCCESS; }
API cuMemPoolSetAttribute(void*, int, void*) { return SUCCESS; }
API cuMemPoolGetAttribute(void*, int attribute, void* value) {
    std::lock_guard<std::mutex> held(lock);
    unsigned long long bytes = attribute < 5 ? 0 : attribute % 2 == 1 ? used : peak;
    if (attribute >= 4) {
        memcpy(value, &bytes, sizeof bytes);
    } else {
        memset(value, 0, sizeof(int));
    }
    return SUCCESS;
}
API cuMemPoolTrimTo(void*, size_t) { return SUCCESS; }
