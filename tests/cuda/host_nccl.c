/* host_nccl.c - what the CUDA back end calls of NCCL, between processes of one machine: a communicator is a file with
 * a board for each rank. A call is done when it returns. A rank that aborts is seen by the others at their next look, and so is one
 * whose process is gone. */
#include <fcntl.h>
#include <nccl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RANKS = 8, BOARD_BYTES = 16 << 20, MOST_QUEUED = 64 };

typedef struct {
    atomic_int arrived, round, aborted, left;
    atomic_int process[MOST_RANKS];
    size_t count[MOST_RANKS][MOST_RANKS]; /* bytes from a rank to another */
    char board[MOST_RANKS][BOARD_BYTES];
} Shared;

struct ncclComm {
    Shared *shared;
    int rank, size, round;
    bool failed, waits; /* waits: for the others to join or to leave, since `round` */
    char name[64];
};

typedef struct {
    enum { SEND, RECEIVE, BROADCAST } kind;
    const void *in;
    void *out;
    size_t bytes;
    int peer;
    ncclComm_t comm;
} Queued;

static Queued queued[MOST_QUEUED];
static int queue, depth;

const char *ncclGetErrorString(ncclResult_t e) { return e == ncclSuccess ? "success" : "a failure"; }
const char *ncclGetLastError(ncclComm_t comm) { return comm && comm->failed ? "a rank gave up" : ""; }

static void arrive(ncclComm_t c)
{
    Shared *s = c->shared;
    c->round = atomic_load(&s->round);
    if (atomic_fetch_add(&s->arrived, 1) + 1 < c->size) return;
    atomic_store(&s->arrived, 0);
    atomic_fetch_add(&s->round, 1);
}

static bool all_live(const Shared *s)
{
    bool live = true;
    for (int r = 0; r < MOST_RANKS; r++) {
        const int process = atomic_load(&s->process[r]);
        live = live && (process == 0 || kill(process, 0) == 0);
    }
    return live;
}

/* ncclSuccess when all ranks have come */
static ncclResult_t have_come(ncclComm_t c)
{
    if (atomic_load(&c->shared->round) != c->round) return ncclSuccess;
    if (!c->failed && !atomic_load(&c->shared->aborted) && all_live(c->shared)) return ncclInProgress;
    c->failed = true;
    return ncclRemoteError;
}

static ncclResult_t meet(ncclComm_t c)
{
    ncclResult_t e;
    for (arrive(c); (e = have_come(c)) == ncclInProgress;) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    return e;
}

/* As a non-blocking communicator does it: ncclCommGetAsyncError says when it is over. */
static ncclResult_t begin_to_meet(ncclComm_t c)
{
    c->waits = true;
    arrive(c);
    return ncclInProgress;
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    static int number;
    memset(id, 0, sizeof *id);
    snprintf(id->internal, 64, "/tmp/reelwright-host-nccl-%d-%d", (int)getpid(), number++);
    const int fd = open(id->internal, O_RDWR | O_CREAT | O_EXCL, 0600);
    const bool made = fd >= 0 && ftruncate(fd, sizeof(Shared)) == 0;
    if (fd >= 0) close(fd);
    return made ? ncclSuccess : ncclSystemError;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int size, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    ncclComm_t c = calloc(1, sizeof *c);
    const int fd = open(id.internal, O_RDWR);
    if (!c || fd < 0 || config->blocking != 0 || size > MOST_RANKS) return ncclInvalidArgument;
    c->shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    c->rank = rank;
    c->size = size;
    if (c->shared != MAP_FAILED) atomic_store(&c->shared->process[rank], (int)getpid());
    snprintf(c->name, sizeof c->name, "%s", id.internal);
    *comm = c;
    return c->shared == MAP_FAILED ? ncclSystemError : begin_to_meet(c);
}

static void leave(ncclComm_t c)
{
    if (atomic_fetch_add(&c->shared->left, 1) + 1 == c->size) unlink(c->name);
    munmap(c->shared, sizeof(Shared));
    free(c);
}

ncclResult_t ncclCommAbort(ncclComm_t c)
{
    atomic_store(&c->shared->aborted, 1);
    unlink(c->name);
    leave(c);
    return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t c) { return begin_to_meet(c); }

ncclResult_t ncclCommDestroy(ncclComm_t c)
{
    leave(c);
    return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *e)
{
    *e = c->waits ? have_come(c) : c->failed || atomic_load(&c->shared->aborted) ? ncclRemoteError : ncclSuccess;
    if (*e == ncclSuccess) c->waits = false;
    return ncclSuccess;
}

/* ---- exchanges --------------------------------------------------------------------------------------------------------------- */

static size_t size_of(ncclDataType_t t) { return t == ncclFloat32 ? 4 : 2; }

ncclResult_t ncclAllReduce(const void *in, void *out, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t c,
                           cudaStream_t stream)
{
    const size_t room = BOARD_BYTES / sizeof(float);
    if (type != ncclFloat32 || op != ncclSum || !stream) return ncclInvalidArgument;
    for (size_t at = 0; at < count; at += room) {
        const size_t n = count - at < room ? count - at : room;
        float *to = (float *)out + at;
        memcpy(c->shared->board[c->rank], (const float *)in + at, n * sizeof(float));
        if (meet(c) != ncclSuccess) return ncclRemoteError;
        for (size_t i = 0; i < n; i++) {
            float sum = 0;
            for (int r = 0; r < c->size; r++) sum += ((const float *)(const void *)c->shared->board[r])[i];
            to[i] = sum;
        }
        if (meet(c) != ncclSuccess) return ncclRemoteError;
    }
    return ncclSuccess;
}

ncclResult_t ncclGroupStart(void)
{
    depth++;
    return ncclSuccess;
}

static ncclResult_t enqueue(Queued q)
{
    if (depth == 0 || queue == MOST_QUEUED) return ncclInvalidUsage; /* the back end always groups these */
    queued[queue++] = q;
    return ncclSuccess;
}

ncclResult_t ncclSend(const void *in, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
    (void)stream;
    return enqueue((Queued){.kind = SEND, .in = in, .bytes = count * size_of(type), .peer = peer, .comm = comm});
}

ncclResult_t ncclRecv(void *out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
    (void)stream;
    return enqueue((Queued){.kind = RECEIVE, .out = out, .bytes = count * size_of(type), .peer = peer, .comm = comm});
}

ncclResult_t ncclBroadcast(const void *in, void *out, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream)
{
    (void)stream;
    return enqueue((Queued){BROADCAST, in, out, count * size_of(type), root, comm});
}

/* What a rank gives lies on its board, in the order of its calls; count says how much is for whom. */
ncclResult_t ncclGroupEnd(void)
{
    ncclComm_t c = queue ? queued[0].comm : NULL;
    size_t used = 0;
    if (--depth > 0 || !c) return ncclSuccess;
    Shared *s = c->shared;
    memset(s->count[c->rank], 0, sizeof s->count[c->rank]);
    for (int i = 0; i < queue; i++) {
        const Queued *q = &queued[i];
        if (q->kind == RECEIVE || (q->kind == BROADCAST && q->peer != c->rank)) continue;
        if (used + q->bytes > BOARD_BYTES) return ncclInternalError;
        memcpy(s->board[c->rank] + used, q->in, q->bytes);
        used += q->bytes;
        if (q->kind == SEND) s->count[c->rank][q->peer] = q->bytes;
    }
    if (meet(c) != ncclSuccess) return ncclRemoteError;
    for (int i = 0; i < queue; i++) {
        const Queued *q = &queued[i];
        size_t from = 0;
        if (q->kind == SEND) continue;
        for (int r = 0; q->kind == RECEIVE && r < c->rank; r++)
            from += s->count[q->peer][r]; /* sends go in the order of ranks */
        if (q->kind == RECEIVE && s->count[q->peer][c->rank] != q->bytes) return ncclInvalidUsage;
        memcpy(q->out, s->board[q->peer] + from, q->bytes);
    }
    queue = 0;
    return meet(c);
}
