/* reelwright_gpu PART ... - the parts of the GPU proof, one JSON object a line on stdout; run.sh runs them and makes the record.
 *
 *   ops [--fp32|--fp8] [--no-cudnn] [--only PREFIX]       every case of tests/ops against ref
 *   parity FOLDER... [--fp32|--fp8]                       every stage of a reference within its tolerance
 *   bench --stage S --shape S --latent FxHxW [--layers N] [--tokens N] [--repeat N] [--profile] [--fp8]
 *   ranks FOLDER SIZE [--fp32] [--seconds N]        the fixture on SIZE processes that share the device, over NCCL, each split
 *   fault                                           a rank dies in a sum: the other knows, and forms a new group
 *   rate M N K [--fp8]                              TFLOP/s of one product through the back end
 *   rate HEADS QUERIES KEYS --attention             of attention, by every form and engine that cuDNN has for it
 *
 * Built without CUDA every part runs on the CPU back end: that proves this program, not the kernels. */
#include <stdio.h>
#include <string.h>

#include "tests/gpu/parts.h"

BackendKind gpu_backend(void)
{
#ifdef REELWRIGHT_GPU_CUDA
    backend_register_cuda(&cuda_kernels);
    return BACKEND_CUDA;
#else
    return BACKEND_CPU;
#endif
}

bool gpu_flag(int argc, char **argv, const char *name)
{
    for (int i = 2; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return true;
    return false;
}

const char *gpu_value(int argc, char **argv, const char *name, const char *fallback)
{
    for (int i = 2; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return fallback;
}

void gpu_print_text(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar((unsigned char)*text < ' ' ? ' ' : *text);
    }
    putchar('"');
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } part[] = {{"ops", part_ops},     {"parity", part_parity}, {"bench", part_bench},
                {"ranks", part_ranks}, {"rate", part_rate},     {"fault", part_fault}};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc > 1 && i < sizeof part / sizeof *part; i++)
        if (strcmp(argv[1], part[i].name) == 0) return part[i].run(argc, argv);
    fprintf(stderr, "reelwright_gpu ops|parity|bench|ranks|fault|rate ...\n");
    return 2;
}
