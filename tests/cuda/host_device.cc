/* host_device.cc - fibers for the threads of a block. */
#include "tests/cuda/host_device.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <vector>

thread_local uint3 threadIdx, blockIdx;

namespace
{

enum { STACK = 64 << 10, WARP = 32 };

struct Barrier {
    int arrived, generation;
};

struct Fiber {
    jmp_buf at;
    ucontext_t start;
    std::vector<char> stack;
    bool begun, done;
    float shown; // to the other lanes
};

struct Block {
    std::vector<Fiber> fiber;
    std::vector<Barrier> warp;
    Barrier all;
    int current, threads, alive;
    std::vector<int> warp_alive;
    bool progress;
    jmp_buf scheduler;
    HostThread thread;
    const void *call;
};

thread_local Block *block;

void release(Barrier *b, int alive)
{
    if (b->arrived < alive || alive == 0) return;
    b->arrived = 0;
    b->generation++;
    block->progress = true;
}

void fiber_main()
{
    Block *b = block;
    b->thread(b->call);
    b->fiber[(size_t)b->current].done = true;
    b->progress = true;
    b->alive--;
    b->warp_alive[(size_t)(b->current / WARP)]--;
    release(&b->all, b->alive);
    release(&b->warp[(size_t)(b->current / WARP)], b->warp_alive[(size_t)(b->current / WARP)]);
    _longjmp(b->scheduler, 1);
}

void wait_for(Barrier *barrier, int alive)
{
    Block *b = block;
    const int generation = barrier->generation;
    barrier->arrived++;
    release(barrier, alive);
    while (barrier->generation == generation)
        if (_setjmp(b->fiber[(size_t)b->current].at) == 0) _longjmp(b->scheduler, 1);
    b->progress = true;
}

void resume(Block *b, int i)
{
    Fiber *f = &b->fiber[(size_t)i];
    b->current = i;
    threadIdx = make_uint3((unsigned)i, 0, 0);
    if (_setjmp(b->scheduler) != 0) return;
    if (f->begun) _longjmp(f->at, 1);
    f->begun = true;
    getcontext(&f->start);
    f->start.uc_stack.ss_sp = f->stack.data();
    f->start.uc_stack.ss_size = f->stack.size();
    f->start.uc_link = nullptr;
    makecontext(&f->start, fiber_main, 0);
    setcontext(&f->start);
}

void run_block(Block *b, int64_t index)
{
    blockIdx = make_uint3((unsigned)index, 0, 0);
    b->alive = b->threads;
    b->all = Barrier();
    for (size_t w = 0; w < b->warp.size(); w++) {
        b->warp[w] = Barrier();
        const int rest = b->threads - (int)w * WARP;
        b->warp_alive[w] = rest < WARP ? rest : WARP;
    }
    for (Fiber &f : b->fiber) f.begun = f.done = false;
    while (b->alive > 0) {
        b->progress = false;
        for (int i = 0; i < b->threads; i++)
            if (!b->fiber[(size_t)i].done) resume(b, i);
        if (b->progress) continue;
        fprintf(stderr, "a kernel waits at a barrier that not all threads reach\n");
        abort();
    }
}

} // namespace

void __syncthreads() { wait_for(&block->all, block->alive); }

void host_warp_sync()
{
    const size_t warp = (size_t)(block->current / WARP);
    wait_for(&block->warp[warp], block->warp_alive[warp]);
}

void host_pause(bool progress)
{
    block->progress = block->progress || progress;
    if (_setjmp(block->fiber[(size_t)block->current].at) == 0) _longjmp(block->scheduler, 1);
}

float __shfl_xor_sync(unsigned mask, float v, int lanes)
{
    Block *b = block;
    const int me = b->current, warp = me / WARP, other = me ^ lanes;
    if (mask != 0xffffffffu) abort();
    b->fiber[(size_t)me].shown = v;
    wait_for(&b->warp[(size_t)warp], b->warp_alive[(size_t)warp]);
    const float got = other < b->threads && !b->fiber[(size_t)other].done ? b->fiber[(size_t)other].shown : NAN;
    wait_for(&b->warp[(size_t)warp], b->warp_alive[(size_t)warp]);
    return got;
}

void host_launch(HostThread thread, const void *call, int64_t blocks, int threads)
{
#pragma omp parallel
    {
        static thread_local Block mine;
        mine.thread = thread;
        mine.call = call;
        mine.threads = threads;
        if (mine.fiber.size() != (size_t)threads) {
            mine.fiber = std::vector<Fiber>((size_t)threads);
            for (Fiber &f : mine.fiber) f.stack.resize(STACK);
            mine.warp.resize((size_t)(threads + WARP - 1) / WARP);
            mine.warp_alive.resize(mine.warp.size());
        }
        block = &mine;
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks; i++) run_block(&mine, i);
    }
}
