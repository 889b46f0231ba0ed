/* cudnn_graph.h - cuDNN's graph interface (its C back end API) in a few words: tensors and operations are put into a graph, the
 * library offers engines for the whole of it, the first that can be built becomes a plan, and a plan is run with pointers
 * for the numbers of its tensors. Plans are kept by key.
 *
 * Source: NVIDIA cuDNN documentation, "Backend API"; attribute by attribute as NVIDIA's cudnn-frontend sets them. */
#ifndef REELWRIGHT_CUDNN_GRAPH_H
#define REELWRIGHT_CUDNN_GRAPH_H

#include <cudnn.h>

#include "kernels/cuda/cuda.h"

enum {
    GRAPH_MAX = 128,
    PLAN_KEY = 24,
    PLAN_SKIPS = PLAN_KEY - 1 /* of the key: engines to pass over */,
    PLAN_POINTERS = 8
};

typedef struct { /* under construction; the first failure is kept, later calls do nothing */
    Cudnn *cudnn;
    cudnnBackendDescriptor_t all[GRAPH_MAX], op[GRAPH_MAX];
    int count, ops;
    int64_t next_virtual;
    Status status;
} Graph;

typedef cudnnBackendDescriptor_t Node;

typedef struct {
    int ndim;
    int64_t dim[5], stride[5];
} GraphShape;

/* A tensor of the caller's, named by a number from 1 on; or an inner one (uid 0); by_value: a number that is given as a host
 * pointer when the plan is run. */
Node graph_tensor(Graph *g, int64_t uid, cudnnDataType_t type, GraphShape shape);
Node graph_scalar(Graph *g, int64_t uid); /* fp32 by value, four dimensions of 1 */
Node graph_inner(Graph *g, cudnnDataType_t type, GraphShape shape);
void graph_product(Graph *g, Node a, Node b, Node c);
void graph_pointwise(Graph *g, cudnnPointwiseMode_t mode, Node x, Node b, Node y); /* b NULL: of one operand */
void graph_reduce(Graph *g, cudnnReduceTensorOp_t kind, Node x, Node y);
void graph_conv(Graph *g, const int64_t stride[3], const int64_t pad[3], Node x, Node w, Node y);
void graph_sdpa(Graph *g, Node q, Node k, Node v, Node scale, Node o);

typedef struct Plan Plan;

/* Fills g with what `key` stands for. */
typedef void (*GraphBuild)(Graph *g, const int64_t key[PLAN_KEY]);

/* *generation is counted on when a plan goes that a CUDA graph may use */
Status cudnn_open(cudaStream_t stream, int64_t *generation, Cudnn **out);
void cudnn_close(Cudnn **c);
/* The plan of this key, built at first use; NULL when cuDNN has none: cudnn_refusal says why. */
Plan *cudnn_plan(Cudnn *c, GraphBuild build, const int64_t key[PLAN_KEY]);
const char *cudnn_refusal(const Cudnn *c);
/* pointer[i] for the tensor with uid i + 1. ERR_INPUT when the plan could not be run: it is not offered again. */
Status cudnn_run(Backend *be, Plan *p, int count, void *const *pointer);

#endif
