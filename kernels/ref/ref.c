#include "kernels/ref/ref.h"

#include "kernels/convert.h"
#include "kernels/host.h"

float *ref_floats(Backend *be, Tensor t)
{
    if (t.dtype == F32) return t.data;
    float *numbers = backend_alloc(be, F32, t.ndim, t.dim).data;
    if (numbers) convert_to_float(t.data, t.dtype, tensor_count(t), numbers);
    return numbers;
}

float *ref_room(Backend *be, Tensor t) { return t.dtype == F32 ? t.data : backend_alloc(be, F32, t.ndim, t.dim).data; }

void ref_store(Tensor t, const float *numbers)
{
    if (t.data != numbers) convert_from_float(numbers, t.dtype, tensor_count(t), t.data);
}

double ref_dot(const float *a, const float *b, int64_t n)
{
    enum { LANES = 8 }; /* independent sums, so that the compiler may use vectors */
    double lane[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lane[j] += (double)a[i + j] * (double)b[i + j];
    for (; i < n; i++) sum += (double)a[i] * (double)b[i];
    for (int j = 0; j < LANES; j++) sum += lane[j];
    return sum;
}

static Status ref_open(Backend *be)
{
    be->options.compute = F32; /* whatever was asked for */
    return status_ok();
}

static void ref_close(Backend *be) { (void)be; }

const Kernels ref_kernels = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .memory_new = host_memory_new,
    .memory_free = host_memory_free,
    .upload = host_upload,
    .download = host_download,
    .copy = host_copy,
    .zero = host_zero,
    .takes_e4m3 = true,
    .linear_pack = ref_linear_pack,
    .linear_free = ref_linear_free,
    .conv_pack = ref_conv_pack,
    .conv_numbers = ref_conv_numbers,
    .conv_free = ref_conv_free,
    .linear = ref_linear,
    .linear_add = ref_linear_add,
    .linear_geglu = ref_linear_geglu,
    .activation = ref_activation,
    .add = ref_add,
    .add_to = ref_add_to,
    .combine = ref_combine,
    .embed = ref_embed,
    .layernorm = ref_layernorm,
    .rmsnorm = ref_rmsnorm,
    .norm_modulate = ref_norm_modulate,
    .sumsq = ref_sumsq,
    .qk_norm_rope = ref_qk_norm_rope,
    .attention = ref_attention,
    .patchify = ref_patchify,
    .unpatchify = ref_unpatchify,
    .columns = ref_columns,
    .put_columns = ref_put_columns,
    .conv = ref_conv,
    .conv_add = ref_conv_add,
    .conv_upsampled = ref_conv_upsampled,
    .channel_norm = ref_channel_norm,
    .time_split = ref_time_split,
    .avg_down = ref_avg_down,
    .dup_up = ref_dup_up,
    .pixel_shuffle = ref_pixel_shuffle,
    .pixel_unshuffle = ref_pixel_unshuffle,
    .to_channels_first = ref_to_channels_first,
};
