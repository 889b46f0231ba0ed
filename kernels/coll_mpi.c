/* coll_mpi.c - a group of CPU ranks over MPI.
 *
 * Theory of operation. No communicator is made for a group: messages go point to point in MPI_COMM_WORLD, under tags that
 * belong to the group's number. Making one would be a collective call, which can hang on a stopped rank, and which Open MPI
 * 5.0.11 refuses once any rank of the parent has died (MPI_Comm_create_group: MPIX_ERR_PROC_FAILED), or needs every
 * survivor of the job at once (MPIX_Comm_shrink); so a group is formed of any ranks, at any time, without waiting, and one
 * group's end is no other's business.
 *
 * A death is seen by ULFM: each member has a standing receive from each other one, which fails within milliseconds when its
 * sender dies. A rank that gives up says so by a message to that receive. Waiting polls: data, the standing receives, and
 * `idle`, in which a worker hears the coordinator; so a member that is stopped holds the others only until they are told.
 *
 * What is sent and received lies in blocks of this file, never in the caller's memory. A message on its way when its group
 * ends can be neither called back nor trusted to end: so its block is kept in a list
 * and freed when MPI is done with it.
 *
 * A sum is a reduce-scatter and an all-gather: each rank adds up one part, in the order of ranks, so every rank ends with the
 * same bits. It moves 2 (T-1)/T of the tensor per rank, as a ring does. */
#include "kernels/coll.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include "common/file.h"
#include "common/moment.h"
#include "kernels/backend.h"
#include "kernels/convert.h"

enum {
    TAG_FIRST = 16, /* the link has those below */
    TAG_END = 0,
    TAG_DATA =
        1, /* and the next ones: the number of the message between two ranks, so that none is taken for another */
    SEQUENCE = 64,
    TAGS = TAG_DATA + SEQUENCE,
    SPINS = 200, /* looks before the first nap: a peer that computes the same is nearly there */
    MOST_NAP_US = 500,
    IDLE_MS = 20,
    SPARE_BLOCKS = 4,
    MOST_BYTES = 1 << 30 /* of one message; MPI counts in int */
};

typedef struct {
    void *data;
    size_t room;
} Block;

typedef struct {
    MPI_Request request;
    int world; /* the other rank */
} Message;

typedef struct Batch { /* messages that belong together, and the memory they use */
    struct Batch *next;
    Block out, in;
    Message *message;
    int count, room;
    int64_t numbers; /* of a sum */
    Tensor tensor;
} Batch;

typedef struct { /* what a group and its parts share */
    int tag, size, users;
    int world[COLL_MAX_RANKS];
    MPI_Request end[COLL_MAX_RANKS]; /* standing receives, by rank of the outermost group */
    int said[COLL_MAX_RANKS];        /* what they receive: nothing that is looked at */
    bool over[COLL_MAX_RANKS], died[COLL_MAX_RANKS];
    unsigned sent[COLL_MAX_RANKS], received[COLL_MAX_RANKS]; /* messages to and from each rank so far */
    Block spare[SPARE_BLOCKS];
    Batch *working;
} Group;

typedef struct { /* a Coll's own */
    Group *group;
    int world[COLL_MAX_RANKS];
    Batch *sum[COLL_MAX_PENDING];
} Mine;

static Batch *abandoned; /* of groups that have ended */

/* ---- memory ---------------------------------------------------------------------------------------------------------- */

static Status block_take(Group *g, size_t bytes, Block *out)
{
    *out = (Block){0};
    for (int i = 0; i < SPARE_BLOCKS; i++)
        if (g->spare[i].room >= bytes && (!out->data || g->spare[i].room < out->room)) *out = g->spare[i];
    for (int i = 0; i < SPARE_BLOCKS && out->data; i++)
        if (g->spare[i].data == out->data) g->spare[i] = (Block){0};
    if (out->data) return status_ok();
    out->room = bytes + 1;
    out->data = malloc(out->room);
    return out->data ? status_ok() : status_fail(ERR_NODE, "out of memory for an exchange of %zu bytes", bytes);
}

/* The largest are kept. */
static void block_give_back(Group *g, Block b)
{
    for (int i = 0; i < SPARE_BLOCKS; i++)
        if (g->spare[i].room < b.room) {
            Block smaller = g->spare[i];
            g->spare[i] = b;
            b = smaller;
        }
    free(b.data);
}

static Status batch_new(Group *g, size_t out_bytes, size_t in_bytes, Batch **out)
{
    Batch *b = memory_get(1, sizeof *b);
    Status status = block_take(g, out_bytes, &b->out);
    if (!failed(status)) status = block_take(g, in_bytes, &b->in);
    if (failed(status)) {
        free(b->out.data);
        free(b);
        return status;
    }
    b->next = g->working;
    g->working = b;
    *out = b;
    return status_ok();
}

/* All its messages have ended. */
static void batch_end(Group *g, Batch *b)
{
    Batch **at = &g->working;
    while (*at && *at != b) at = &(*at)->next;
    if (*at) *at = b->next;
    block_give_back(g, b->out);
    block_give_back(g, b->in);
    free(b->message);
    free(b);
}

static bool batch_is_over(Batch *b)
{
    for (int i = 0; i < b->count; i++) {
        int done = 0;
        if (MPI_Test(&b->message[i].request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) return false;
    }
    return true;
}

static void free_finished(void)
{
    for (Batch **at = &abandoned; *at;) {
        Batch *b = *at;
        if (!batch_is_over(b)) {
            at = &b->next;
            continue;
        }
        *at = b->next;
        free(b->out.data);
        free(b->in.data);
        free(b->message);
        free(b);
    }
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

static MPI_Request *next_request(Batch *b, int world)
{
    if (b->count == b->room) {
        b->room = b->room ? 2 * b->room : 8;
        b->message = memory_resize(b->message, (size_t)b->room, sizeof *b->message);
    }
    b->message[b->count] = (Message){MPI_REQUEST_NULL, world};
    return &b->message[b->count++].request;
}

static bool is_failure(int code)
{
#if defined(MPIX_ERR_PROC_FAILED)
    int class = MPI_SUCCESS;
    MPI_Error_class(code, &class);
    if (class == MPIX_ERR_PROC_FAILED_PENDING) return false; /* somebody's, not this peer's */
#endif
    return code != MPI_SUCCESS;
}

static Status peer_gone(int world) { return status_fail(ERR_RETRY, "rank %d, which shared the shot, died", world); }

/* In the outermost group; its parts share the numbers of messages. */
static int rank_of(const Group *g, int world)
{
    int r = 0;
    while (r < g->size - 1 && g->world[r] != world) r++;
    return r;
}

static Status post(const Mine *m, Batch *b, int peer, char *data, size_t bytes, bool send)
{
    const int world = m->world[peer];
    Group *g = m->group;
    unsigned *number = (send ? g->sent : g->received) + rank_of(g, world);
    for (size_t at = 0; at < bytes; at += MOST_BYTES) {
        const int tag = g->tag + TAG_DATA + (int)((*number)++ % SEQUENCE);
        const int n = (int)(bytes - at < MOST_BYTES ? bytes - at : MOST_BYTES);
        MPI_Request *r = next_request(b, world);
        int code = send ? MPI_Isend(data + at, n, MPI_BYTE, world, tag, MPI_COMM_WORLD, r)
                        : MPI_Irecv(data + at, n, MPI_BYTE, world, tag, MPI_COMM_WORLD, r);
        if (is_failure(code)) return peer_gone(world);
    }
    return status_ok();
}

/* Who died or gave up, by the standing receives. */
static void look_at_ends(Group *g)
{
    for (int r = 0; r < g->size; r++) {
        int done = 0;
        if (g->end[r] == MPI_REQUEST_NULL || g->over[r]) continue;
        g->died[r] = is_failure(MPI_Test(&g->end[r], &done, MPI_STATUS_IGNORE));
        g->over[r] = g->died[r] || done;
    }
}

/* Messages to and from a rank that gave up may still be on their way: it said all that it had to say before. */
static Status peer_failure(const Group *g, int world)
{
    for (int r = 0; r < g->size; r++)
        if (g->world[r] == world && g->over[r] && !g->died[r])
            return status_fail(ERR_RETRY, "rank %d, which shared the shot, gave up", world);
    return peer_gone(world);
}

static bool has_ended(const Group *g, int world) { return g->over[rank_of(g, world)]; }

static Status test_all(const Group *g, Batch *b, bool *over)
{
    *over = true;
    for (int i = 0; i < b->count; i++) {
        Message *m = &b->message[i];
        int done = 0;
        if (m->request == MPI_REQUEST_NULL) continue;
        const bool ended = has_ended(g, m->world); /* before the look */
        if (is_failure(MPI_Test(&m->request, &done, MPI_STATUS_IGNORE)) || (!done && ended))
            return peer_failure(g, m->world);
        if (!done) *over = false;
    }
    return status_ok();
}

static void nap(int look, long *us)
{
    if (look < SPINS) {
        sched_yield();
        return;
    }
    nanosleep(&(struct timespec){.tv_nsec = *us * 1000}, NULL);
    if (*us < MOST_NAP_US) *us += *us / 2;
}

static Status await(Coll *c, Batch *b)
{
    const Coll *outermost = c;
    Group *g = ((Mine *)c->own)->group;
    int64_t idle_ms = moment_ms();
    long us = 20;
    while (outermost->parent) outermost = outermost->parent;
    for (int look = 0;; look++) {
        bool over;
        TRY(test_all(g, b, &over));
        if (over) return status_ok();
        look_at_ends(g);
        nap(look, &us);
        if (!outermost->idle || moment_ms() - idle_ms < IDLE_MS) continue;
        idle_ms = moment_ms();
        TRY(outermost->idle(outermost->idle_self));
    }
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------- */

static char *at_bytes(Block b, int64_t count, size_t elem) { return (char *)b.data + (size_t)count * elem; }

/* Each rank's part goes to it; theirs of this rank's part come, one after the other. */
static Status mpi_sum_begin(Coll *c, Backend *be, Tensor x)
{
    Mine *m = c->own;
    Batch *b;
    const int64_t count = tensor_count(x);
    const int64_t mine = coll_first(c, c->rank + 1, count) - coll_first(c, c->rank, count);
    (void)be;
    TRY(batch_new(m->group, (size_t)count * sizeof(float), (size_t)(mine * c->size) * sizeof(float), &b));
    m->sum[c->pending - 1] = b;
    b->numbers = count;
    b->tensor = x;
    convert_to_float(x.data, x.dtype, count, b->out.data);
    for (int r = 0; r < c->size; r++) {
        const int64_t first = coll_first(c, r, count), n = coll_first(c, r + 1, count) - first;
        if (r == c->rank) continue;
        TRY(post(m, b, r, at_bytes(b->in, r * mine, sizeof(float)), (size_t)mine * sizeof(float), false));
        TRY(post(m, b, r, at_bytes(b->out, first, sizeof(float)), (size_t)n * sizeof(float), true));
    }
    return status_ok();
}

/* own = the sum of all ranks' numbers, in the order of ranks */
static void add_up(const Coll *c, const Backend *be, float *own, const float *theirs, int64_t count)
{
#pragma omp parallel for schedule(static) num_threads(be->options.threads) if (count > 1 << 14)
    for (int64_t i = 0; i < count; i++) {
        float sum = c->rank == 0 ? own[i] : theirs[i];
        for (int r = 1; r < c->size; r++) sum += r == c->rank ? own[i] : theirs[r * count + i];
        own[i] = sum;
    }
}

static Status mpi_wait(Coll *c, Backend *be)
{
    Mine *m = c->own;
    Batch *b = m->sum[0];
    const int64_t first = coll_first(c, c->rank, b->numbers), mine = coll_first(c, c->rank + 1, b->numbers) - first;
    float *own = (float *)b->out.data + first;
    TRY(await(c, b));
    add_up(c, be, own, b->in.data, mine);
    b->count = 0;
    for (int r = 0; r < c->size; r++) {
        const int64_t from = coll_first(c, r, b->numbers), n = coll_first(c, r + 1, b->numbers) - from;
        if (r == c->rank) continue;
        TRY(post(m, b, r, at_bytes(b->out, from, sizeof(float)), (size_t)n * sizeof(float), false));
        TRY(post(m, b, r, (char *)own, (size_t)mine * sizeof(float), true));
    }
    TRY(await(c, b));
    convert_from_float(b->out.data, b->tensor.dtype, b->numbers, b->tensor.data);
    memmove(m->sum, m->sum + 1, sizeof m->sum - sizeof *m->sum);
    batch_end(m->group, b);
    return status_ok();
}

/* Parts of out_bytes[r] for each rank r at `out_at[r]` of the batch's block; the own one is copied. */
static Status swap(Coll *c, Batch *b, const size_t *out_at, const size_t *out_bytes, const size_t *in_bytes)
{
    const Mine *m = c->own;
    size_t in_at = 0;
    for (int r = 0; r < c->size; in_at += in_bytes[r++]) {
        char *to = (char *)b->in.data + in_at, *from = (char *)b->out.data + out_at[r];
        if (r == c->rank) {
            memcpy(to, from, out_bytes[r]);
            continue;
        }
        TRY(post(m, b, r, to, in_bytes[r], false));
        TRY(post(m, b, r, from, out_bytes[r], true));
    }
    return await(c, b);
}

static Status mpi_exchange(Coll *c, Backend *be, Tensor in, const int64_t *in_count, Tensor out,
                           const int64_t *out_count)
{
    Mine *m = c->own;
    Batch *b;
    size_t at[COLL_MAX_RANKS], out_bytes[COLL_MAX_RANKS], in_bytes[COLL_MAX_RANKS], sum = 0;
    (void)be;
    for (int r = 0; r < c->size; r++) {
        out_bytes[r] = (size_t)in_count[r] * dtype_bytes(in.dtype);
        in_bytes[r] = (size_t)out_count[r] * dtype_bytes(out.dtype);
        at[r] = sum;
        sum += out_bytes[r];
    }
    TRY(batch_new(m->group, tensor_bytes(in), tensor_bytes(out), &b));
    memcpy(b->out.data, in.data, tensor_bytes(in));
    TRY(swap(c, b, at, out_bytes, in_bytes));
    memcpy(out.data, b->in.data, tensor_bytes(out));
    batch_end(m->group, b);
    return status_ok();
}

static Status gather_bytes(Coll *c, const void *mine, const size_t *bytes, void *all)
{
    Mine *m = c->own;
    Batch *b;
    size_t at[COLL_MAX_RANKS] = {0}, own[COLL_MAX_RANKS], sum = 0;
    for (int r = 0; r < c->size; r++) {
        own[r] = bytes[c->rank];
        sum += bytes[r];
    }
    TRY(batch_new(m->group, bytes[c->rank], sum, &b));
    memcpy(b->out.data, mine, bytes[c->rank]);
    TRY(swap(c, b, at, own, bytes));
    memcpy(all, b->in.data, sum);
    batch_end(m->group, b);
    return status_ok();
}

static Status mpi_gather(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count)
{
    size_t bytes[COLL_MAX_RANKS];
    (void)be;
    for (int r = 0; r < c->size; r++) bytes[r] = (size_t)count[r] * dtype_bytes(x.dtype);
    return gather_bytes(c, x.data, bytes, all.data);
}

/* ---- host memory ---------------------------------------------------------------------------------------------------------- */

static Status mpi_host_gather(Coll *c, const void *mine, size_t bytes, void *all)
{
    size_t each[COLL_MAX_RANKS];
    for (int r = 0; r < c->size; r++) each[r] = bytes;
    return gather_bytes(c, mine, each, all);
}

static Status mpi_host_broadcast(Coll *c, void *data, size_t bytes, int root)
{
    Mine *m = c->own;
    Batch *b;
    TRY(batch_new(m->group, bytes, 0, &b));
    if (c->rank == root) memcpy(b->out.data, data, bytes);
    for (int r = 0; r < c->size && c->rank == root; r++)
        if (r != root) TRY(post(m, b, r, b->out.data, bytes, true));
    if (c->rank != root) TRY(post(m, b, root, b->out.data, bytes, false));
    TRY(await(c, b));
    if (c->rank != root) memcpy(data, b->out.data, bytes);
    batch_end(m->group, b);
    return status_ok();
}

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

static void drop_request(MPI_Request *r)
{
    if (*r == MPI_REQUEST_NULL) return;
    MPI_Cancel(r);
    MPI_Request_free(r);
}

/* The others learn it by their standing receives; what is on its way is left to MPI. */
static void mpi_abort(Coll *c)
{
    static int end; /* outlives every message */
    Group *g = ((Mine *)c->own)->group;
    for (int r = 0; r < g->size; r++) {
        MPI_Request said = MPI_REQUEST_NULL;
        if (r == c->rank) continue;
        if (MPI_Isend(&end, 1, MPI_INT, g->world[r], g->tag + TAG_END, MPI_COMM_WORLD, &said) == MPI_SUCCESS &&
            said != MPI_REQUEST_NULL)
            MPI_Request_free(&said);
    }
    while (g->working) {
        Batch *b = g->working;
        g->working = b->next;
        for (int i = 0; i < b->count; i++)
            if (b->message[i].request != MPI_REQUEST_NULL)
                MPI_Cancel(&b->message[i].request); /* receives; sends stay */
        b->next = abandoned;
        abandoned = b;
    }
    free_finished();
}

static void mpi_close(Coll *c)
{
    Mine *m = c->own;
    Group *g = m ? m->group : NULL;
    free(m);
    if (!g || --g->users > 0) return;
    for (int r = 0; r < g->size; r++) drop_request(&g->end[r]);
    for (int i = 0; i < SPARE_BLOCKS; i++) free(g->spare[i].data);
    free(g);
}

static Status mpi_part(Coll *c, const int *member, int size, Coll *part)
{
    const Mine *whole = c->own;
    Mine *m = part->own = memory_get(1, sizeof *m);
    m->group = whole->group;
    m->group->users++;
    for (int r = 0; r < size; r++) m->world[r] = whole->world[member[r]];
    return status_ok();
}

static Status mpi_look(Coll *c)
{
    Group *g = ((Mine *)c->own)->group;
    look_at_ends(g);
    for (int r = 0; r < g->size; r++)
        if (g->over[r]) return peer_failure(g, g->world[r]);
    return status_ok();
}

static const CollHome mpi_home = {.name = "mpi",
                                  .sum_begin = mpi_sum_begin,
                                  .wait = mpi_wait,
                                  .exchange = mpi_exchange,
                                  .gather = mpi_gather,
                                  .host_gather = mpi_host_gather,
                                  .host_broadcast = mpi_host_broadcast,
                                  .part = mpi_part,
                                  .look = mpi_look,
                                  .abort = mpi_abort,
                                  .close = mpi_close};

Status coll_open_mpi(const int *world, int size, int64_t number, Coll **out)
{
    int own, rank = 0;
    *out = NULL;
    if (size < 1 || size > COLL_MAX_RANKS)
        return status_fail(ERR_INPUT, "a group of %d ranks, expected 1 to %d", size, COLL_MAX_RANKS);
    MPI_Comm_rank(MPI_COMM_WORLD, &own);
    while (rank < size && world[rank] != own) rank++;
    if (rank == size) return status_fail(ERR_FATAL, "rank %d is not of the group it was told to join", own);
    if (size == 1) {
        *out = coll_self();
        return status_ok();
    }
    Group *g = memory_get(1, sizeof *g);
    Mine *m = memory_get(1, sizeof *m);
    *g = (Group){.tag = TAG_FIRST + (int)(number % (INT_MAX / TAGS - TAG_FIRST)) * TAGS, .size = size, .users = 1};
    m->group = g;
    for (int r = 0; r < size; r++) {
        g->world[r] = m->world[r] = world[r];
        g->end[r] = MPI_REQUEST_NULL;
        if (r == rank) continue;
        int code = MPI_Irecv(&g->said[r], 1, MPI_INT, world[r], g->tag + TAG_END, MPI_COMM_WORLD, &g->end[r]);
        if (is_failure(code)) g->end[r] = MPI_REQUEST_NULL; /* dead already: the first call says so */
    }
    free_finished();
    *out = coll_new(&mpi_home, rank, size, m);
    return status_ok();
}
