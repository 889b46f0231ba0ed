/* test_coll_ranks: what the ranks of an MPI job exchange, by hand-made numbers; then groups that are given up in the middle of large sums,
 * again and again, and one whose rank dies: the others hear of it, and form another. Run it as `mpirun -n 3 test_coll_ranks`;
 * the last line is "coll ranks: fine" (mpirun's status proves nothing after a death). */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/link.h"
#include "common/moment.h"
#include "kernels/coll.h"

enum { RANKS = 3, ROUNDS = 20, LARGE = 1 << 20 };

static Link *job;
static int rank;
static int64_t formed;
static Backend *be;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "rank %d: line %d: %s (%s)\n", rank, __LINE__, #condition, backend_status(be).message);    \
            link_abort(&job, 1);                                                                                       \
        }                                                                                                              \
    } while (0)

static Coll *open_group(int size)
{
    const int world[RANKS] = {0, 1, 2};
    Coll *c = NULL;
    Status status = coll_open_mpi(world, size, ++formed, &c);
    CHECK(!failed(status));
    return c;
}

/* What rank r has at place i. Of a size that rounds, so that the order of a sum matters. */
static float number(int r, int64_t i) { return sinf((float)i * 0.7f + (float)r) * (1.0f + 1000.0f * (float)(r == 1)); }

static Tensor filled(int r, DType dtype, int64_t rows, int64_t columns)
{
    float *v = memory_get((size_t)(rows * columns) + 1, sizeof *v);
    for (int64_t i = 0; i < rows * columns; i++) v[i] = number(r, i);
    Tensor t = backend_upload(be, v, 2, (int64_t[]){rows, columns});
    free(v);
    if (dtype == F32) return t;
    Tensor narrow = backend_alloc(be, dtype, 2, t.dim);
    op_copy(be, narrow, t);
    return narrow;
}

static uint64_t digest(Tensor t)
{
    const unsigned char *p = t.data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < tensor_bytes(t); i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}

static void sums(Coll *c)
{
    for (int64_t n = 1; n <= 4097; n = n * 4 + (n > 100)) { /* fewer numbers than ranks, and odd ones */
        ArenaMark mark = backend_mark(be);
        Tensor x = filled(rank, F32, 1, n), y = filled(rank, BF16, 1, n);
        coll_sum_begin(c, be, x);
        coll_sum_begin(c, be, y);
        coll_wait(c, be);
        coll_wait(c, be);
        CHECK(!failed(backend_status(be)));
        for (int64_t i = 0; i < n; i++)
            CHECK(((float *)x.data)[i] == number(0, i) + number(1, i) + number(2, i)); /* in the order of ranks */
        uint64_t own[2] = {digest(x), digest(y)}, all[2 * RANKS];
        CHECK(!failed(coll_host_gather(c, own, sizeof own, all)));
        for (int r = 1; r < RANKS; r++) CHECK(all[2 * r] == all[0] && all[2 * r + 1] == all[1]);
        backend_release(be, mark);
    }
}

static void broadcasts(Coll *c)
{
    for (int root = 0; root < RANKS; root++) {
        ArenaMark mark = backend_mark(be);
        Tensor x = filled(rank, root == 1 ? BF16 : F32, 7, 5), want = filled(root, x.dtype, 7, 5);
        coll_broadcast(c, be, x, root);
        CHECK(!failed(backend_status(be)) && memcmp(x.data, want.data, tensor_bytes(x)) == 0);
        backend_release(be, mark);
    }
}

/* 10 tokens, 4 heads of 2 numbers: neither is divided evenly. */
static void tokens_and_heads(Coll *c)
{
    ArenaMark mark = backend_mark(be);
    Tensor all = filled(7, F32, 10, 8);
    const int64_t first = coll_first(c, rank, 10), count = coll_first(c, rank + 1, 10) - first;
    const int64_t head = 2 * coll_first(c, rank, 4), width = 2 * coll_first(c, rank + 1, 4) - head;
    Tensor own = tensor_rows(all, first, count), heads = coll_to_heads(c, be, own, 10, 4);
    CHECK(heads.dim[0] == 10 && heads.dim[1] == width);
    for (int t = 0; t < 10; t++)
        for (int i = 0; i < width; i++)
            CHECK(((float *)heads.data)[t * width + i] == ((float *)all.data)[t * 8 + head + i]);
    Tensor back = coll_to_tokens(c, be, heads, 10, 4);
    CHECK(back.dim[0] == count && memcmp(back.data, own.data, tensor_bytes(own)) == 0);
    Tensor whole = coll_all_tokens(c, be, own, 10);
    CHECK(memcmp(whole.data, all.data, tensor_bytes(all)) == 0);
    Tensor columns = coll_columns(c, be, filled(rank, F32, 5, 3));
    for (int t = 0; t < 5; t++)
        for (int i = 0; i < 9; i++) CHECK(((float *)columns.data)[t * 9 + i] == number(i / 3, t * 3 + i % 3));
    backend_release(be, mark);
}

static void host_memory(Coll *c)
{
    char text[16] = "";
    if (rank == 2) snprintf(text, sizeof text, "from rank 2");
    CHECK(!failed(coll_host_broadcast(c, text, sizeof text, 2)) && strcmp(text, "from rank 2") == 0);
    Status s = coll_agree(c, rank == 1 ? status_fail(ERR_NODE, "disk of rank 1") : status_fail(ERR_STOP, "told to"));
    CHECK(s.err == ERR_NODE && strcmp(s.message, "disk of rank 1") == 0);
    CHECK(!failed(coll_agree(c, status_ok())));
}

static void parts(Coll *c)
{
    const int outer[2] = {0, 2}, mine[1] = {1};
    Coll *part;
    CHECK(!failed(rank == 1 ? coll_part(c, mine, 1, &part) : coll_part(c, outer, 2, &part)));
    CHECK(part->size == (rank == 1 ? 1 : 2) && part->rank == (rank == 2 ? 1 : 0));
    Tensor x = filled(rank, F32, 1, 9);
    coll_sum(part, be, x);
    for (int64_t i = 0; i < 9; i++)
        CHECK(((float *)x.data)[i] == (rank == 1 ? number(1, i) : number(0, i) + number(2, i)));
    coll_sum(c, be, filled(rank, F32, 1, 9));
    CHECK(!failed(backend_status(be)));
    coll_close(&part);
}

/* A rank fails while large sums are on their way; all others end with ERR_RETRY; the next group is as good as new. */
static void give_up(int round)
{
    Coll *c = open_group(RANKS);
    ArenaMark mark = backend_mark(be);
    Tensor x = filled(rank, F32, 1, LARGE), y = filled(rank, F32, 1, LARGE);
    for (int i = 0; i < 3 && !failed(backend_status(be)); i++) {
        coll_sum_begin(c, be, x);
        if (rank == round % RANKS && i == round % 3) op_add_to(be, x, tensor_rows(x, 0, 0), 1.0f); /* does not fit */
        coll_sum_begin(c, be, y);
        coll_wait(c, be);
        coll_wait(c, be);
    }
    CHECK(backend_status(be).err == (rank == round % RANKS ? ERR_CLIP : ERR_RETRY));
    CHECK(coll_is_aborted(c));
    CHECK(failed(coll_agree(c, status_ok())));
    backend_clear(be);
    backend_release(be, mark);
    coll_close(&c);
}

static void die(void)
{
    Coll *c = open_group(RANKS);
    if (rank == 2) raise(SIGKILL);
    coll_sum(c, be, filled(rank, F32, 1, LARGE));
    CHECK(backend_status(be).err == ERR_RETRY);
    backend_clear(be);
    coll_close(&c);
    c = open_group(2);
    Tensor x = filled(rank, F32, 1, 100);
    coll_sum(c, be, x);
    CHECK(!failed(backend_status(be)) && ((float *)x.data)[99] == number(0, 99) + number(1, 99));
    CHECK(!failed(coll_agree(c, status_ok())));
    coll_close(&c);
}

int main(void)
{
    if (failed(link_open_mpi(&job)) || job->count != RANKS) return 1;
    rank = job->rank;
    if (failed(backend_open(&(BackendOptions){.kind = BACKEND_CPU, .threads = 1}, &be))) return 1;
    Coll *c = open_group(RANKS);
    sums(c);
    broadcasts(c);
    tokens_and_heads(c);
    host_memory(c);
    parts(c);
    coll_close(&c);
    for (int round = 0; round < ROUNDS; round++) give_up(round);
    if (link_survives_deaths()) die();
    if (rank > 0) pause(); /* the first rank ends the job when its line is out: MPI_Abort can overtake it */
    printf("coll ranks: fine\n");
    fflush(stdout);
    moment_sleep_ms(300);
    backend_close(&be);
    link_abort(&job, 0);
    return 0;
}
