// Rearrangements: each output element comes from one place (places.h), or is the mean of a few.
#include "kernels/cuda/device.cuh"

namespace
{

// N = 4: the channels of a place lie beside each other in both tensors, in whole units of four.
template <int N> __global__ void __launch_bounds__(THREADS)
    gather(Places places, const void *in, DType in_type, void *out, DType out_type, int64_t count)
{
    const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (i >= count) return;
    const int64_t from = place_source(&places, i);
    float v[N] = {0};
    if (from >= 0) load<N>(in, in_type, from, v);
    store<N>(out, out_type, i, v);
}

__global__ void __launch_bounds__(THREADS) avg_down(AvgDown a, const void *in, DType type, float *out, int64_t count)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    const Place o = place_of(i, a.out);
    float sum = 0;
    for (int k = 0; k < a.group; k++) {
        const int64_t from = place_avg_down(&a, o, k);
        if (from >= 0) sum += load_one(in, type, from);
    }
    out[i] = sum / (float)a.group;
}

template <int N> __global__ void __launch_bounds__(THREADS)
    embed(const void *table, DType type, const int64_t *ids, int64_t d, void *out, DType out_type, int64_t count)
{
    const int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) * N;
    if (i >= count) return;
    float v[N];
    load<N>(table, type, ids[i / d] * d + i % d, v);
    store<N>(out, out_type, i, v);
}

// A block's threads walk along rows, so that writes follow each other.
__global__ void __launch_bounds__(THREADS)
    conv_rows(ConvPlaces places, const uint4 *in, uint4 *out, int64_t taps, int64_t count)
{
    const int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (i >= count) return;
    int64_t row = i;
    const int64_t unit = place_split(&row, places.units), tap = place_split(&row, taps);
    const int64_t from = place_conv(&places, row, tap, unit);
    out[i] = from < 0 ? make_uint4(0, 0, 0, 0) : in[from];
}

// Whether four channels of a place of `out` are four of a place of `in`, side by side.
bool keeps_channels(const Places *j, Tensor in, Tensor out)
{
    const bool kind = j->kind == PLACE_PAD_CHANNELS || j->kind == PLACE_PHASES || j->kind == PLACE_TIME_SPLIT;
    return kind && by_four(in, j->in[3]) && by_four(out, j->out[3]);
}

} // namespace

cudaError_t launch_gather(cudaStream_t stream, const Places *places, Tensor in, Tensor out)
{
    const int64_t count = tensor_count(out);
    if (count == 0) return cudaSuccess;
    if (keeps_channels(places, in, out))
        return LAUNCH(gather<4>, blocks_for(count / 4, THREADS), THREADS, stream, *places, in.data, in.dtype, out.data,
                      out.dtype, count);
    return LAUNCH(gather<1>, blocks_for(count, THREADS), THREADS, stream, *places, in.data, in.dtype, out.data,
                  out.dtype, count);
}

cudaError_t launch_avg_down(cudaStream_t stream, const AvgDown *a, Tensor in, Tensor out)
{
    const int64_t count = tensor_count(out);
    if (count == 0) return cudaSuccess;
    return LAUNCH(avg_down, blocks_for(count, THREADS), THREADS, stream, *a, in.data, in.dtype, (float *)out.data,
                  count);
}

cudaError_t launch_embed(cudaStream_t stream, Tensor table, const int64_t *ids, Tensor out)
{
    const int64_t d = table.dim[1], count = tensor_count(out);
    if (count == 0) return cudaSuccess;
    if (by_four(table, d) && by_four(out, d))
        return LAUNCH(embed<4>, blocks_for(count / 4, THREADS), THREADS, stream, table.data, table.dtype, ids, d,
                      out.data, out.dtype, count);
    return LAUNCH(embed<1>, blocks_for(count, THREADS), THREADS, stream, table.data, table.dtype, ids, d, out.data,
                  out.dtype, count);
}

cudaError_t launch_conv_rows(cudaStream_t stream, const ConvPlaces *places, const void *in, int64_t rows, void *out)
{
    const int64_t taps = places->kernel[0] * places->kernel[1] * places->kernel[2];
    const int64_t count = rows * taps * places->units;
    if (count == 0) return cudaSuccess;
    return LAUNCH(conv_rows, blocks_for(count, THREADS), THREADS, stream, *places, (const uint4 *)in, (uint4 *)out, taps,
                  count);
}
