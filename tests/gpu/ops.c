/* Every case of tests/ops/cases.c on the back end against ref. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/parts.h"
#include "tests/ops/cases.h"
#ifdef REELWRIGHT_GPU_CUDA
#include "kernels/cuda/cuda.h"
#endif

static bool check(Backend *ref, Backend *be, int i, const char *how)
{
    const Case *c = &cases[i];
    const double limit = case_allowed(c, be);
    double off = 1e30;
    Status status = case_compare(c, ref, be, &off);
    if (failed(status)) {
        printf("{\"part\": \"ops\", \"op\": \"%s\", \"error\": ", c->op);
        gpu_print_text(status.message);
        printf("}\n");
    }
    printf("{\"part\": \"ops\", \"case\": %d, \"op\": \"%s\", \"how\": \"%s\", \"off\": %.3e, \"allowed\": %.1e, "
           "\"ok\": %s}\n",
           i, c->op, how, off, limit, off <= limit ? "true" : "false");
    return off <= limit;
}

int part_ops(int argc, char **argv)
{
    const DType compute = gpu_flag(argc, argv, "--fp32") ? F32 : BF16;
    const bool avoid = gpu_flag(argc, argv, "--no-cudnn"), fp8 = gpu_flag(argc, argv, "--fp8"),
               int8 = gpu_flag(argc, argv, "--int8");
    const char *only = gpu_value(argc, argv, "--only", "");
    Backend *ref = NULL, *be = NULL;
    int bad = 0, done = 0;
    Status status = backend_open(&(BackendOptions){.kind = BACKEND_REF}, &ref);
    if (!failed(status))
        status = backend_open(
            &(BackendOptions){
                .kind = gpu_backend(), .compute = compute, .quantized = fp8 ? E4M3 : F32, .scores = int8 ? INT8 : F32},
            &be);
    if (failed(status)) {
        fprintf(stderr, "%s\n", status.message);
        return 3;
    }
#ifdef REELWRIGHT_GPU_CUDA
    cuda_always_cudnn(be);
    if (avoid) cuda_avoid_cudnn(be, true);
#endif
    const char *how = compute == F32 ? "fp32"
                      : fp8          ? "fp8"
                      : int8         ? "int8 scores"
                      : avoid        ? "bf16, without cuDNN"
                                     : "bf16";
    for (int i = 0; i < case_count; i++) {
        if (strncmp(cases[i].op, only, strlen(only)) != 0) continue;
        bad += !check(ref, be, i, how);
        done++;
    }
    char notes[2048] = "";
    if (be->kernels->notes) be->kernels->notes(be, notes, sizeof notes);
    printf("{\"part\": \"ops\", \"how\": \"%s\", \"cases\": %d, \"bad\": %d, \"notes\": ", how, done, bad);
    gpu_print_text(notes);
    printf("}\n");
    backend_close(&be);
    backend_close(&ref);
    return bad > 0;
}
