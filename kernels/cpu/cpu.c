/* Opening, and the table. Where an op only moves numbers, once per clip and not per block, the reference's will do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/host.h"
#include "kernels/ref/ref.h"

Cpu cpu_with(const Isa *isa, DType compute)
{
    const bool whole = compute == INT8, half = compute == BF16;
    return (Cpu){.isa = isa,
                 .operand = whole  ? isa->quads ? OPERAND_QUADS : OPERAND_WHOLE
                            : half ? isa->pairs ? OPERAND_PAIRS : OPERAND_ROUNDED
                                   : OPERAND_FLOAT,
                 .width = 2 * isa->lanes};
}

static Status cpu_open(Backend *be)
{
    TRY(isa_check_environment());
    if (!isa_of_this_machine(F32)) return status_fail(ERR_NODE, "the cpu back end needs a processor with AVX2 and FMA");
    CpuSets *c = calloc(1, sizeof *c);
    if (!c) return status_fail(ERR_NODE, "out of memory");
    c->compute = cpu_with(isa_of_this_machine(be->options.compute), be->options.compute);
    c->exact = cpu_with(isa_of_this_machine(F32), F32);
    c->quantized = cpu_with(isa_of_this_machine(INT8), INT8);
    snprintf(c->name, sizeof c->name, "%s%s%s", c->compute.isa->name, be->options.quantized == INT8 ? ", " : "",
             be->options.quantized == INT8 ? c->quantized.isa->name : "");
    be->own = c;
    return status_ok();
}

static void cpu_close(Backend *be)
{
    free(be->own);
    be->own = NULL;
}

static const char *cpu_instructions(const Backend *be) { return ((const CpuSets *)be->own)->name; }

const Kernels cpu_kernels = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .instructions = cpu_instructions,
    .memory_new = host_memory_new,
    .memory_free = host_memory_free,
    .upload = host_upload,
    .download = host_download,
    .copy = cpu_copy,
    .zero = cpu_zero,
    .takes_e4m3 = true,
    .linear_pack = cpu_linear_pack,
    .linear_free = cpu_linear_free,
    .conv_pack = cpu_conv_pack,
    .conv_numbers = cpu_conv_numbers,
    .conv_free = cpu_conv_free,
    .linear = cpu_linear,
    .linear_add = cpu_linear_add,
    .linear_geglu = cpu_linear_geglu,
    .activation = cpu_activation,
    .add = cpu_add,
    .add_to = cpu_add_to,
    .combine = cpu_combine,
    .embed = ref_embed,
    .layernorm = cpu_layernorm,
    .rmsnorm = cpu_rmsnorm,
    .norm_modulate = cpu_norm_modulate,
    .sumsq = cpu_sumsq,
    .qk_norm_rope = cpu_qk_norm_rope,
    .attention = cpu_attention,
    .patchify = ref_patchify,
    .unpatchify = ref_unpatchify,
    .columns = cpu_columns,
    .put_columns = cpu_put_columns,
    .conv = cpu_conv,
    .conv_add = cpu_conv_add,
    .conv_upsampled = cpu_conv_upsampled,
    .channel_norm = cpu_channel_norm,
    .time_split = cpu_time_split,
    .avg_down = ref_avg_down,
    .dup_up = ref_dup_up,
    .pixel_shuffle = cpu_pixel_shuffle,
    .pixel_unshuffle = ref_pixel_unshuffle,
    .to_channels_first = ref_to_channels_first,
};
