/* host_cudnn.c - what the CUDA back end calls of cuDNN's graph interface: descriptors keep their attributes, and a plan computes
 * its operations one after the other, element by element, by the tensors' dimensions and strides. */
#include <cudnn.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/convert.h"
#include "tests/cuda/host.h"

bool host_cudnn_no_engines, host_cudnn_no_fusion;

enum { MOST_ATTRIBUTES = 12, MOST_DIMS = 5, MOST_TENSORS = 64, MOST_POINTERS = 16 };

typedef struct {
    cudnnBackendAttributeName_t name;
    int64_t count;
    void *values;
} Attribute;

typedef struct Descriptor Descriptor;
struct Descriptor {
    cudnnBackendDescriptorType_t type;
    Attribute attribute[MOST_ATTRIBUTES];
    int attributes;
    bool final;
    Descriptor *graph; /* of an engine: what it computes */
};

/* ---- descriptors ---------------------------------------------------------------------------------------------------------- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *h)
{
    *h = malloc(1);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t h)
{
    free(h);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t h, cudaStream_t stream)
{
    (void)h;
    return stream ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM;
}

const char *cudnnGetErrorString(cudnnStatus_t e) { return e == CUDNN_STATUS_SUCCESS ? "success" : "a failure"; }

void cudnnGetLastErrorString(char *text, size_t room) { memset(text, 0, room); }

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    Descriptor *d = calloc(1, sizeof *d);
    d->type = type;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    Descriptor *d = descriptor;
    for (int i = 0; i < d->attributes; i++) free(d->attribute[i].values);
    free(d);
    return CUDNN_STATUS_SUCCESS;
}

static size_t size_of(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    case CUDNN_TYPE_INT64:
        return sizeof(int64_t);
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_HANDLE:
        return sizeof(void *);
    default: /* enums, float */
        return 4;
    }
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    Descriptor *d = descriptor;
    if (!d || d->final || d->attributes == MOST_ATTRIBUTES || !values) return CUDNN_STATUS_BAD_PARAM;
    Attribute *a = &d->attribute[d->attributes++];
    const size_t bytes = (size_t)count * size_of(type);
    *a = (Attribute){name, count, memcpy(malloc(bytes + 1), values, bytes)};
    return CUDNN_STATUS_SUCCESS;
}

static const Attribute *find(const Descriptor *d, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < d->attributes; i++)
        if (d->attribute[i].name == name) return &d->attribute[i];
    return NULL;
}

static Descriptor *linked(const Descriptor *d, cudnnBackendAttributeName_t name)
{
    const Attribute *a = find(d, name);
    return a ? *(Descriptor **)a->values : NULL;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    Descriptor *d = descriptor;
    if (!d || d->final) return CUDNN_STATUS_BAD_PARAM;
    d->final = true;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *values)
{
    Descriptor *d = descriptor;
    (void)type;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE) {
        *(int64_t *)values = 0;
        *count = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    if (name != CUDNN_ATTR_ENGINEHEUR_RESULTS || room < 1) return CUDNN_STATUS_BAD_PARAM;
    Descriptor *graph = linked(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH);
    const bool fused = find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS)->count > 1;
    *count = !host_cudnn_no_engines && !(fused && host_cudnn_no_fusion);
    (*(Descriptor **)values)->graph = graph;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- numbers ---------------------------------------------------------------------------------------------------------------- */

typedef struct {
    int ndim;
    const int64_t *dim, *stride;
    cudnnDataType_t type;
    void *data;
    bool inner; /* fp32 in memory of its own, rounded to its type */
    int64_t uid;
} Numbers;

typedef struct {
    Numbers tensor[MOST_TENSORS];
    int tensors;
    const Attribute *uids, *pointers;
} Run;

static int64_t extent(const Numbers *n)
{
    int64_t last = 0;
    for (int i = 0; i < n->ndim; i++) last += (n->dim[i] - 1) * n->stride[i];
    return last + 1;
}

static Numbers *numbers_of(Run *r, const Descriptor *d)
{
    const int64_t uid = *(int64_t *)find(d, CUDNN_ATTR_TENSOR_UNIQUE_ID)->values;
    for (int i = 0; i < r->tensors; i++)
        if (r->tensor[i].uid == uid) return &r->tensor[i];
    Numbers *n = &r->tensor[r->tensors++];
    const Attribute *dim = find(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
    *n = (Numbers){.ndim = (int)dim->count,
                   .dim = dim->values,
                   .stride = find(d, CUDNN_ATTR_TENSOR_STRIDES)->values,
                   .type = *(cudnnDataType_t *)find(d, CUDNN_ATTR_TENSOR_DATA_TYPE)->values,
                   .inner = find(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL) != NULL,
                   .uid = uid};
    if (n->inner) n->data = calloc((size_t)extent(n), sizeof(float));
    for (int64_t i = 0; i < r->uids->count; i++)
        if (((int64_t *)r->uids->values)[i] == uid) n->data = ((void **)r->pointers->values)[i];
    if (!n->data) abort(); /* a tensor without numbers */
    return n;
}

/* Where the element lies; a dimension of 1 repeats. */
static int64_t place(const Numbers *n, const int64_t *at)
{
    int64_t p = 0;
    for (int i = 0; i < n->ndim; i++) p += n->dim[i] == 1 ? 0 : at[i] * n->stride[i];
    return p;
}

static float get(const Numbers *n, const int64_t *at)
{
    const int64_t i = place(n, at);
    if (n->inner || n->type == CUDNN_DATA_FLOAT) return ((const float *)n->data)[i];
    return convert_bf16_to_float(((const uint16_t *)n->data)[i]);
}

static void put(const Numbers *n, const int64_t *at, double v)
{
    const int64_t i = place(n, at);
    const uint16_t narrow = convert_float_to_bf16((float)v);
    if (n->inner)
        ((float *)n->data)[i] = n->type == CUDNN_DATA_FLOAT ? (float)v : convert_bf16_to_float(narrow);
    else if (n->type == CUDNN_DATA_FLOAT)
        ((float *)n->data)[i] = (float)v;
    else
        ((uint16_t *)n->data)[i] = narrow;
}

/* The i-th element's place in each dimension. */
static void unravel(const Numbers *n, int64_t i, int64_t *at)
{
    for (int d = n->ndim - 1; d >= 0; d--) {
        at[d] = i % n->dim[d];
        i /= n->dim[d];
    }
}

static int64_t count_of(const Numbers *n)
{
    int64_t count = 1;
    for (int i = 0; i < n->ndim; i++) count *= n->dim[i];
    return count;
}

/* ---- operations -------------------------------------------------------------------------------------------------------------- */

static void run_product(const Numbers *a, const Numbers *b, const Numbers *c)
{
    const int64_t count = count_of(c), k = a->dim[3];
    if (b->dim[2] != k || a->dim[2] != c->dim[2] || b->dim[3] != c->dim[3]) abort();
#pragma omp parallel for
    for (int64_t i = 0; i < count; i++) {
        int64_t at[MOST_DIMS];
        double sum = 0;
        unravel(c, i, at);
        for (int64_t x = 0; x < k; x++)
            sum += (double)get(a, (int64_t[]){at[0], at[1], at[2], x}) *
                   (double)get(b, (int64_t[]){at[0], at[1], x, at[3]});
        put(c, at, sum);
    }
}

static void run_pointwise(cudnnPointwiseMode_t mode, const Numbers *x, const Numbers *b, const Numbers *y)
{
    const int64_t count = count_of(y);
#pragma omp parallel for
    for (int64_t i = 0; i < count; i++) {
        int64_t at[MOST_DIMS];
        unravel(y, i, at);
        const double p = (double)get(x, at), q = b ? (double)get(b, at) : 0;
        put(y, at,
            mode == CUDNN_POINTWISE_ADD   ? p + q
            : mode == CUDNN_POINTWISE_MUL ? p * q
            : mode == CUDNN_POINTWISE_SUB ? p - q
            : mode == CUDNN_POINTWISE_DIV ? p / q
            : mode == CUDNN_POINTWISE_EXP ? exp(p)
            : mode == CUDNN_POINTWISE_LOG ? log(p)
                                          : NAN);
    }
}

static void run_reduction(cudnnReduceTensorOp_t kind, const Numbers *x, const Numbers *y)
{
    const int64_t rows = count_of(y), d = x->dim[3];
    if (y->dim[3] != 1 || rows * d != count_of(x)) abort();
    for (int64_t i = 0; i < rows; i++) {
        int64_t at[MOST_DIMS];
        unravel(y, i, at);
        double v = kind == CUDNN_REDUCE_TENSOR_MAX ? -INFINITY : 0;
        for (at[3] = 0; at[3] < d; at[3]++) {
            const double p = (double)get(x, at);
            v = kind == CUDNN_REDUCE_TENSOR_MAX ? fmax(v, p) : v + p;
        }
        at[3] = 0;
        put(y, at, v);
    }
}

static double conv_sum(const Numbers *x, const Numbers *w, const int64_t *stride, const int64_t *pad, const int64_t *at)
{
    double sum = 0;
    for (int64_t t = 0; t < w->dim[2]; t++)
        for (int64_t h = 0; h < w->dim[3]; h++)
            for (int64_t v = 0; v < w->dim[4]; v++) {
                const int64_t from[3] = {at[2] * stride[0] + t - pad[0], at[3] * stride[1] + h - pad[1],
                                         at[4] * stride[2] + v - pad[2]};
                bool inside = true;
                for (int i = 0; i < 3; i++) inside = inside && from[i] >= 0 && from[i] < x->dim[2 + i];
                for (int64_t c = 0; inside && c < w->dim[1]; c++)
                    sum += (double)get(x, (int64_t[]){at[0], c, from[0], from[1], from[2]}) *
                           (double)get(w, (int64_t[]){at[1], c, t, h, v});
            }
    return sum;
}

static void run_conv(const Descriptor *how, const Numbers *x, const Numbers *w, const Numbers *y)
{
    const int64_t *stride = find(how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)->values;
    const int64_t *pad = find(how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)->values;
    const int64_t *post = find(how, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)->values, count = count_of(y);
    for (int i = 0; i < 3; i++)
        if ((x->dim[2 + i] + pad[i] + post[i] - w->dim[2 + i]) / stride[i] + 1 != y->dim[2 + i]) abort();
    if (w->dim[0] != y->dim[1] || w->dim[1] != x->dim[1]) abort();
#pragma omp parallel for
    for (int64_t i = 0; i < count; i++) {
        int64_t at[MOST_DIMS];
        unravel(y, i, at);
        put(y, at, conv_sum(x, w, stride, pad, at));
    }
}

static void run_sdpa(const Numbers *q, const Numbers *k, const Numbers *v, const Numbers *scale, const Numbers *o)
{
    const int64_t rows = q->dim[1] * q->dim[2], keys = k->dim[2], d = q->dim[3];
    double *s = malloc((size_t)keys * sizeof *s);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t head = i / q->dim[2], query = i % q->dim[2];
        double sum = 0;
        for (int64_t j = 0; j < keys; j++) {
            double dot = 0;
            for (int64_t x = 0; x < d; x++)
                dot += (double)get(q, (int64_t[]){0, head, query, x}) * (double)get(k, (int64_t[]){0, head, j, x});
            sum += s[j] = exp(dot * (double)get(scale, (int64_t[]){0, 0, 0, 0}));
        }
        for (int64_t x = 0; x < d; x++) {
            double out = 0;
            for (int64_t j = 0; j < keys; j++) out += s[j] * (double)get(v, (int64_t[]){0, head, j, x});
            put(o, (int64_t[]){0, head, query, x}, out / sum);
        }
    }
    free(s);
}

static void run_op(Run *r, const Descriptor *op)
{
#define OF(name) numbers_of(r, linked(op, CUDNN_ATTR_OPERATION_##name))
    switch (op->type) {
    case CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR:
        run_product(OF(MATMUL_ADESC), OF(MATMUL_BDESC), OF(MATMUL_CDESC));
        break;
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
        const Descriptor *how = linked(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR);
        run_pointwise(*(cudnnPointwiseMode_t *)find(how, CUDNN_ATTR_POINTWISE_MODE)->values, OF(POINTWISE_XDESC),
                      linked(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC) ? OF(POINTWISE_BDESC) : NULL,
                      OF(POINTWISE_YDESC));
        break;
    }
    case CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR: {
        const Descriptor *how = linked(op, CUDNN_ATTR_OPERATION_REDUCTION_DESC);
        run_reduction(*(cudnnReduceTensorOp_t *)find(how, CUDNN_ATTR_REDUCTION_OPERATOR)->values, OF(REDUCTION_XDESC),
                      OF(REDUCTION_YDESC));
        break;
    }
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        run_conv(linked(op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC), OF(CONVOLUTION_FORWARD_X),
                 OF(CONVOLUTION_FORWARD_W), OF(CONVOLUTION_FORWARD_Y));
        break;
    case CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR:
        run_sdpa(OF(SDPA_FWD_QDESC), OF(SDPA_FWD_KDESC), OF(SDPA_FWD_VDESC), OF(SDPA_FWD_SCALEDESC),
                 OF(SDPA_FWD_ODESC));
        break;
    default:
        abort();
    }
}

/* Whether one of the graph's operations names a tensor with this uid that is given by value. */
static bool is_by_value(const Descriptor *graph, int64_t uid)
{
    const Attribute *ops = find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    for (int64_t i = 0; i < ops->count; i++) {
        const Descriptor *op = ((Descriptor **)ops->values)[i];
        const Descriptor *b = linked(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
        if (!b) b = linked(op, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC);
        if (b && find(b, CUDNN_ATTR_TENSOR_IS_BY_VALUE) &&
            *(int64_t *)find(b, CUDNN_ATTR_TENSOR_UNIQUE_ID)->values == uid)
            return true;
    }
    return false;
}

typedef struct {
    const Descriptor *graph;
    int64_t count, uid[MOST_POINTERS];
    void *pointer[MOST_POINTERS];
    float by_value;   /* what a pointer to host memory shows: it is read when the call is made */
    int64_t value_at; /* which, -1: none */
} Execution;

static void run_graph(const void *what)
{
    Execution x = *(const Execution *)what;
    if (x.value_at >= 0) x.pointer[x.value_at] = &x.by_value;
    const Attribute uids = {.count = x.count, .values = x.uid}, pointers = {.count = x.count, .values = x.pointer};
    Run r = {.uids = &uids, .pointers = &pointers};
    const Attribute *ops = find(x.graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    for (int64_t i = 0; i < ops->count; i++) run_op(&r, ((Descriptor **)ops->values)[i]);
    for (int i = 0; i < r.tensors; i++)
        if (r.tensor[i].inner) free(r.tensor[i].data);
    host_runs++;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t h, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
    const Attribute *uids = find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS),
                    *pointers = find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    Execution x = {
        .graph = linked(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG)->graph, .count = uids->count, .value_at = -1};
    (void)h;
    if (x.count > MOST_POINTERS) return CUDNN_STATUS_BAD_PARAM;
    memcpy(x.uid, uids->values, (size_t)x.count * sizeof *x.uid);
    memcpy(x.pointer, pointers->values, (size_t)x.count * sizeof *x.pointer);
    for (int64_t i = 0; i < x.count; i++)
        if (is_by_value(x.graph, x.uid[i])) {
            x.value_at = i;
            x.by_value = *(const float *)x.pointer[i];
        }
    if (!host_keep(run_graph, &x, sizeof x)) run_graph(&x);
    return CUDNN_STATUS_SUCCESS;
}
