#include "kernels/coll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "kernels/shape.h"

/* ---- life ---------------------------------------------------------------------------------------------------------- */

Coll *coll_new(const CollHome *home, int rank, int size, void *own)
{
    Coll *c = memory_get(1, sizeof *c);
    *c = (Coll){.home = home, .rank = rank, .size = size, .own = own};
    return c;
}

void coll_close(Coll **c)
{
    if (!*c) return;
    if (*c != coll_self()) {
        if ((*c)->home->close) (*c)->home->close(*c);
        free(*c);
    }
    *c = NULL;
}

Status coll_part(Coll *c, const int *member, int size, Coll **out)
{
    *out = size == 1 ? coll_self() : c;
    if (size == 1 || size == c->size) return status_ok();
    int rank = 0;
    while (rank < size && member[rank] != c->rank) rank++;
    Coll *part = coll_new(c->home, rank, size, NULL);
    part->parent = c;
    Status status = c->home->part ? c->home->part(c, member, size, part) : status_ok();
    if (failed(status)) coll_close(&part);
    *out = part;
    return status;
}

static Coll *outermost(Coll *c)
{
    while (c->parent) c = c->parent;
    return c;
}

void coll_set_idle(Coll *c, Status (*idle)(void *self), void *self)
{
    c->idle = idle;
    c->idle_self = self;
}

bool coll_is_aborted(const Coll *c)
{
    while (c->parent) c = c->parent;
    return c->aborted;
}

void coll_abort(Coll *c)
{
    Coll *group = outermost(c);
    if (group->aborted || group->size == 1) return; /* the group of one is everybody's: nobody waits in it */
    group->aborted = true;
    if (group->home->abort) group->home->abort(group);
}

Status coll_on_device(Coll *c, Backend *be, Coll **out)
{
    *out = c;
    if (c->size == 1 || !be->kernels->coll || backend_plans(be)) return status_ok();
    return be->kernels->coll(be, c, out);
}

/* ---- what all calls have in common --------------------------------------------------------------------------------- */

static Status gone(void) { return status_fail(ERR_RETRY, "the group was given up: one of its ranks failed or died"); }

/* Whether the call reaches the home. A rank that cannot take part says so to the others, by ending the group. */
static bool reaches(Coll *c, Backend *be)
{
    if (c->size == 1 || backend_plans(be)) return false;
    if (failed(backend_status(be)))
        coll_abort(c);
    else if (coll_is_aborted(c))
        backend_fail(be, gone());
    return !coll_is_aborted(c);
}

Status coll_look(Coll *c)
{
    Coll *group = outermost(c);
    if (group->aborted) return gone();
    if (group->home->look) TRY(group->home->look(group));
    return group->idle ? group->idle(group->idle_self) : status_ok();
}

static Status finish(Coll *c, Status s)
{
    if (failed(s)) coll_abort(c);
    return s;
}

static void tensors_done(Coll *c, Backend *be, Status s)
{
    backend_fail(be, finish(c, s));
    if (failed(s)) c->pending = 0;
}

/* ---- tensors --------------------------------------------------------------------------------------------------------- */

void coll_sum_begin(Coll *c, Backend *be, Tensor x)
{
    if (!reaches(c, be)) return;
    if (c->pending == COLL_MAX_PENDING) abort(); /* a fault of the caller */
    c->pending++;
    tensors_done(c, be, c->home->sum_begin(c, be, x));
}

void coll_wait(Coll *c, Backend *be)
{
    if (!reaches(c, be) || c->pending == 0) return;
    c->pending--;
    tensors_done(c, be, c->home->wait(c, be));
}

void coll_sum(Coll *c, Backend *be, Tensor x)
{
    coll_sum_begin(c, be, x);
    coll_wait(c, be);
}

static void exchange(Coll *c, Backend *be, Tensor in, const int64_t *in_count, Tensor out, const int64_t *out_count)
{
    if (reaches(c, be)) tensors_done(c, be, c->home->exchange(c, be, in, in_count, out, out_count));
}

static void gather(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count)
{
    if (reaches(c, be)) tensors_done(c, be, c->home->gather(c, be, x, all, count));
}

/* A gather to which one rank alone has something to give. */
void coll_broadcast(Coll *c, Backend *be, Tensor x, int root)
{
    const int64_t all = tensor_count(x);
    int64_t count[COLL_MAX_RANKS] = {0};
    count[root] = all;
    x = tensor_reshape(x, 1, &all);
    gather(c, be, tensor_rows(x, 0, count[c->rank]), x, count);
}

/* ---- split products -------------------------------------------------------------------------------------------------- */

enum { MOST_PIECES = 4, LEAST_ROWS = 256 /* with fewer a product is slower for it */ };

void coll_linear_add(Coll *c, Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate)
{
    if (c->size == 1) {
        op_linear_add(be, acc, x, w, gate);
        return;
    }
    const int64_t rows = shape_rows(acc), width = shape_last(acc), share = (rows + MOST_PIECES - 1) / MOST_PIECES;
    const int64_t most = share > LEAST_ROWS ? share : rows < LEAST_ROWS ? rows : LEAST_ROWS;
    Tensor sum[2], before = {0};
    ArenaMark mark = backend_mark(be);
    for (int i = 0; i < 2; i++) sum[i] = backend_alloc(be, F32, 2, (int64_t[]){most, width});
    for (int64_t first = 0, i = 0; first < rows; first += most, i++) {
        const int64_t n = rows - first < most ? rows - first : most;
        Tensor piece = tensor_rows(sum[i % 2], 0, n);
        op_zero(be, piece);
        op_linear_add(be, piece, tensor_rows(x, first, n), w, gate);
        coll_sum_begin(c, be, piece);
        if (i > 0) {
            coll_wait(c, be);
            op_add_to(be, tensor_rows(acc, first - most, most), before, 1.0f);
        }
        before = piece;
    }
    if (rows > 0) {
        coll_wait(c, be);
        op_add_to(be, tensor_rows(acc, rows - before.dim[0], before.dim[0]), before, 1.0f);
    }
    backend_release(be, mark);
}

Tensor coll_linear(Coll *c, Backend *be, Tensor x, const Linear *w)
{
    Tensor out = op_linear(be, x, w, ACT_NONE);
    coll_sum(c, be, out);
    return out;
}

Tensor coll_columns(Coll *c, Backend *be, Tensor x)
{
    const int64_t n = shape_last(x), rows = shape_rows(x);
    int64_t count[COLL_MAX_RANKS];
    if (c->size == 1) return x;
    Tensor all = backend_alloc(be, x.dtype, 2, (int64_t[]){rows, n * c->size});
    ArenaMark mark = backend_mark(be);
    Tensor parts = backend_alloc(be, x.dtype, 2, (int64_t[]){rows * c->size, n});
    for (int r = 0; r < c->size; r++) count[r] = rows * n;
    gather(c, be, x, parts, count);
    for (int r = 0; r < c->size; r++) op_put_columns(be, all, tensor_rows(parts, r * rows, rows), r * n);
    backend_release(be, mark);
    return all;
}

Tensor coll_sumsq(Coll *c, Backend *be, Tensor a, Tensor b)
{
    if (c->size == 1) return (Tensor){0};
    Tensor sum = backend_alloc(be, F32, 2, (int64_t[]){b.data ? 2 : 1, shape_rows(a)});
    op_sumsq(be, a, tensor_rows(sum, 0, 1));
    if (b.data) op_sumsq(be, b, tensor_rows(sum, 1, 1));
    coll_sum(c, be, sum);
    return sum;
}

/* ---- sequence parallelism --------------------------------------------------------------------------------------------- */

int64_t coll_first(const Coll *c, int rank, int64_t count) { return rank * count / c->size; }

static int64_t share_of(const Coll *c, int rank, int64_t count)
{
    return coll_first(c, rank + 1, count) - coll_first(c, rank, count);
}

/* What travels is of the type that attention computes in. */
Tensor coll_to_heads(Coll *c, Backend *be, Tensor x, int64_t tokens, int heads)
{
    const int64_t width = shape_last(x) / heads, own = shape_rows(x), mine = share_of(c, c->rank, heads) * width;
    int64_t in_count[COLL_MAX_RANKS], out_count[COLL_MAX_RANKS];
    if (c->size == 1) return x;
    Tensor out = backend_alloc(be, backend_compute(be), 2, (int64_t[]){tokens, mine});
    ArenaMark mark = backend_mark(be);
    Tensor in = backend_alloc(be, backend_compute(be), 1, (int64_t[]){own * shape_last(x)});
    for (int r = 0; r < c->size; r++) {
        const int64_t first = coll_first(c, r, heads) * width, n = share_of(c, r, heads) * width;
        ArenaMark inner = backend_mark(be);
        op_copy(be, tensor_rows(in, own * first, own * n), op_columns(be, x, first, n));
        backend_release(be, inner);
        in_count[r] = own * n;
        out_count[r] = share_of(c, r, tokens) * mine;
    }
    exchange(c, be, in, in_count, out, out_count);
    backend_release(be, mark);
    return out;
}

Tensor coll_to_tokens(Coll *c, Backend *be, Tensor x, int64_t tokens, int heads)
{
    const int64_t own = share_of(c, c->rank, tokens), mine = shape_last(x);
    int64_t in_count[COLL_MAX_RANKS], out_count[COLL_MAX_RANKS];
    if (c->size == 1) return x;
    const int64_t width = mine / share_of(c, c->rank, heads);
    Tensor out = backend_alloc(be, x.dtype, 2, (int64_t[]){own, heads * width});
    ArenaMark mark = backend_mark(be);
    Tensor parts = backend_alloc(be, x.dtype, 1, (int64_t[]){own * heads * width});
    for (int r = 0; r < c->size; r++) {
        in_count[r] = share_of(c, r, tokens) * mine;
        out_count[r] = own * share_of(c, r, heads) * width;
    }
    exchange(c, be, x, in_count, parts, out_count);
    for (int r = 0; r < c->size; r++) {
        const int64_t first = coll_first(c, r, heads) * width, n = share_of(c, r, heads) * width;
        Tensor part = tensor_rows(parts, own * first, own * n);
        op_put_columns(be, out, tensor_reshape(part, 2, (int64_t[]){own, n}), first);
    }
    backend_release(be, mark);
    return out;
}

Tensor coll_all_tokens(Coll *c, Backend *be, Tensor x, int64_t tokens)
{
    int64_t count[COLL_MAX_RANKS];
    if (c->size == 1) return x;
    Tensor all = backend_alloc(be, x.dtype, 2, (int64_t[]){tokens, shape_last(x)});
    for (int r = 0; r < c->size; r++) count[r] = share_of(c, r, tokens) * shape_last(x);
    gather(c, be, x, all, count);
    return all;
}

/* ---- host memory -------------------------------------------------------------------------------------------------------- */

Status coll_host_broadcast(Coll *c, void *data, size_t bytes, int root)
{
    if (c->size == 1) return status_ok();
    if (coll_is_aborted(c)) return gone();
    return finish(c, c->home->host_broadcast(c, data, bytes, root));
}

Status coll_host_gather(Coll *c, const void *mine, size_t bytes, void *all)
{
    if (c->size == 1) {
        memcpy(all, mine, bytes);
        return status_ok();
    }
    if (coll_is_aborted(c)) return gone();
    return finish(c, c->home->host_gather(c, mine, bytes, all));
}

typedef struct {
    int err;
    char message[508];
} Opinion;

Status coll_agree(Coll *c, Status mine)
{
    static const int weight[] = {
        [OK] = 0, [ERR_STOP] = 1, [ERR_RETRY] = 2, [ERR_INPUT] = 3, [ERR_CLIP] = 4, [ERR_NODE] = 5, [ERR_FATAL] = 6};
    if (c->size == 1) return mine;
    Opinion own = {.err = mine.err}, all[COLL_MAX_RANKS];
    snprintf(own.message, sizeof own.message, "%s", mine.message);
    Status status = coll_host_gather(c, &own, sizeof own, all);
    if (failed(status)) return failed(mine) ? status_fail(mine.err, "%s", own.message) : status;
    int worst = 0;
    for (int r = 1; r < c->size; r++)
        if (weight[all[r].err] > weight[all[worst].err]) worst = r;
    if (all[worst].err == OK) return status_ok();
    all[worst].message[sizeof own.message - 1] = 0;
    return status_fail((ErrClass)all[worst].err, "%s", all[worst].message);
}
