// Runs a kernel's grid on the CPU, block after block.
//
// A block's threads run one after the other on a fiber. Where one meets a barrier its fiber waits, and a
// further fiber takes the next thread; when every thread has finished or waits, the waiting go on. A
// kernel without barriers never switches.
//
// With IRN_FAKE_REVERSE in the environment blocks and threads run in reverse. Results must be the same
// bits: a difference is a race.
#include "cuda_on_cpu.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <setjmp.h>
#include <ucontext.h>
#include <vector>

namespace fake {

Index thread, block, block_size, grid_size;

namespace {

constexpr size_t STACK = 64 << 10;

struct Fiber {
    std::unique_ptr<char[]> stack{new char[STACK]};
    ucontext_t start;
    jmp_buf at;
    bool started = false;
    Index thread;
};

// The block at hand.
struct State {
    const Kernel* kernel;
    void** arguments;
    unsigned next, count;
    Fiber* running;
    jmp_buf scheduler;
    std::vector<Fiber*> idle, waiting;
    std::vector<std::unique_ptr<Fiber>> all;
} state;

bool reverse() {
    static const bool asked = getenv("IRN_FAKE_REVERSE") != nullptr;
    return asked;
}

Index index_of(unsigned i) {
    return {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
}

// Back to the scheduler, until it resumes this fiber.
void pause() {
    Fiber* self = state.running;
    if (!_setjmp(self->at)) _longjmp(state.scheduler, 1);
}

// What every fiber does: take threads while there are any.
void work() {
    for (;;) {
        while (state.next < state.count) {
            unsigned i = state.next++;
            thread = index_of(reverse() ? state.count - 1 - i : i);
            (*state.kernel)(state.arguments);
        }
        state.idle.push_back(state.running);
        pause();
    }
}

void resume(Fiber* fiber) {
    state.running = fiber;
    thread = fiber->thread;
    if (_setjmp(state.scheduler)) return;
    if (fiber->started) _longjmp(fiber->at, 1);
    fiber->started = true;
    getcontext(&fiber->start);
    fiber->start.uc_stack.ss_sp = fiber->stack.get();
    fiber->start.uc_stack.ss_size = STACK;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, work, 0);
    setcontext(&fiber->start);
}

Fiber* idle_fiber() {
    if (state.idle.empty()) {
        state.all.push_back(std::make_unique<Fiber>());
        state.idle.push_back(state.all.back().get());
    }
    Fiber* fiber = state.idle.back();
    state.idle.pop_back();
    return fiber;
}

void run_block() {
    state.next = 0;
    while (state.next < state.count) resume(idle_fiber());
    while (!state.waiting.empty()) {
        std::vector<Fiber*> now;
        now.swap(state.waiting);
        for (Fiber* fiber : now) resume(fiber);
    }
}

std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all;
    return all;
}

}  // namespace

void barrier() {
    state.running->thread = thread;
    state.waiting.push_back(state.running);
    pause();
}

void add_kernel(const std::string& name, Kernel kernel) {
    kernels()[name.substr(name.rfind(':') + 1)] = std::move(kernel);
}

const Kernel* find_kernel(const std::string& name) {
    auto found = kernels().find(name);
    return found == kernels().end() ? nullptr : &found->second;
}

void launch(const Kernel& kernel, Index grid, Index size, void** arguments) {
    block_size = size;
    grid_size = grid;
    state.kernel = &kernel;
    state.arguments = arguments;
    state.count = size.x * size.y * size.z;
    unsigned long long count = (unsigned long long)grid.x * grid.y * grid.z;
    for (unsigned long long i = 0; i < count; i++) {
        unsigned long long at = reverse() ? count - 1 - i : i;
        block = {unsigned(at % grid.x), unsigned(at / grid.x % grid.y), unsigned(at / grid.x / grid.y)};
        run_block();
    }
}

}  // namespace fake
