/* The CPU back end. Kernels that have no own version yet are the reference's. */
#include "kernels/host.h"
#include "kernels/ref/ref.h"

static Status cpu_open(Backend *be)
{
    be->options.compute = F32;
    return status_ok();
}

static void cpu_close(Backend *be) { (void)be; }

const Kernels cpu_kernels = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .memory_new = host_memory_new,
    .memory_free = host_memory_free,
    .upload = host_upload,
    .download = host_download,
    .copy = host_copy,
    .zero = host_zero,
    .linear_pack = ref_linear_pack,
    .linear_free = ref_linear_free,
    .conv_pack = ref_conv_pack,
    .conv_free = ref_conv_free,
    .linear = ref_linear,
    .linear_add = ref_linear_add,
    .linear_geglu = ref_linear_geglu,
    .activation = ref_activation,
    .mul = ref_mul,
    .add = ref_add,
    .add_to = ref_add_to,
    .embed = ref_embed,
    .layernorm = ref_layernorm,
    .rmsnorm = ref_rmsnorm,
    .norm_modulate = ref_norm_modulate,
    .qk_norm_rope = ref_qk_norm_rope,
    .attention = ref_attention,
    .patchify = ref_patchify,
    .unpatchify = ref_unpatchify,
    .columns = ref_columns,
    .conv = ref_conv,
    .conv_add = ref_conv_add,
    .conv_upsampled = ref_conv_upsampled,
    .channel_norm = ref_channel_norm,
    .time_split = ref_time_split,
    .avg_down = ref_avg_down,
    .dup_up = ref_dup_up,
    .pixel_shuffle = ref_pixel_shuffle,
    .pixel_unshuffle = ref_pixel_unshuffle,
    .to_channels_last = ref_to_channels_last,
    .to_channels_first = ref_to_channels_first,
};
