// What attention_int8.cu multiplies, tile by tile as shared memory has it (hopper.cuh): queries with a scale a row, keys less their
// mean with a scale a tile, values on their side. The mean of the keys adds the same to every score of a query, which the softmax does
// not see; without it their numbers are smaller, and so are the steps of int8.
#include "kernels/cuda/device.cuh"

namespace
{

enum {
    TILE = ATTENTION_TILE,
    HEAD = ATTENTION_TILE,
    UNIT = 16,
    MEAN_ROWS = 512,                    // of a partial sum
    EACH = TILE * HEAD / UNIT / THREADS // units of a thread
};
const float LEAST = 1e-15f; // largest number of a row of zeros: any that gives a scale
const float STEPS = 127;

// partial [slabs,width]: sums of MEAN_ROWS rows, four columns a thread
__global__ void __launch_bounds__(THREADS)
    column_sums(const void *x, DType type, int64_t rows, int64_t width, int64_t parts, float *partial)
{
    const int64_t slab = blockIdx.x / parts, column = (blockIdx.x % parts * THREADS + threadIdx.x) * 4;
    const int64_t end = slab * MEAN_ROWS + MEAN_ROWS < rows ? slab * MEAN_ROWS + MEAN_ROWS : rows;
    float sum[4] = {0}, v[4];
    if (column >= width) return;
    for (int64_t row = slab * MEAN_ROWS; row < end; row++) {
        load<4>(x, type, row * width + column, v);
#pragma unroll
        for (int k = 0; k < 4; k++) sum[k] += v[k];
    }
    store<4>(partial, F32, slab * width + column, sum);
}

__global__ void __launch_bounds__(THREADS)
    column_means(const float *partial, int64_t slabs, int64_t rows, int64_t width, float *mean)
{
    const int64_t column = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    float sum = 0;
    if (column >= width) return;
    for (int64_t i = 0; i < slabs; i++) sum += partial[i * width + column];
    mean[column] = sum / (float)rows;
}

struct TileJob {
    const void *x;
    const float *mean; // of each column, or NULL
    int8_t *out;
    float *scale;
    int64_t rows, width, tiles;
    DType type;
    float times; // of the scale
};

union SixteenBytes {
    uint4 bits;
    int8_t number[UNIT];
    uint16_t half[UNIT / 2];
};

// v = a unit's numbers, less the mean; their largest
__device__ float read_unit(const TileJob &j, int64_t row, int64_t column, float (&v)[UNIT])
{
    float most = 0;
#pragma unroll
    for (int k = 0; k < UNIT; k += 4) {
        float mean[4] = {0};
        load<4>(j.x, j.type, row * j.width + column + k, v + k);
        if (j.mean) load<4>(j.mean, F32, column + k, mean);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            v[k + n] -= mean[n];
            most = fmaxf(most, fabsf(v[k + n]));
        }
    }
    return most;
}

// The largest of the two threads that have a row, or of all.
template <bool BY_ROW> __device__ float shared_most(float most)
{
    __shared__ float of_half[THREADS];
    if (!BY_ROW) return row_reduce<THREADS, Max>(most);
    of_half[threadIdx.x] = most;
    __syncthreads();
    return fmaxf(most, of_half[threadIdx.x ^ TILE]);
}

// A block has a tile of a head. Rows beyond the last are zeros.
template <bool BY_ROW> __global__ void __launch_bounds__(THREADS) tile_int8(TileJob j)
{
    const int64_t head = blockIdx.x / j.tiles, row = blockIdx.x % j.tiles * TILE + threadIdx.x % TILE;
    float v[EACH][UNIT] = {{0}}, most = LEAST;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        const int unit = (int)threadIdx.x / TILE + i * (THREADS / TILE);
        if (row < j.rows) most = fmaxf(most, read_unit(j, row, head * HEAD + unit * UNIT, v[i]));
    }
    most = shared_most<BY_ROW>(most);
    if (BY_ROW && threadIdx.x < TILE) j.scale[(int64_t)blockIdx.x * TILE + threadIdx.x] = most / STEPS * j.times;
    if (!BY_ROW && threadIdx.x == 0) j.scale[blockIdx.x] = most / STEPS * j.times;
    uint4 *out = (uint4 *)(j.out + (int64_t)blockIdx.x * (TILE * HEAD));
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        union SixteenBytes u;
#pragma unroll
        for (int k = 0; k < UNIT; k++) u.number[k] = (int8_t)__float2int_rn(v[i][k] * (STEPS / most));
        out[threadIdx.x + i * THREADS] = u.bits;
    }
}

// A unit of the result: eight keys' numbers of one of the head's columns.
__global__ void __launch_bounds__(THREADS)
    tile_values(const uint16_t *v, int64_t rows, int64_t width, int64_t tiles, uint4 *out)
{
    __shared__ uint16_t part[TILE * HEAD];
    const int64_t head = blockIdx.x / tiles, first = blockIdx.x % tiles * TILE;
    for (int i = (int)threadIdx.x; i < TILE * HEAD / 8; i += THREADS) {
        const int64_t row = first + i / (HEAD / 8);
        union SixteenBytes u;
        u.bits = make_uint4(0, 0, 0, 0);
        if (row < rows) u.bits = *(const uint4 *)(v + row * width + head * HEAD + i % (HEAD / 8) * 8);
#pragma unroll
        for (int k = 0; k < 8; k++) part[i * 8 + k] = u.half[k];
    }
    __syncthreads();
    for (int i = (int)threadIdx.x; i < TILE * HEAD / 8; i += THREADS) {
        union SixteenBytes u;
#pragma unroll
        for (int k = 0; k < 8; k++) u.half[k] = part[(i / HEAD * 8 + k) * HEAD + i % HEAD];
        out[(int64_t)blockIdx.x * (TILE * HEAD / 8) + i] = u.bits;
    }
}

} // namespace

cudaError_t launch_column_means(cudaStream_t stream, Tensor x, Tensor partial, Tensor mean)
{
    const int64_t rows = x.dim[0], width = x.dim[1], slabs = partial.dim[0], parts = blocks_for(width, 4 * THREADS);
    if (width % 4 || slabs != blocks_for(rows, MEAN_ROWS) || slabs * parts > MOST_BLOCKS) return cudaErrorInvalidValue;
    const cudaError_t e =
        LAUNCH(column_sums, slabs * parts, THREADS, stream, x.data, x.dtype, rows, width, parts, (float *)partial.data);
    if (e != cudaSuccess) return e;
    return LAUNCH(column_means, blocks_for(width, THREADS), THREADS, stream, (const float *)partial.data, slabs, rows,
                  width, (float *)mean.data);
}

int64_t column_mean_parts(int64_t rows) { return blocks_for(rows, MEAN_ROWS); }

static cudaError_t launch_tiles(cudaStream_t stream, Tensor x, const float *mean, float times, bool by_row, int8_t *out,
                                float *scale)
{
    TileJob j = {};
    j.x = x.data;
    j.mean = mean;
    j.out = out;
    j.scale = scale;
    j.rows = x.dim[0];
    j.width = x.dim[1];
    j.tiles = blocks_for(j.rows, TILE);
    j.type = x.dtype;
    j.times = times;
    const int64_t blocks = j.tiles * (j.width / HEAD);
    if (blocks > MOST_BLOCKS) return cudaErrorInvalidValue;
    if (by_row) return LAUNCH(tile_int8<true>, blocks, THREADS, stream, j);
    return LAUNCH(tile_int8<false>, blocks, THREADS, stream, j);
}

cudaError_t launch_attention_tiles(cudaStream_t stream, Tensor q, Tensor k, Tensor v, const float *mean, float scale,
                                   const AttentionTiles *t)
{
    const float log2_e = 1.44269504088896341f; // the softmax takes powers of two
    cudaError_t e = launch_tiles(stream, q, nullptr, scale * log2_e, true, t->q, t->q_scale);
    if (e == cudaSuccess) e = launch_tiles(stream, k, mean, 1, false, t->k, t->k_scale);
    if (e != cudaSuccess) return e;
    return LAUNCH(tile_values, t->k_tiles * t->heads, THREADS, stream, (const uint16_t *)v.data, v.dim[0], v.dim[1],
                  (int64_t)t->k_tiles, (uint4 *)t->v);
}
