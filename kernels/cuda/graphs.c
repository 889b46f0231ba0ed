/* graphs.c - ops that come again and again as one CUDA graph: no launches but one, and no calls of the libraries.
 *
 * The first call of a key runs as it is: plans are made and the arena grows. The second is captured, if since then no device
 * memory was taken or given back (Cuda.generation): a graph holds addresses. From then on the graph is launched, until the
 * generation changes: another shot, other weights. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "kernels/cuda/cuda.h"

enum { MOST_REPLAYS = 8 /* branches of the guidance, of two experts, twice */ };

typedef struct {
    int64_t key[REPEAT_KEY + 2];
    int64_t generation; /* when body was run last */
    bool known, refused;
    cudaGraphExec_t graph;
} Replay;

struct Replays {
    Replay replay[MOST_REPLAYS];
    int next;
};

static void forget(Replay *r)
{
    if (r->graph) cudaGraphExecDestroy(r->graph);
    *r = (Replay){0};
}

void replays_free(Cuda *c)
{
    for (int i = 0; c->replays && i < MOST_REPLAYS; i++) forget(&c->replays->replay[i]);
    free(c->replays);
    c->replays = NULL;
}

/* The key's, or a new one in the oldest's place; NULL without memory. */
static Replay *find(Cuda *c, const int64_t key[REPEAT_KEY + 2])
{
    if (!c->replays) c->replays = calloc(1, sizeof *c->replays);
    if (!c->replays) return NULL;
    for (int i = 0; i < MOST_REPLAYS; i++) {
        Replay *r = &c->replays->replay[i];
        if (r->known && memcmp(r->key, key, sizeof r->key) == 0) return r;
    }
    Replay *r = &c->replays->replay[c->replays->next++ % MOST_REPLAYS];
    forget(r);
    memcpy(r->key, key, sizeof r->key);
    r->known = true;
    r->generation = -1;
    return r;
}

/* Nothing is computed, whatever comes of it; *out NULL after a failure, which is the return value. */
static Status capture(Backend *be, void (*body)(void *self), void *self, cudaGraphExec_t *out)
{
    Cuda *c = cuda_of(be);
    cudaGraph_t graph = NULL;
    *out = NULL;
    CUDA_TRY(cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeThreadLocal));
    c->captures = true;
    body(self);
    c->captures = false;
    const cudaError_t e = cudaStreamEndCapture(c->stream, &graph);
    Status status = failed(be->first) ? be->first : cuda_status(e, "cudaStreamEndCapture");
    if (!failed(status)) status = cuda_status(cudaGraphInstantiate(out, graph, 0), "cudaGraphInstantiate");
    if (graph) cudaGraphDestroy(graph);
    return status;
}

Status cuda_repeat(Backend *be, const int64_t key[REPEAT_KEY + 2], void (*body)(void *self), void *self)
{
    Cuda *c = cuda_of(be);
    Replay *r = find(c, key);
    if (r && r->graph && r->generation != c->generation) {
        cudaGraphExecDestroy(r->graph);
        r->graph = NULL;
    }
    if (r && !r->graph && !r->refused && r->generation == c->generation) {
        Status status = capture(be, body, self, &r->graph);
        if (failed(status)) {
            log_line(LOG_WARNING, "computed without a CUDA graph: %s", status.message);
            cudaGetLastError(); /* told: the next launch must not report it */
            r->refused = true;
            backend_clear(be);
        }
    }
    if (!r || !r->graph) {
        body(self);
        if (r) r->generation = c->generation;
        return status_ok();
    }
    c->note[NOTE_GRAPHS]++;
    CUDA_TRY(cudaGraphLaunch(r->graph, c->stream));
    return status_ok();
}

Status cuda_no_capture(const Backend *be, const char *what)
{
    if (!cuda_of(be)->captures) return status_ok();
    return status_fail(ERR_NODE, "%s cannot be part of it", what);
}
