/* coll_nccl.c - a group of GPU ranks: tensors over NCCL, the rest over the group of their processes (MPI).
 *
 * Theory of operation. A sum goes to a stream of its own, between two events: the compute stream goes on until coll_wait, so a
 * piece of a product is summed while the next is computed. Other calls are on the compute stream. Nothing here waits on the
 * host; the host waits where it downloads (cuda_wait), and there, as in every call that NCCL has not finished yet, it looks
 * at the communicator and at the processes' group. A rank that died is seen by the latter, its peers' kernels would wait for
 * ever: ncclCommAbort ends them, what they computed is thrown away with ERR_RETRY, and a new group has a new communicator.
 *
 * The communicator is non-blocking, so that its forming can be given up too. */
#include <nccl.h>
#include <stdlib.h>

#include "common/file.h"
#include "kernels/coll.h"
#include "kernels/cuda/cuda.h"

enum { LOOK_NS = 5000000 /* between looks at the processes' group */ };

typedef struct Nccl Nccl;
struct Nccl {
    Nccl *next;      /* of the back end's groups: a group and its parts end together */
    ncclComm_t comm; /* NULL after an abort */
    Coll *host;      /* borrowed, or owned by a part */
    bool owns_host;
    Backend *be;
    cudaStream_t stream; /* of sums */
    cudaEvent_t ready[COLL_MAX_PENDING], done[COLL_MAX_PENDING];
    Tensor wide[COLL_MAX_PENDING];   /* a narrow tensor as it is summed; data NULL: not needed */
    Tensor narrow[COLL_MAX_PENDING]; /* where the sum goes then */
    int begun, waited;               /* sums, counted */
};

static ncclDataType_t nccl_type(DType t) { return t == F32 ? ncclFloat32 : t == BF16 ? ncclBfloat16 : ncclFloat16; }

/* ---- failures -------------------------------------------------------------------------------------------------------- */

/* Kernels that wait for a peer end, those of a part too. */
static void give_up(Cuda *c)
{
    for (Nccl *n = c->groups; n; n = n->next) {
        if (n->comm) ncclCommAbort(n->comm);
        n->comm = NULL;
    }
}

static Status nccl_failure(Nccl *n, ncclResult_t e, const char *what)
{
    Status s = status_fail(ERR_RETRY, "%.40s: %s (%.200s)", what, ncclGetErrorString(e), ncclGetLastError(n->comm));
    give_up(cuda_of(n->be));
    return s;
}

/* Whether a rank died, gave up, or asks to stop, or a communicator found a fault. Cheap enough for every look at the device. */
static Status watch(Backend *be)
{
    Cuda *c = cuda_of(be);
    const Nccl *first = NULL;
    for (Nccl *n = c->groups; n; n = n->next) {
        ncclResult_t e = ncclSuccess;
        if (!n->comm) continue;
        if (ncclCommGetAsyncError(n->comm, &e) != ncclSuccess || (e != ncclSuccess && e != ncclInProgress))
            return nccl_failure(n, e, "NCCL");
        first = n;
    }
    if (!first) return c->groups ? status_fail(ERR_RETRY, "the group was given up") : status_ok();
    const int64_t now_ns = cuda_now_ns();
    if (now_ns - c->looked_ns < LOOK_NS) return status_ok();
    c->looked_ns = now_ns;
    Status s = coll_look(first->host);
    if (failed(s)) give_up(c);
    return s;
}

/* A non-blocking call is over when the communicator says so. */
static Status settle(Nccl *n, ncclResult_t e, const char *what)
{
    const int64_t begun_ns = cuda_now_ns();
    while (e == ncclInProgress) {
        TRY(watch(n->be));
        if (!n->comm) return status_fail(ERR_RETRY, "the group was given up");
        if (ncclCommGetAsyncError(n->comm, &e) != ncclSuccess) break;
        if (e == ncclInProgress) cuda_rest(begun_ns);
    }
    return e == ncclSuccess ? status_ok() : nccl_failure(n, e, what);
}
#define NCCL_TRY(n, call) TRY(settle(n, call, #call))

static Status still_there(const Nccl *n)
{
    return n->comm ? status_ok() : status_fail(ERR_RETRY, "the group was given up");
}

/* ---- sums ------------------------------------------------------------------------------------------------------------ */

/* x itself, or its numbers as fp32 in memory that lives until the sum has been waited for. */
static Status widen(Nccl *n, int slot, Tensor x, Tensor *out)
{
    n->narrow[slot] = n->wide[slot] = (Tensor){0};
    *out = x;
    if (x.dtype == F32) return status_ok();
    Tensor wide = tensor_view(NULL, F32, x.ndim, x.dim);
    TRY(cuda_memory_new(n->be, tensor_bytes(wide), &wide.data));
    n->wide[slot] = *out = wide;
    n->narrow[slot] = x;
    return cuda_copy(n->be, wide, x);
}

static Status nccl_sum_begin(Coll *c, Backend *be, Tensor x)
{
    Nccl *n = c->own;
    const int slot = n->begun % COLL_MAX_PENDING;
    const cudaStream_t compute = cuda_of(be)->stream;
    Tensor sum;
    TRY(still_there(n));
    TRY(widen(n, slot, x, &sum));
    CUDA_TRY(cudaEventRecord(n->ready[slot], compute));
    CUDA_TRY(cudaStreamWaitEvent(n->stream, n->ready[slot], 0));
    NCCL_TRY(n, ncclAllReduce(sum.data, sum.data, (size_t)tensor_count(sum), ncclFloat32, ncclSum, n->comm, n->stream));
    CUDA_TRY(cudaEventRecord(n->done[slot], n->stream));
    n->begun++;
    return status_ok();
}

static Status nccl_wait(Coll *c, Backend *be)
{
    Nccl *n = c->own;
    const int slot = n->waited % COLL_MAX_PENDING;
    (void)c;
    CUDA_TRY(cudaStreamWaitEvent(cuda_of(be)->stream, n->done[slot], 0));
    n->waited++;
    if (!n->wide[slot].data) return status_ok();
    Status status = cuda_copy(be, n->narrow[slot], n->wide[slot]);
    cuda_memory_free(be, n->wide[slot].data, tensor_bytes(n->wide[slot]));
    n->wide[slot].data = NULL;
    return status;
}

/* ---- parts ----------------------------------------------------------------------------------------------------------- */

static char *at(Tensor t, int64_t number) { return (char *)t.data + (size_t)number * dtype_bytes(t.dtype); }

static Status nccl_exchange(Coll *c, Backend *be, Tensor in, const int64_t *in_count, Tensor out,
                            const int64_t *out_count)
{
    Nccl *n = c->own;
    const cudaStream_t stream = cuda_of(be)->stream;
    const ncclDataType_t type = nccl_type(in.dtype);
    TRY(still_there(n));
    ncclResult_t e = ncclGroupStart();
    int64_t from = 0, to = 0;
    for (int r = 0; r < c->size; from += in_count[r], to += out_count[r], r++) {
        if (e == ncclSuccess || e == ncclInProgress)
            e = ncclSend(at(in, from), (size_t)in_count[r], type, r, n->comm, stream);
        if (e == ncclSuccess || e == ncclInProgress)
            e = ncclRecv(at(out, to), (size_t)out_count[r], type, r, n->comm, stream);
    }
    const ncclResult_t end = ncclGroupEnd();
    if (e == ncclSuccess || e == ncclInProgress) e = end;
    NCCL_TRY(n, e);
    return status_ok();
}

static Status nccl_gather(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count)
{
    Nccl *n = c->own;
    const cudaStream_t stream = cuda_of(be)->stream;
    TRY(still_there(n));
    ncclResult_t e = ncclGroupStart();
    int64_t to = 0;
    for (int r = 0; r < c->size; to += count[r++])
        if (e == ncclSuccess || e == ncclInProgress)
            e = ncclBroadcast(r == c->rank ? x.data : at(all, to), at(all, to), (size_t)count[r], nccl_type(x.dtype), r,
                              n->comm, stream);
    const ncclResult_t end = ncclGroupEnd();
    if (e == ncclSuccess || e == ncclInProgress) e = end;
    NCCL_TRY(n, e);
    return status_ok();
}

static Status nccl_host_gather(Coll *c, const void *mine, size_t bytes, void *all)
{
    return coll_host_gather(((Nccl *)c->own)->host, mine, bytes, all);
}

static Status nccl_host_broadcast(Coll *c, void *data, size_t bytes, int root)
{
    return coll_host_broadcast(((Nccl *)c->own)->host, data, bytes, root);
}

/* ---- life --------------------------------------------------------------------------------------------------------------- */

static void nccl_abort(Coll *c)
{
    Nccl *n = c->own;
    give_up(cuda_of(n->be));
    coll_abort(n->host);
}

/* Every rank closes: what is still on its way to a slower one must arrive. After a failure, of whatever kind, nobody waits: a peer that
 * failed too will not call ncclCommFinalize, and one that waits for this rank ends by the abort. */
static void finish_communicator(Nccl *n)
{
    if (!n->comm) return;
    if (coll_is_aborted(n->host) || failed(backend_status(n->be))) {
        ncclCommAbort(n->comm);
        n->comm = NULL;
        return;
    }
    if (failed(settle(n, ncclCommFinalize(n->comm), "ncclCommFinalize"))) return; /* aborted */
    ncclCommDestroy(n->comm);
    n->comm = NULL;
}

static void nccl_close(Coll *c)
{
    Nccl *n = c->own;
    if (!n) return;
    Cuda *cuda = cuda_of(n->be);
    finish_communicator(n);
    for (Nccl **at = &cuda->groups; *at; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    for (int i = 0; i < COLL_MAX_PENDING; i++) {
        if (n->wide[i].data) cuda_memory_free(n->be, n->wide[i].data, 0);
        if (n->ready[i]) cudaEventDestroy(n->ready[i]);
        if (n->done[i]) cudaEventDestroy(n->done[i]);
    }
    if (n->stream) cudaStreamDestroy(n->stream);
    if (n->owns_host) coll_close(&n->host);
    free(n);
    c->own = NULL;
}

static Status form(Nccl *n, int rank, int size)
{
    ncclUniqueId id;
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    Status status = status_ok();
    Cuda *c = cuda_of(n->be);
    n->next = c->groups;
    c->groups = n;
    c->watch = watch;
    config.blocking = 0;
    if (rank == 0 && ncclGetUniqueId(&id) != ncclSuccess) status = status_fail(ERR_NODE, "ncclGetUniqueId failed");
    TRY(coll_agree(n->host, status));
    TRY(coll_host_broadcast(n->host, &id, sizeof id, 0));
    CUDA_TRY(cudaStreamCreateWithFlags(&n->stream, cudaStreamNonBlocking));
    for (int i = 0; i < COLL_MAX_PENDING; i++) {
        CUDA_TRY(cudaEventCreateWithFlags(&n->ready[i], cudaEventDisableTiming));
        CUDA_TRY(cudaEventCreateWithFlags(&n->done[i], cudaEventDisableTiming));
    }
    ncclResult_t e = ncclCommInitRankConfig(&n->comm, size, id, rank, &config);
    if (!n->comm) return status_fail(ERR_NODE, "ncclCommInitRankConfig: %s", ncclGetErrorString(e));
    NCCL_TRY(n, e);
    return status_ok();
}

/* A rank that fails on the way says so to those that wait for it. */
static Status join(Nccl *n, int rank, int size)
{
    Status status = form(n, rank, size);
    if (failed(status)) coll_abort(n->host);
    return status;
}

static Status nccl_part(Coll *c, const int *member, int size, Coll *part)
{
    const Nccl *whole = c->own;
    Nccl *n = part->own = memory_get(1, sizeof *n);
    n->be = whole->be;
    TRY(coll_part(whole->host, member, size, &n->host));
    n->owns_host = n->host != whole->host;
    return join(n, part->rank, size);
}

static const CollHome nccl_home = {.name = "nccl",
                                   .sum_begin = nccl_sum_begin,
                                   .wait = nccl_wait,
                                   .exchange = nccl_exchange,
                                   .gather = nccl_gather,
                                   .host_gather = nccl_host_gather,
                                   .host_broadcast = nccl_host_broadcast,
                                   .part = nccl_part,
                                   .abort = nccl_abort,
                                   .close = nccl_close};

Status cuda_coll_open(Backend *be, Coll *host, Coll **out)
{
    Nccl *n = memory_get(1, sizeof *n);
    Coll *c = coll_new(&nccl_home, host->rank, host->size, n);
    n->be = be;
    n->host = host;
    Status status = join(n, host->rank, host->size);
    if (failed(status)) {
        coll_close(&c);
        return status;
    }
    *out = c;
    return status;
}
