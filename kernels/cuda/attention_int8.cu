// Attention whose scores are products of int8: softmax(q k^T) v for heads of 128, v and the softmax's numbers in bf16, sums in fp32.
//
// A block has TILE queries of a head and walks over that head's keys, TILE at a time, with the softmax's maximum and sum so far. Its
// first eight warps compute, four of them for 64 queries; one thread of the others fetches tiles, STAGES ahead, as attention_tiles.cu has laid them
// out. The scores of one tile are multiplied while the softmax of the tile before it waits for its product with the values.
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/hopper.cuh"

namespace
{

enum {
    TILE = ATTENTION_TILE,
    HEAD = ATTENTION_TILE,
    STAGES = 2,
    WARPS = 8,                // that compute
    BLOCK = 32 * WARPS + 128, // and four warps of which one thread fetches
    REGISTERS = 240,          // of a thread that computes, and of one that does not: together 64 Ki
    FEW_REGISTERS = 24,
    UNIT = 16,
    ROW_UNITS = TILE * UNIT, // bytes from a unit of all rows to the next
    GROUP = 8 * UNIT,
    NUMBERS = 64 // of a thread: TILE columns of its two rows, a quarter of them
};

struct Shared {
    int8_t q[TILE * HEAD];
    int8_t k[STAGES][TILE * HEAD];
    uint16_t v[STAGES][TILE * HEAD];
    Barrier q_full, k_full[STAGES], v_full[STAGES], k_empty[STAGES], v_empty[STAGES];
};

struct Int8Job {
    AttentionTiles tiles;
    void *out;
    DType out_type;
};

// What a thread knows of its rows, r and r + 8.
struct RowsSoFar {
    float scale[2], highest[2], sum[2]; // sum: of this thread's columns
};

__device__ void fetch(const Int8Job &j, Shared *m, int64_t block, int64_t head)
{
    const AttentionTiles &t = j.tiles;
    barrier_load(&m->q_full, m->q, t.q + block * (TILE * HEAD), sizeof m->q);
    for (int i = 0; i < t.k_tiles; i++) {
        const int stage = i % STAGES, turn = i / STAGES;
        const int64_t at = (head * t.k_tiles + i) * (TILE * HEAD);
        if (turn > 0) barrier_wait(&m->k_empty[stage], (turn - 1) % 2);
        barrier_load(&m->k_full[stage], m->k[stage], t.k + at, sizeof m->k[stage]);
        if (turn > 0) barrier_wait(&m->v_empty[stage], (turn - 1) % 2);
        barrier_load(&m->v_full[stage], m->v[stage], t.v + at, sizeof m->v[stage]);
    }
}

// s = the scores of 64 queries and tile i
__device__ void begin_scores(int32_t (&s)[NUMBERS], Shared *m, int i)
{
    const int stage = i % STAGES, rows = (int)threadIdx.x / 128 * 64;
    barrier_wait(&m->k_full[stage], i / STAGES % 2);
    products_begin();
#pragma unroll
    for (int u = 0; u < HEAD / UNIT; u += 2)
        product_int8(s, matrix_at(m->q + u * ROW_UNITS + rows * UNIT, ROW_UNITS, GROUP),
                     matrix_at(m->k[stage] + u * ROW_UNITS, ROW_UNITS, GROUP), u > 0);
    products_end();
}

// o += p v of tile i
__device__ void begin_values(float (&o)[NUMBERS], const uint32_t (&p)[NUMBERS / 2], Shared *m, int i)
{
    const int stage = i % STAGES;
    barrier_wait(&m->v_full[stage], i / STAGES % 2);
    products_begin();
#pragma unroll
    for (int u = 0; u < TILE / 8; u += 2)
        product_bf16(o, p + 2 * u, matrix_at((const char *)m->v[stage] + u * ROW_UNITS, ROW_UNITS, GROUP));
    products_end();
}

__device__ void leave(Barrier *empty)
{
    if (threadIdx.x % 32 == 0) barrier_arrive(empty);
}

// Scores of keys that there are not
template <int ROW> __device__ void hide(float (&w)[NUMBERS], int keys)
{
    const int first = (int)threadIdx.x % 4 * 2;
#pragma unroll
    for (int i = 0; i < NUMBERS; i++)
        if (i / 2 % 2 == ROW && i / 4 * 8 + first + i % 2 >= keys) w[i] = -INFINITY;
}

// One of the two rows: scores -> weights, and by what all before it are to be multiplied.
template <int ROW>
__device__ float weigh_row(const int32_t (&s)[NUMBERS], float (&w)[NUMBERS], float key_scale, int keys, RowsSoFar &r)
{
    float highest = -INFINITY, sum = 0;
#pragma unroll
    for (int i = 0; i < NUMBERS; i++) {
        if (i / 2 % 2 != ROW) continue;
        w[i] = __int2float_rn(s[i]);
    }
    if (keys < TILE) hide<ROW>(w, keys);
#pragma unroll
    for (int i = 0; i < NUMBERS; i++)
        if (i / 2 % 2 == ROW) highest = fmaxf(highest, w[i]);
    highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
    highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
    const float scale = r.scale[ROW] * key_scale, now = fmaxf(r.highest[ROW], highest * scale);
    const float factor = power_of_two(r.highest[ROW] - now);
#pragma unroll
    for (int i = 0; i < NUMBERS; i++) {
        if (i / 2 % 2 != ROW) continue;
        w[i] = power_of_two(fmaf(w[i], scale, -now));
        sum += w[i];
    }
    r.highest[ROW] = now;
    r.sum[ROW] = r.sum[ROW] * factor + sum;
    return factor;
}

union TwoHalves {
    uint32_t bits;
    __nv_bfloat16 bf16[2];
};

__device__ void pack(const float (&w)[NUMBERS], uint32_t (&p)[NUMBERS / 2])
{
#pragma unroll
    for (int i = 0; i < NUMBERS / 2; i++) {
        union TwoHalves u;
        u.bf16[0] = __float2bfloat16_rn(w[2 * i]);
        u.bf16[1] = __float2bfloat16_rn(w[2 * i + 1]);
        p[i] = u.bits;
    }
}

__device__ void store_row(const Int8Job &j, const float (&o)[NUMBERS], int half, int64_t row, int64_t head, float sum)
{
    const AttentionTiles &t = j.tiles;
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    if (row >= t.queries) return;
    const int64_t at = (row * t.heads + head) * HEAD + threadIdx.x % 4 * 2;
    const float times = 1.0f / sum;
#pragma unroll
    for (int i = 0; i < NUMBERS; i += 4) {
        const float a = o[i + 2 * half] * times, b = o[i + 2 * half + 1] * times;
        if (j.out_type == F32)
            *(float2 *)((float *)j.out + at + i * 2) = make_float2(a, b);
        else
            *(__nv_bfloat162 *)((__nv_bfloat16 *)j.out + at + i * 2) = __floats2bfloat162_rn(a, b);
    }
}

__device__ void compute(const Int8Job &j, Shared *m, int64_t block, int64_t head)
{
    const AttentionTiles &t = j.tiles;
    const int in_tile = (int)threadIdx.x / 32 * 16 + (int)threadIdx.x % 32 / 4;
    const float *q_scale = t.q_scale + block * TILE + in_tile, *k_scale = t.k_scale + head * t.k_tiles;
    RowsSoFar r = {{q_scale[0], q_scale[8]}, {-INFINITY, -INFINITY}, {0, 0}};
    int32_t s[NUMBERS];
    uint32_t p[NUMBERS / 2];
    float o[NUMBERS], w[NUMBERS], factor[2];
#pragma unroll
    for (int i = 0; i < NUMBERS; i++) o[i] = 0;
    barrier_wait(&m->q_full, 0);
    for (int i = 0; i < t.k_tiles; i++) {
        const float key_scale = k_scale[i];
        const int64_t keys = t.keys - (int64_t)i * TILE;
        begin_scores(s, m, i);
        if (i > 0) begin_values(o, p, m, i - 1);
        if (i > 0)
            products_wait<1>();
        else
            products_wait<0>();
        products_touched(s);
        leave(&m->k_empty[i % STAGES]);
        factor[0] = weigh_row<0>(s, w, key_scale, keys < TILE ? (int)keys : TILE, r);
        factor[1] = weigh_row<1>(s, w, key_scale, keys < TILE ? (int)keys : TILE, r);
        products_wait<0>();
        products_touched(o);
        products_touched(p);
        if (i > 0) leave(&m->v_empty[(i - 1) % STAGES]);
#pragma unroll
        for (int n = 0; n < NUMBERS; n++) o[n] *= factor[n / 2 % 2];
        pack(w, p);
    }
    begin_values(o, p, m, t.k_tiles - 1);
    products_wait<0>();
    products_touched(o);
    const int64_t row = block % t.q_tiles * TILE + in_tile;
    store_row(j, o, 0, row, head, r.sum[0]);
    store_row(j, o, 1, row + 8, head, r.sum[1]);
}

// Blocks of a head follow each other: its keys and values stay in the second-level cache.
__global__ void __launch_bounds__(BLOCK, 1) attention_int8(Int8Job j)
{
    SHARED_MEMORY(memory, sizeof(Shared));
    Shared *m = (Shared *)memory;
    const int64_t block = blockIdx.x, head = block / j.tiles.q_tiles;
    if (threadIdx.x == 0) {
        barrier_init(&m->q_full, 1);
        for (int i = 0; i < STAGES; i++) {
            barrier_init(&m->k_full[i], 1);
            barrier_init(&m->v_full[i], 1);
            barrier_init(&m->k_empty[i], WARPS);
            barrier_init(&m->v_empty[i], WARPS);
        }
        barriers_ready();
    }
    __syncthreads();
    if (threadIdx.x / 32 < WARPS) {
        registers_take<REGISTERS>();
        compute(j, m, block, head);
    } else {
        registers_give<FEW_REGISTERS>();
        if (threadIdx.x == 32 * WARPS) fetch(j, m, block, head);
    }
}

} // namespace

cudaError_t launch_attention_int8(cudaStream_t stream, const AttentionTiles *tiles, Tensor out)
{
    const Int8Job j = {*tiles, out.data, out.dtype};
    const int64_t blocks = tiles->heads * tiles->q_tiles;
    if (blocks > MOST_BLOCKS || tiles->keys < 1) return cudaErrorInvalidValue;
    return LAUNCH_SHARED(attention_int8, sizeof(Shared), blocks, BLOCK, stream, j);
}
