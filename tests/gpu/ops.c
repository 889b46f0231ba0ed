/* Every case of tests/ops/cases.c on the back end against ref. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/parts.h"
#include "tests/ops/cases.h"
#ifdef REELWRIGHT_GPU_CUDA
#include "kernels/cuda/cuda.h"
#endif

/* NULL after a failure, which is printed and forgotten. */
static float *result_of(Backend *be, const Case *c, Tensor *shape)
{
    ArenaMark mark = backend_mark(be);
    case_begin();
    *shape = c->run(be, c->p);
    float *v = malloc((size_t)tensor_count(*shape) * sizeof *v + 1);
    if (v && !failed(backend_status(be))) backend_download(be, *shape, v);
    backend_release(be, mark);
    if (!failed(backend_status(be))) return v;
    printf("{\"part\": \"ops\", \"op\": \"%s\", \"error\": ", c->op);
    gpu_print_text(backend_status(be).message);
    printf("}\n");
    backend_clear(be);
    free(v);
    return NULL;
}

/* Not a number is not within any tolerance. */
static double difference(const float *a, const float *b, int64_t count)
{
    double d = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return isfinite(d) ? sqrt(d / (size > 0 ? size : 1)) : 1e30;
}

static bool check(Backend *ref, Backend *be, int i, const char *how)
{
    const Case *c = &cases[i];
    const bool quantized =
        backend_options(be).fp8 && (strncmp(c->op, "linear", 6) == 0 || strcmp(c->op, "project") == 0);
    const double limit = backend_compute(be) == F32 ? c->fp32 : quantized ? CASE_FP8 : c->bf16;
    Tensor want, got;
    float *w = result_of(ref, c, &want), *g = result_of(be, c, &got);
    double d = 1e30;
    if (w && g) d = difference(g, w, tensor_count(want));
    printf("{\"part\": \"ops\", \"case\": %d, \"op\": \"%s\", \"how\": \"%s\", \"off\": %.3e, \"allowed\": %.1e, "
           "\"ok\": %s}\n",
           i, c->op, how, d, limit, d <= limit ? "true" : "false");
    free(w);
    free(g);
    return d <= limit;
}

int part_ops(int argc, char **argv)
{
    const DType compute = gpu_flag(argc, argv, "--fp32") ? F32 : BF16;
    const bool avoid = gpu_flag(argc, argv, "--no-cudnn"), fp8 = gpu_flag(argc, argv, "--fp8");
    const char *only = gpu_value(argc, argv, "--only", "");
    Backend *ref = NULL, *be = NULL;
    int bad = 0, done = 0;
    Status status = backend_open(&(BackendOptions){.kind = BACKEND_REF}, &ref);
    if (!failed(status))
        status = backend_open(&(BackendOptions){.kind = gpu_backend(), .compute = compute, .fp8 = fp8}, &be);
    if (failed(status)) {
        fprintf(stderr, "%s\n", status.message);
        return 3;
    }
#ifdef REELWRIGHT_GPU_CUDA
    cuda_always_cudnn(be);
    if (avoid) cuda_avoid_cudnn(be, true);
#endif
    const char *how = compute == F32 ? "fp32" : fp8 ? "fp8" : avoid ? "bf16, without cuDNN" : "bf16";
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
