// The fake driver's streams and events: all work is done when the call returns, so that nothing waits.
#include "driver.h"

#include <chrono>
#include <memory>

namespace {

using Clock = std::chrono::steady_clock;

struct Event {
    bool recorded = false;
    Clock::time_point at;
};

}  // namespace

API cuStreamCreate(Stream* stream, unsigned) {
    *stream = new char;
    return SUCCESS;
}
API cuStreamCreateWithPriority(Stream* stream, unsigned flags, int) {
    return cuStreamCreate(stream, flags);
}
API cuStreamDestroy_v2(Stream stream) {
    delete static_cast<char*>(stream);
    return SUCCESS;
}
API cuStreamSynchronize(Stream) { return SUCCESS; }
API cuStreamQuery(Stream) { return SUCCESS; }
API cuStreamWaitEvent(Stream, void* event, unsigned) { return event ? SUCCESS : INVALID_HANDLE; }
API cuStreamAttachMemAsync(Stream, Address, size_t, unsigned) { return SUCCESS; }
API cuStreamIsCapturing(Stream, int* status) {
    *status = 0;
    return SUCCESS;
}
API cuStreamBeginCapture_v2(Stream, int) { return NOT_SUPPORTED; }
API cuStreamEndCapture(Stream, void** graph) {
    *graph = nullptr;
    return NOT_SUPPORTED;
}
API cuLaunchHostFunc(Stream, void (*function)(void*), void* argument) {
    function(argument);
    return SUCCESS;
}

API cuEventCreate(void** event, unsigned) {
    *event = new Event;
    return SUCCESS;
}
API cuEventDestroy_v2(void* event) {
    delete static_cast<Event*>(event);
    return SUCCESS;
}
API cuEventRecord(void* event, Stream) {
    if (!event) return INVALID_HANDLE;
    *static_cast<Event*>(event) = {true, Clock::now()};
    return SUCCESS;
}
API cuEventQuery(void*) { return SUCCESS; }
API cuEventSynchronize(void*) { return SUCCESS; }
API cuEventElapsedTime_v2(float* milliseconds, void* from, void* to) {
    const Event &start = *static_cast<Event*>(from), &end = *static_cast<Event*>(to);
    if (!start.recorded || !end.recorded) return INVALID_HANDLE;
    *milliseconds = std::chrono::duration<float, std::milli>(end.at - start.at).count();
    return SUCCESS;
}
API cuEventElapsedTime(float* milliseconds, void* from, void* to) {
    return cuEventElapsedTime_v2(milliseconds, from, to);
}
