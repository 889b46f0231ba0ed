/* host_hopper.cc - see host_hopper.h. */
#include "tests/cuda/host_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <deque>

thread_local unsigned char *host_shared;

namespace
{

enum { MOST_THREADS = 1024, LANES = 32, WARP_ROWS = 16, UNIT = 16, COLUMNS = 128, ADDRESSES = 1 << 18 };

struct Product {
    bool int8, add;
    void *c;
    const uint32_t *pairs; // of bf16: its left side, in the thread's registers
    uint64_t a, b;
};

struct Queue { // of a thread
    std::deque<Product> product;
    std::deque<int> group; // how many products each has
    int open;              // of the last group, which is not closed
};

thread_local Queue queue[MOST_THREADS];

[[noreturn]] void broken(const char *what)
{
    fprintf(stderr, "a kernel does what the device would not take: %s\n", what);
    abort();
}

void settle(Barrier *b)
{
    if (b->pending > 0 || b->bytes > 0) return;
    b->pending = b->count;
    b->phase++;
}

const unsigned char *unit_of(uint64_t matrix, int row, int unit)
{
    const int64_t start = (int64_t)(matrix & 0x3fff) << 4, to_unit = (int64_t)(matrix >> 16 & 0x3fff) << 4,
                  to_group = (int64_t)(matrix >> 32 & 0x3fff) << 4;
    if (matrix >> 46 || (matrix >> 14 & 3) || (matrix >> 30 & 3)) broken("a matrix in another layout");
    return host_shared + start + row % 8 * UNIT + row / 8 * to_group + unit * to_unit;
}

float number(const void *bf16, int i)
{
    const uint32_t bits = (uint32_t)((const uint16_t *)bf16)[i] << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

int row_of(int thread, int i) { return thread / LANES * WARP_ROWS + thread % LANES / 4 + i / 2 % 2 * 8; }

int column_of(int thread, int i) { return i / 4 * 8 + thread % 4 * 2 + i % 2; }

void run_int8(const Product &p, int thread)
{
    int32_t *c = (int32_t *)p.c;
    for (int i = 0; i < COLUMNS / 2; i++) {
        int32_t sum = p.add ? c[i] : 0;
        for (int unit = 0; unit < 2; unit++) {
            const int8_t *a = (const int8_t *)unit_of(p.a, row_of(thread, i), unit);
            const int8_t *b = (const int8_t *)unit_of(p.b, column_of(thread, i), unit);
            for (int k = 0; k < UNIT; k++) sum += a[k] * b[k];
        }
        c[i] = sum;
    }
}

// Four lanes have a row of the left side: two numbers of each unit of eight.
void run_bf16(const Product &p, int lane_product, int thread)
{
    float *c = (float *)p.c, a[2][16];
    for (int lane = 0; lane < 4; lane++) {
        const Queue &q = queue[(int)threadIdx.x / 4 * 4 + lane];
        for (int i = 0; i < 8; i++) a[i / 2 % 2][column_of(lane, i)] = number(q.product[(size_t)lane_product].pairs, i);
    }
    for (int i = 0; i < COLUMNS / 2; i++) {
        float sum = 0;
        for (int k = 0; k < 16; k++) sum += a[i / 2 % 2][k] * number(unit_of(p.b, column_of(thread, i), k / 8), k % 8);
        c[i] += sum;
    }
}

Product *add_product(bool int8, void *c, uint64_t b)
{
    Queue &q = queue[threadIdx.x];
    Product p = {};
    p.int8 = int8;
    p.c = c;
    p.b = b;
    q.product.push_back(p);
    q.open++;
    return &q.product.back();
}

} // namespace

void barrier_init(Barrier *b, int count) { *b = {(int8_t)count, (int8_t)count, 0, 0, 0}; }

void barrier_arrive(Barrier *b)
{
    if (b->pending < 1) broken("more arrivals than a barrier has");
    b->pending--;
    settle(b);
}

void barrier_wait(Barrier *b, int parity)
{
    while (b->phase % 2 == parity) host_pause(false);
    host_pause(true);
}

void barrier_load(Barrier *b, void *to, const void *from, int bytes)
{
    if (bytes % UNIT || (uintptr_t)to % UNIT || (uintptr_t)from % UNIT)
        broken("a copy of other than units of 16 bytes");
    memcpy(to, from, (size_t)bytes);
    barrier_arrive(b);
}

uint64_t matrix_at(const void *shared, int unit, int group)
{
    const int64_t start = (const unsigned char *)shared - host_shared;
    if (start < 0 || start >= ADDRESSES || start % UNIT) broken("a matrix that is not in shared memory");
    return (uint64_t)(start >> 4) | (uint64_t)(unit >> 4) << 16 | (uint64_t)(group >> 4) << 32;
}

void product_int8(int32_t (&c)[64], uint64_t a, uint64_t b, bool add)
{
    Product *p = add_product(true, c, b);
    p->a = a;
    p->add = add;
}

void product_bf16(float (&c)[64], const uint32_t *a, uint64_t b) { add_product(false, c, b)->pairs = a; }

void products_end()
{
    Queue &q = queue[threadIdx.x];
    q.group.push_back(q.open);
    q.open = 0;
}

void host_products_wait(int but)
{
    const int me = (int)threadIdx.x, thread = me % 128;
    Queue &q = queue[me];
    int count = 0, groups = 0;
    for (; (int)q.group.size() - groups > but; groups++) count += q.group[(size_t)groups];
    host_warp_sync(); // others' operands are read
    threadIdx.x = (unsigned)me;
    for (int i = 0; i < count; i++) {
        if (q.product[(size_t)i].int8)
            run_int8(q.product[(size_t)i], thread);
        else
            run_bf16(q.product[(size_t)i], i, thread);
    }
    host_warp_sync();
    q.product.erase(q.product.begin(), q.product.begin() + count);
    q.group.erase(q.group.begin(), q.group.begin() + groups);
}
