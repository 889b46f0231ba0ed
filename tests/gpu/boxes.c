/* boxes.c - see boxes.h. Between every two processes there is a box for each direction: one writes it, the other reads it. */
#include "boxes.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels/backend.h"

enum { BOX_BYTES = 1 << 20 };

typedef struct { /* from one process to another */
    atomic_long written, read;
    char data[BOX_BYTES];
} Box;

typedef struct {                     /* shared */
    atomic_int ended;                /* a rank gave up */
    Box box[BOXES_MOST][BOXES_MOST]; /* [from][to] */
} Boxes;

static Boxes *boxes;

typedef struct {
    int process[BOXES_MOST]; /* of each rank */
} Boxed;

/* ---- a group over boxes ------------------------------------------------------------------------------------------------------ */

static Status gone(void) { return status_fail(ERR_RETRY, "a rank gave up"); }

static Status await(atomic_long *counter, long value)
{
    for (; atomic_load(counter) != value; nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL))
        if (atomic_load(&boxes->ended)) return gone();
    return status_ok();
}

/* mine[bytes] of every rank, in `all`, piece by piece. */
static Status boxed_gather(Coll *c, const void *mine, size_t bytes, void *all)
{
    const int *process = ((Boxed *)c->own)->process, me = process[c->rank];
    memcpy((char *)all + (size_t)c->rank * bytes, mine, bytes);
    for (size_t at = 0; at < bytes; at += BOX_BYTES) {
        const size_t n = bytes - at < BOX_BYTES ? bytes - at : BOX_BYTES;
        for (int r = 0; r < c->size; r++) {
            Box *b = &boxes->box[me][process[r]];
            if (r == c->rank) continue;
            TRY(await(&b->read, atomic_load(&b->written)));
            memcpy(b->data, (const char *)mine + at, n);
            atomic_fetch_add(&b->written, 1);
        }
        for (int r = 0; r < c->size; r++) {
            Box *b = &boxes->box[process[r]][me];
            if (r == c->rank) continue;
            TRY(await(&b->written, atomic_load(&b->read) + 1));
            memcpy((char *)all + (size_t)r * bytes + at, b->data, n);
            atomic_fetch_add(&b->read, 1);
        }
    }
    return status_ok();
}

static Status boxed_broadcast(Coll *c, void *data, size_t bytes, int root)
{
    char *all = malloc(bytes * (size_t)c->size + 1);
    if (!all) return status_fail(ERR_NODE, "out of memory");
    Status status = boxed_gather(c, data, bytes, all);
    memcpy(data, all + (size_t)root * bytes, bytes);
    free(all);
    return status;
}

static Status boxed_part(Coll *c, const int *member, int size, Coll *part)
{
    const Boxed *whole = c->own;
    Boxed *b = calloc(1, sizeof *b);
    if (!b) return status_fail(ERR_NODE, "out of memory");
    for (int r = 0; r < size; r++) b->process[r] = whole->process[member[r]];
    part->own = b;
    return status_ok();
}

static void boxed_close(Coll *c) { free(c->own); }

static Status boxed_look(Coll *c)
{
    (void)c;
    return atomic_load(&boxes->ended) ? gone() : status_ok();
}

static void boxed_abort(Coll *c)
{
    (void)c;
    atomic_store(&boxes->ended, 1);
}

/* Tensors in host memory. */
static Status boxed_sum(Coll *c, Backend *be, Tensor x)
{
    const int64_t count = tensor_count(x);
    float *all = malloc((size_t)(count * c->size) * sizeof *all + 1), *own = malloc((size_t)count * sizeof *own + 1);
    Status status = all && own ? be->kernels->download(be, x, own) : status_fail(ERR_NODE, "out of memory");
    if (!failed(status)) status = boxed_gather(c, own, (size_t)count * sizeof *own, all);
    for (int64_t i = 0; i < count && !failed(status); i++) {
        own[i] = all[i];
        for (int r = 1; r < c->size; r++) own[i] += all[r * count + i];
    }
    if (!failed(status)) status = be->kernels->upload(be, own, x);
    free(all);
    free(own);
    return status;
}

static Status boxed_wait(Coll *c, Backend *be)
{
    (void)c;
    (void)be;
    return status_ok();
}

/* Every rank's `in` to all; each takes its part. Sizes may differ: the largest is sent. */
static Status boxed_exchange(Coll *c, Backend *be, Tensor in, const int64_t *in_count, Tensor out,
                             const int64_t *out_count)
{
    int64_t counts[BOXES_MOST * BOXES_MOST], mine[BOXES_MOST] = {0}, most = 0;
    const size_t number = dtype_bytes(in.dtype);
    (void)be;
    for (int r = 0; r < c->size; r++) mine[r] = in_count[r];
    TRY(boxed_gather(c, mine, sizeof mine, counts));
    for (int r = 0; r < c->size; r++) {
        int64_t sum = 0;
        for (int i = 0; i < c->size; i++) sum += counts[r * BOXES_MOST + i];
        if (sum > most) most = sum;
    }
    char *sent = calloc((size_t)most + 1, number), *all = malloc((size_t)(most * c->size) * number + 1);
    if (!sent || !all) return status_fail(ERR_NODE, "out of memory");
    memcpy(sent, in.data, tensor_bytes(in));
    Status status = boxed_gather(c, sent, (size_t)most * number, all);
    char *to = out.data;
    for (int r = 0; r < c->size; r++) {
        int64_t before = 0;
        for (int i = 0; i < c->rank; i++) before += counts[r * BOXES_MOST + i];
        memcpy(to, all + (size_t)(r * most + before) * number, (size_t)out_count[r] * number);
        to += (size_t)out_count[r] * number;
    }
    free(sent);
    free(all);
    return status;
}

static Status boxed_gather_tensor(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count)
{
    int64_t in[BOXES_MOST];
    const int64_t n = tensor_count(x);
    Tensor copies = backend_alloc(be, x.dtype, 1, (int64_t[]){n * c->size});
    for (int r = 0; r < c->size; r++) {
        in[r] = n;
        op_copy(be, tensor_rows(copies, r * n, n), x);
    }
    return failed(backend_status(be)) ? backend_status(be) : boxed_exchange(c, be, copies, in, all, count);
}

static const CollHome boxed_home = {.name = "boxes",
                                    .sum_begin = boxed_sum,
                                    .wait = boxed_wait,
                                    .exchange = boxed_exchange,
                                    .gather = boxed_gather_tensor,
                                    .host_gather = boxed_gather,
                                    .host_broadcast = boxed_broadcast,
                                    .part = boxed_part,
                                    .look = boxed_look,
                                    .abort = boxed_abort,
                                    .close = boxed_close};

void boxes_new(void)
{
    if (!boxes) boxes = mmap(NULL, sizeof *boxes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (boxes == MAP_FAILED) abort();
    memset(boxes, 0, sizeof *boxes);
}

void boxes_end(void) { atomic_store(&boxes->ended, 1); }

Coll *boxes_open(int rank, int size)
{
    Boxed *own = calloc(1, sizeof *own);
    if (!own || size > BOXES_MOST) abort();
    for (int r = 0; r < size; r++) own->process[r] = r;
    return coll_new(&boxed_home, rank, size, own);
}
