// The fake driver's memory: of the host, with what a real device punishes made visible. New memory is
// full of NaN, every copy must lie inside an allocation, and an allocation ends (rounded up to 256
// bytes) at a page that nobody may touch, nor the allocation itself once it was freed: a kernel that
// does so ends the program by a segmentation fault. What is written between the end and that page is
// found out at release.
#include "driver.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sys/mman.h>

namespace {

constexpr size_t ALIGNMENT = 256, PAGE = 4096;
constexpr unsigned char NAN_BYTE = 0xff, SLACK_BYTE = 0xa5;

std::mutex lock;
std::map<Address, size_t> allocations;
size_t used = 0, peak = 0;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

int allocate(Address* address, size_t bytes) {
    std::lock_guard<std::mutex> held(lock);
    if (bytes == 0) return INVALID_VALUE;
    if (bytes > MEMORY - used) return OUT_OF_MEMORY;
    size_t aligned = round_up(bytes, ALIGNMENT), pages = round_up(aligned, PAGE);
    void* memory =
        mmap(nullptr, pages + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return OUT_OF_MEMORY;
    char* end = static_cast<char*>(memory) + pages;
    mprotect(end, PAGE, PROT_NONE);
    memset(end - aligned, NAN_BYTE, bytes);
    memset(end - aligned + bytes, SLACK_BYTE, aligned - bytes);
    *address = reinterpret_cast<Address>(end - aligned);
    allocations[*address] = bytes;
    used += bytes;
    if (used > peak) peak = used;
    return SUCCESS;
}

void check_slack(const unsigned char* memory, size_t bytes) {
    for (size_t i = bytes; i < round_up(bytes, ALIGNMENT); i++) {
        if (memory[i] == SLACK_BYTE) continue;
        fprintf(stderr, "fake GPU: %zu bytes beyond an allocation of %zu were written\n", i - bytes,
                bytes);
        abort();
    }
}

int release(Address address) {
    std::lock_guard<std::mutex> held(lock);
    auto found = allocations.find(address);
    if (address == 0) return SUCCESS;
    if (found == allocations.end()) return INVALID_VALUE;
    size_t bytes = found->second, aligned = round_up(bytes, ALIGNMENT), pages = round_up(aligned, PAGE);
    check_slack(reinterpret_cast<const unsigned char*>(address), bytes);
    munmap(reinterpret_cast<char*>(address) + aligned - pages, pages + PAGE);
    used -= bytes;
    allocations.erase(found);
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
    *address = aligned_alloc(ALIGNMENT, round_up(bytes, ALIGNMENT));
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
API cuMemsetD8Async(Address to, unsigned char value, size_t count, Stream) {
    return fill(to, value, count);
}
API cuMemsetD16Async(Address to, unsigned short value, size_t count, Stream) {
    return fill(to, value, count);
}
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
