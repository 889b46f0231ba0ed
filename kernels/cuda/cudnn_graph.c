#include "cudnn_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PLANS = 256, MOST_ENGINES = 16, ALIGNMENT = 16, FIRST_INNER_UID = 1000 };

struct Plan {
    GraphBuild build;
    int64_t key[PLAN_KEY];
    bool refused;
    cudnnBackendDescriptor_t plan;
    int64_t workspace_bytes;
    Graph *graph; /* its descriptors live as long as the plan */
};

struct Cudnn {
    cudnnHandle_t handle;
    int64_t *generation;
    Plan *plan[MOST_PLANS];
    int plans;
    char refusal[1536]; /* why there is no plan, each reason once */
};

/* ---- descriptors ---------------------------------------------------------------------------------------------------------- */

static Status cudnn_failure(cudnnStatus_t e, const char *what)
{
    if (e == CUDNN_STATUS_SUCCESS) return status_ok();
    char detail[512] = "";
    cudnnGetLastErrorString(detail, sizeof detail);
    return status_fail(ERR_NODE, "%.60s: %s %s", what, cudnnGetErrorString(e), detail);
}

static void refuse(Cudnn *c, const char *reason)
{
    const size_t at = strlen(c->refusal);
    if (!strstr(c->refusal, reason)) snprintf(c->refusal + at, sizeof c->refusal - at, "%s%s", at ? "; " : "", reason);
}

static void keep(Graph *g, cudnnStatus_t e, const char *what)
{
    if (!failed(g->status)) g->status = cudnn_failure(e, what);
}

static Node create(Graph *g, cudnnBackendDescriptorType_t type)
{
    Node d = NULL;
    if (failed(g->status)) return NULL;
    if (g->count == GRAPH_MAX) {
        g->status = status_fail(ERR_NODE, "a graph of more than %d parts", GRAPH_MAX);
        return NULL;
    }
    keep(g, cudnnBackendCreateDescriptor(type, &d), "cudnnBackendCreateDescriptor");
    if (!failed(g->status)) g->all[g->count++] = d;
    return d;
}

static void set(Graph *g, Node d, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                const void *values)
{
    char what[60];
    if (failed(g->status)) return;
    snprintf(what, sizeof what, "cuDNN attribute %d", (int)name);
    keep(g, cudnnBackendSetAttribute(d, name, type, count, values), what);
}

static void set_node(Graph *g, Node d, cudnnBackendAttributeName_t name, Node value)
{
    set(g, d, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finish(Graph *g, Node d, const char *what)
{
    if (!failed(g->status)) keep(g, cudnnBackendFinalize(d), what);
}

/* An operation joins the graph in the order of its calls. */
static void finish_op(Graph *g, Node d, const char *what)
{
    finish(g, d, what);
    if (!failed(g->status)) g->op[g->ops++] = d;
}

/* ---- tensors and operations -------------------------------------------------------------------------------------------------- */

static Node tensor_new(Graph *g, int64_t uid, cudnnDataType_t type, const GraphShape *s, bool inner, bool by_value)
{
    const int64_t alignment = ALIGNMENT;
    Node d = create(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    set(g, d, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &uid);
    set(g, d, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    set(g, d, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, s->ndim, s->dim);
    set(g, d, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, s->ndim, s->stride);
    if (inner) set(g, d, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &inner);
    if (by_value) set(g, d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    finish(g, d, "a tensor");
    return d;
}

Node graph_tensor(Graph *g, int64_t uid, cudnnDataType_t type, GraphShape shape)
{
    return tensor_new(g, uid, type, &shape, false, false);
}

Node graph_scalar(Graph *g, int64_t uid)
{
    const GraphShape one = {4, {1, 1, 1, 1}, {1, 1, 1, 1}};
    return tensor_new(g, uid, CUDNN_DATA_FLOAT, &one, false, true);
}

Node graph_inner(Graph *g, cudnnDataType_t type, GraphShape shape)
{
    return tensor_new(g, FIRST_INNER_UID + g->next_virtual++, type, &shape, true, false);
}

void graph_product(Graph *g, Node a, Node b, Node c)
{
    const cudnnDataType_t fp32 = CUDNN_DATA_FLOAT;
    Node how = create(g, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &fp32);
    finish(g, how, "a product");
    Node op = create(g, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    set_node(g, op, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    set_node(g, op, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    set_node(g, op, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    set_node(g, op, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    finish_op(g, op, "the operation of a product");
}

void graph_pointwise(Graph *g, cudnnPointwiseMode_t mode, Node x, Node b, Node y)
{
    const cudnnDataType_t fp32 = CUDNN_DATA_FLOAT;
    Node how = create(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(g, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &fp32);
    finish(g, how, "a pointwise function");
    Node op = create(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_node(g, op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    set_node(g, op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b) set_node(g, op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_node(g, op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    finish_op(g, op, "a pointwise operation");
}

void graph_reduce(Graph *g, cudnnReduceTensorOp_t kind, Node x, Node y)
{
    const cudnnDataType_t fp32 = CUDNN_DATA_FLOAT;
    Node how = create(g, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &kind);
    set(g, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &fp32);
    finish(g, how, "a reduction");
    Node op = create(g, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    set_node(g, op, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    set_node(g, op, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    set_node(g, op, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    finish_op(g, op, "the operation of a reduction");
}

void graph_conv(Graph *g, const int64_t stride[3], const int64_t pad[3], Node x, Node w, Node y)
{
    const cudnnDataType_t fp32 = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t dims = 3, dilation[3] = {1, 1, 1};
    const float alpha = 1, beta = 0;
    Node how = create(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    set(g, how, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &fp32);
    set(g, how, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(g, how, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &dims);
    set(g, how, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 3, pad);
    set(g, how, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 3, pad);
    set(g, how, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 3, stride);
    set(g, how, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 3, dilation);
    finish(g, how, "a convolution");
    Node op = create(g, CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    set_node(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
    set_node(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
    set_node(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w);
    set_node(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y);
    set(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1, &alpha);
    set(g, op, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 1, &beta);
    finish_op(g, op, "the operation of a convolution");
}

void graph_sdpa(Graph *g, Node q, Node k, Node v, Node scale, Node o)
{
#if CUDNN_VERSION >= 91300
    Node op = create(g, CUDNN_BACKEND_OPERATION_SDPA_FWD_DESCRIPTOR);
    set_node(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_QDESC, q);
    set_node(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_KDESC, k);
    set_node(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_VDESC, v);
    set_node(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_SCALEDESC, scale);
    set_node(g, op, CUDNN_ATTR_OPERATION_SDPA_FWD_ODESC, o);
    finish_op(g, op, "the operation of an attention");
#else
    (void)q, (void)k, (void)v, (void)scale, (void)o;
    if (!failed(g->status)) g->status = status_fail(ERR_NODE, "cuDNN before 9.13 has no attention operation");
#endif
}

/* ---- plans ----------------------------------------------------------------------------------------------------------------------- */

static void graph_free(Graph **g)
{
    if (!*g) return;
    while ((*g)->count > 0) cudnnBackendDestroyDescriptor((*g)->all[--(*g)->count]);
    free(*g);
    *g = NULL;
}

static Status plan_finish(Graph *g, Node plan, Node engine, int64_t *workspace_bytes)
{
    cudnnHandle_t handle = g->cudnn->handle;
    int64_t count = 0;
    cudnnStatus_t e = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &handle);
    if (e == CUDNN_STATUS_SUCCESS)
        e = cudnnBackendSetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1,
                                     &engine);
    if (e == CUDNN_STATUS_SUCCESS) e = cudnnBackendFinalize(plan);
    if (e == CUDNN_STATUS_SUCCESS)
        e = cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                     workspace_bytes);
    if (e == CUDNN_STATUS_SUCCESS && *workspace_bytes > WORKSPACE_BYTES)
        return status_fail(ERR_NODE, "a plan wants %lld bytes of workspace", (long long)*workspace_bytes);
    return cudnn_failure(e, "a plan");
}

/* The engine's plan, or NULL if it cannot be built here: *why says why. */
static Node try_engine(Graph *g, Node engine, int64_t *workspace_bytes, Status *why)
{
    Node plan = NULL;
    *why = cudnn_failure(cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &plan), "a descriptor");
    if (!failed(*why)) *why = plan_finish(g, plan, engine, workspace_bytes);
    if (!failed(*why)) return plan;
    if (plan) cudnnBackendDestroyDescriptor(plan);
    return NULL;
}

static Node first_plan(Graph *g, cudnnBackendHeurMode_t mode, Node operations, int64_t skips, int64_t *workspace_bytes)
{
    Node heuristic = create(g, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR), engine[MOST_ENGINES], plan = NULL;
    int64_t count = 0;
    Status why = status_ok();
    set_node(g, heuristic, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, operations);
    set(g, heuristic, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    finish(g, heuristic, "the choice of engines");
    for (int i = 0; i < MOST_ENGINES; i++) engine[i] = create(g, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    if (failed(g->status)) return NULL;
    keep(g,
         cudnnBackendGetAttribute(heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, MOST_ENGINES,
                                  &count, engine),
         "the engines");
    for (int64_t i = skips; i < count && !failed(g->status) && !plan; i++)
        plan = try_engine(g, engine[i], workspace_bytes, &why);
    if (failed(g->status) || plan) return plan;
    if (count == 0) g->status = status_fail(ERR_NODE, "no engines");
    if (count > 0) g->status = status_at(why, "none of %lld engines, the last", (long long)count);
    return NULL;
}

static void plan_build(Cudnn *c, Plan *p)
{
    Graph *g = calloc(1, sizeof *g);
    if (!g) return;
    g->cudnn = c;
    g->status = status_ok();
    p->graph = g;
    p->build(g, p->key);
    Node operations = create(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, operations, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &c->handle);
    set(g, operations, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, g->ops, g->op);
    finish(g, operations, "a graph");
    if (!failed(g->status)) {
        p->plan = first_plan(g, CUDNN_HEUR_MODE_A, operations, p->key[PLAN_SKIPS], &p->workspace_bytes);
        if (!p->plan && p->key[PLAN_SKIPS] == 0) { /* slower engines that ask for less */
            refuse(c, g->status.message);
            g->status = status_ok();
            p->plan = first_plan(g, CUDNN_HEUR_MODE_FALLBACK, operations, 0, &p->workspace_bytes);
        }
    }
    if (p->plan) return;
    refuse(c, g->status.message);
    graph_free(&p->graph);
}

static void plan_free(Plan *p)
{
    if (p->plan) cudnnBackendDestroyDescriptor(p->plan);
    graph_free(&p->graph);
    free(p);
}

Plan *cudnn_plan(Cudnn *c, GraphBuild build, const int64_t key[PLAN_KEY])
{
    for (int i = c->plans - 1; i >= 0; i--) {
        Plan *p = c->plan[i];
        if (p->build == build && memcmp(p->key, key, sizeof p->key) == 0) return p->refused ? NULL : p;
    }
    if (c->plans == MOST_PLANS) { /* the oldest goes */
        plan_free(c->plan[0]);
        ++*c->generation;
        memmove(c->plan, c->plan + 1, (MOST_PLANS - 1) * sizeof *c->plan);
        c->plans--;
    }
    Plan *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    p->build = build;
    memcpy(p->key, key, sizeof p->key);
    c->plan[c->plans++] = p;
    plan_build(c, p);
    p->refused = !p->plan;
    return p->refused ? NULL : p;
}

const char *cudnn_refusal(const Cudnn *c) { return c->refusal; }

static cudnnStatus_t fill_pack(Node pack, int count, void *const *pointer, void *workspace)
{
    int64_t uid[PLAN_POINTERS];
    for (int i = 0; i < count; i++) uid[i] = i + 1;
    cudnnStatus_t e = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, uid);
    if (e == CUDNN_STATUS_SUCCESS)
        e = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointer);
    if (e == CUDNN_STATUS_SUCCESS)
        e = cudnnBackendSetAttribute(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    return e == CUDNN_STATUS_SUCCESS ? cudnnBackendFinalize(pack) : e;
}

Status cudnn_run(Backend *be, Plan *p, int count, void *const *pointer)
{
    Cuda *c = cuda_of(be);
    Node pack = NULL;
    TRY(cudnn_failure(cudnnBackendCreateDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, &pack), "a variant pack"));
    cudnnStatus_t e = fill_pack(pack, count, pointer, c->workspace);
    if (e == CUDNN_STATUS_SUCCESS) e = cudnnBackendExecute(c->cudnn->handle, p->plan, pack);
    Status status = cudnn_failure(e, "running a cuDNN plan");
    cudnnBackendDestroyDescriptor(pack);
    if (!failed(status)) return status;
    p->refused = true;
    refuse(c->cudnn, status.message);
    return status_fail(ERR_INPUT, "%s", cudnn_refusal(c->cudnn));
}

/* ---- life -------------------------------------------------------------------------------------------------------------------------- */

Status cudnn_open(cudaStream_t stream, int64_t *generation, Cudnn **out)
{
    Cudnn *c = calloc(1, sizeof *c);
    if (!c) return status_fail(ERR_NODE, "out of memory");
    c->generation = generation;
    cudnnStatus_t e = cudnnCreate(&c->handle);
    if (e == CUDNN_STATUS_SUCCESS) e = cudnnSetStream(c->handle, stream);
    Status status = cudnn_failure(e, "cudnnCreate");
    if (failed(status)) cudnn_close(&c);
    *out = c;
    return status;
}

void cudnn_close(Cudnn **c)
{
    if (!*c) return;
    ++*(*c)->generation;
    for (int i = 0; i < (*c)->plans; i++) plan_free((*c)->plan[i]);
    if ((*c)->handle) cudnnDestroy((*c)->handle);
    free(*c);
    *c = NULL;
}
