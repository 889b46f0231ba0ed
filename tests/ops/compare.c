/* compare.c - a case's result on a back end against ref's. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/ops/cases.h"

float *case_result(const Case *c, Backend *be, Tensor *shape)
{
    ArenaMark mark = backend_mark(be);
    case_begin();
    *shape = c->run(be, c->p);
    float *v = malloc((size_t)tensor_count(*shape) * sizeof *v + 1);
    if (v) backend_download(be, *shape, v);
    backend_release(be, mark);
    if (!failed(backend_status(be))) return v;
    free(v);
    return NULL;
}

/* Root mean square of the difference over b's. */
static double difference(const float *a, const float *b, int64_t count)
{
    double d = 0, size = 0;
    for (int64_t i = 0; i < count; i++) {
        d += pow((double)a[i] - (double)b[i], 2);
        size += pow((double)b[i], 2);
    }
    return isfinite(d) ? sqrt(d / (size > 0 ? size : 1)) : 1e30;
}

Status case_compare(const Case *c, Backend *ref, Backend *be, double *off)
{
    Tensor want, got;
    float *w = case_result(c, ref, &want), *g = case_result(c, be, &got);
    Status status = failed(backend_status(ref)) ? backend_status(ref) : backend_status(be);
    if (!failed(status) && memcmp(want.dim, got.dim, sizeof want.dim) != 0)
        status = status_fail(ERR_FATAL, "a result of another shape");
    if (!failed(status)) *off = difference(g, w, tensor_count(want));
    free(w);
    free(g);
    backend_clear(ref);
    backend_clear(be);
    return status;
}

double case_allowed(const Case *c, Backend *be)
{
    const bool product = strncmp(c->op, "linear", 6) == 0 || strcmp(c->op, "project") == 0;
    if (backend_compute(be) == F32) return c->fp32;
    const DType quantized = backend_options(be).quantized;
    if (strcmp(c->op, "attention") == 0 && backend_options(be).scores == INT8) return CASE_INT8_SCORES;
    return !product || quantized == F32 ? c->bf16 : quantized == E4M3 ? CASE_FP8 : CASE_INT8;
}

int case_compare_all(Backend *be, const char *name, const char *op)
{
    Backend *ref = NULL;
    int bad = 0;
    if (failed(backend_open(&(BackendOptions){.kind = BACKEND_REF}, &ref))) return 1;
    for (int i = 0; i < case_count; i++) {
        const Case *c = &cases[i];
        const double limit = case_allowed(c, be);
        double off = 1e30;
        if (strncmp(c->op, op, strlen(op)) != 0) continue;
        Status status = case_compare(c, ref, be, &off);
        if (getenv("OPS_VERBOSE")) printf("%-12s %-18s #%-3d %.1e of %.1e\n", name, c->op, i, off, limit);
        if (off <= limit) continue;
        fprintf(stderr, "%s, case %d, %s: off by %.2e, allowed %.2e %s\n", name, i, c->op, off, limit,
                failed(status) ? status.message : "");
        bad++;
    }
    backend_close(&ref);
    return bad;
}
