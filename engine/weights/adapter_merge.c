#include "adapter_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- merging --------------------------------------------------------------------------------------------------------------- */

static float *read_floats(const StoredTensor *t)
{
    float *v = malloc((size_t)stored_count(t) * sizeof *v + 1);
    if (v) stored_to_float(t, 1, v);
    return v;
}

/* Of {"attn1.to_q": 4, ...}: the first that is the module's name or its end, as PEFT takes it. NULL: none. */
static const json_t *alpha_of_module(const json_t *patterns, const char *module)
{
    const char *key;
    json_t *alpha;
    json_object_foreach((json_t *)(uintptr_t)patterns, key, alpha)
    {
        const size_t n = strlen(module), m = strlen(key);
        if (strcmp(module, key) == 0 || (adapter_ends_in(module, key) && module[n - m - 1] == '.')) return alpha;
    }
    return NULL;
}

static double read_alpha(const StoredTensor *t)
{
    float number;
    int64_t whole;
    if (t->type == STORED_I64) {
        memcpy(&whole, t->data, sizeof whole);
        return (double)whole;
    }
    stored_to_float(t, 1, &number);
    return number;
}

/* alpha / R, or alpha / sqrt(R) where PEFT was set to "rsLoRA". */
static double rank_scale(const Adapter *a, const Term *term)
{
    const double rank = (double)term->down->dim[0];
    double alpha = rank;
    const json_t *pattern = alpha_of_module(adapter_setting(a, "alpha_pattern"), term->module);
    if (term->alpha)
        alpha = read_alpha(term->alpha);
    else if (json_is_number(pattern))
        alpha = json_number_value(pattern);
    else if (json_is_number(adapter_setting(a, "lora_alpha")))
        alpha = json_number_value(adapter_setting(a, "lora_alpha"));
    return json_is_true(adapter_setting(a, "use_rslora")) ? alpha / sqrt(rank) : alpha / rank;
}

/* weight += (factor B) A: B's rows times the packed transpose of A, added where the weight stands. The back end is the processor's, so its
 * tensors are host memory; all its threads take part, and no product of the weight's size is kept. */
static Status add_product(Backend *be, const Term *term, Tensor shape, double factor, float *weight)
{
    const int64_t rank = term->down->dim[0], rows = shape.dim[0], columns = tensor_count(shape) / rows;
    float *down = read_floats(term->down), *up = read_floats(term->up);
    float *turned = malloc((size_t)(rank * columns) * sizeof *turned);
    Linear packed = {0};
    Status status = status_ok();
    ArenaMark mark = backend_mark(be);
    if (!down || !up || !turned)
        TRY_OUT(
            status_fail(ERR_NODE, "out of memory for an adapter of %" PRId64 " x %" PRId64 " numbers", rows, columns));
    for (int64_t c = 0; c < columns; c++)
        for (int64_t r = 0; r < rank; r++) turned[c * rank + r] = down[r * columns + c];
    for (int64_t i = 0; i < rows * rank; i++) up[i] *= (float)factor;
    TRY_OUT(linear_pack(be, tensor_view(turned, F32, 2, (int64_t[]){columns, rank}), (Tensor){0}, &packed));
    op_linear_add(be, tensor_view(weight, F32, 2, (int64_t[]){rows, columns}),
                  tensor_view(up, F32, 2, (int64_t[]){rows, rank}), &packed, (Tensor){0});
    status = backend_status(be);
out:
    backend_release(be, mark);
    linear_free(be, &packed);
    free(down);
    free(up);
    free(turned);
    return status;
}

static Status add_diff(const StoredTensor *diff, double factor, float *weight)
{
    float *v = read_floats(diff);
    if (!v) return status_fail(ERR_NODE, "out of memory for tensor \"%s\"", diff->name);
    const int64_t n = stored_count(diff);
    for (int64_t i = 0; i < n; i++) weight[i] += (float)factor * v[i];
    free(v);
    return status_ok();
}

/* Finite numbers of a file can make an infinite weight, by their product or by the scale. A weight of 1e18 and more is refused, too: the
 * product of two such numbers is infinite. */
static Status check_merged(const char *file, const char *tensor, Tensor shape, const float *weight)
{
    const int64_t count = tensor_count(shape);
    int fit = 1;
    for (int64_t i = 0; i < count; i++) fit &= fabsf(weight[i]) < 1e18f; /* false of NaN, too */
    if (fit) return status_ok();
    return status_fail(ERR_CLIP, /* no other worker would fare better */
                       "%s: merged, it makes numbers of \"%s\" too large or infinite; give a smaller scale, or another "
                       "version of it",
                       file, tensor);
}

Status adapters_apply(Adapters *a, const char *tensor, Tensor shape, float *weight)
{
    const char *last = NULL; /* that changed it */
    Term term;
    for (int i = 0; a && i < a->count; i++) {
        const Adapter *one = &a->adapter[i];
        if (!adapter_find_term(one, tensor, &term)) continue;
        if (term.up && !a->be) TRY(backend_open(&(BackendOptions){.kind = BACKEND_CPU, .compute = F32}, &a->be));
        if (term.bias) TRY(add_diff(term.bias, one->scale * rank_scale(one, &term), weight));
        if (term.up) TRY(add_product(a->be, &term, shape, one->scale * rank_scale(one, &term), weight));
        if (term.diff) TRY(add_diff(term.diff, one->scale, weight));
        last = safetensors_at(one->file, 0)->file;
    }
    return last ? check_merged(last, tensor, shape, weight) : status_ok();
}
