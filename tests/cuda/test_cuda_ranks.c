/* test_cuda_ranks - what GPU ranks exchange, without a device: coll_nccl.c in three processes, NCCL answered by host_nccl.c, the
 * processes' own group over memory that they share (tests/gpu/boxes.c). Every call of coll.h that engine/ makes on tensors, on
 * the whole group and on a part of it; and a rank that gives up in the middle. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cuda/cuda.h"
#include "tests/gpu/boxes.h"

enum { RANKS = 3, TOKENS = 10, WIDTH = 12, HEADS = 4, LONGEST_SECONDS = 120 };

static int bad;

static void expect(bool fine, const char *what, int rank)
{
    if (fine) return;
    printf("rank %d: %s\n", rank, what);
    bad++;
}

static Tensor filled(Backend *be, int64_t rows, int64_t columns, float first, float step)
{
    float v[TOKENS * WIDTH * RANKS];
    for (int64_t i = 0; i < rows * columns; i++) v[i] = first + step * (float)i;
    return backend_upload(be, v, 2, (int64_t[]){rows, columns});
}

static bool holds(Backend *be, Tensor t, float first, float step)
{
    float v[TOKENS * WIDTH * RANKS];
    bool same = true;
    backend_download(be, t, v);
    for (int64_t i = 0; i < tensor_count(t); i++) same = same && fabsf(v[i] - (first + step * (float)i)) < 1e-4f;
    return same && !failed(backend_status(be));
}

static void check_sums(Coll *c, Backend *be)
{
    const float all = (float)(c->size * (c->size - 1) / 2), size = (float)c->size;
    Tensor x = filled(be, TOKENS, WIDTH, (float)c->rank, 1), y = filled(be, 3, 5, 2 * (float)c->rank, 1);
    coll_sum_begin(c, be, x);
    coll_sum_begin(c, be, y); /* two on their way */
    coll_wait(c, be);
    coll_wait(c, be);
    expect(holds(be, x, all, size), "a sum", c->rank);
    expect(holds(be, y, 2 * all, size), "the second of two sums", c->rank);
    Tensor narrow = backend_alloc(be, BF16, 2, (int64_t[]){4, 4});
    op_copy(be, narrow, filled(be, 4, 4, 1, 1));
    coll_sum(c, be, narrow);
    expect(holds(be, narrow, size, size), "a sum in bf16", c->rank);
}

static void check_broadcasts(Coll *c, Backend *be)
{
    for (int root = 0; root < c->size; root++) {
        Tensor x = filled(be, 3, WIDTH, 5 + (float)c->rank, 1);
        coll_broadcast(c, be, x, root);
        expect(holds(be, x, 5 + (float)root, 1), "a broadcast", c->rank);
    }
}

/* Rank r has columns or tokens of its own share; together they count from 0 on. */
static void check_parts(Coll *c, Backend *be)
{
    Tensor columns = coll_columns(c, be, filled(be, 1, 4, 4 * (float)c->rank, 1));
    expect(columns.dim[1] == 4 * c->size && holds(be, columns, 0, 1), "columns of all ranks", c->rank);
    const int64_t first = coll_first(c, c->rank, TOKENS), mine = coll_first(c, c->rank + 1, TOKENS) - first;
    Tensor own = filled(be, mine, WIDTH, (float)(first * WIDTH), 1);
    expect(holds(be, coll_all_tokens(c, be, own, TOKENS), 0, 1), "tokens of all ranks", c->rank);
    Tensor heads = coll_to_heads(c, be, own, TOKENS, HEADS);
    const int64_t share = (coll_first(c, c->rank + 1, HEADS) - coll_first(c, c->rank, HEADS)) * WIDTH / HEADS;
    expect(heads.dim[0] == TOKENS && heads.dim[1] == share, "the shape of one's heads", c->rank);
    expect(holds(be, coll_to_tokens(c, be, heads, TOKENS, HEADS), (float)(first * WIDTH), 1), "heads and back",
           c->rank);
}

/* Rank 1 fails in the middle: the others' next call ends with ERR_RETRY. */
static void check_failure(Coll *c, Backend *be)
{
    if (c->rank == 1) backend_fail(be, status_fail(ERR_NODE, "a fault of this rank"));
    Tensor x = filled(be, 2, 2, 1, 1);
    coll_sum(c, be, x);
    float v[4];
    backend_download(be, x, v);
    const Status s = backend_status(be);
    expect(s.err == (c->rank == 1 ? ERR_NODE : ERR_RETRY), "the end of a group", c->rank);
    expect(coll_is_aborted(c), "a group that goes on without a rank", c->rank);
}

static int run_rank(int rank)
{
    Backend *be = NULL;
    Coll *processes = boxes_open(rank, RANKS), *c = NULL, *part = NULL;
    backend_register_cuda(&cuda_kernels);
    Status status = backend_open(&(BackendOptions){.kind = BACKEND_CUDA, .threads = 1}, &be);
    if (!failed(status)) status = coll_on_device(processes, be, &c);
    if (failed(status)) {
        printf("rank %d: %s\n", rank, status.message);
        return 1;
    }
    check_sums(c, be);
    check_broadcasts(c, be);
    check_parts(c, be);
    if (rank != 1) {
        status = coll_part(c, (const int[]){0, 2}, 2, &part);
        expect(!failed(status), status.message, rank);
        if (!failed(status)) check_sums(part, be);
        if (!failed(status)) check_broadcasts(part, be);
        coll_close(&part);
    }
    int here[RANKS];
    expect(!failed(coll_host_gather(c, &rank, sizeof rank, here)) && here[2] == 2, "a meeting",
           rank); /* the part is over */
    check_failure(c, be);
    coll_close(&c);
    backend_close(&be);
    coll_close(&processes);
    return bad > 0;
}

int main(void)
{
    int code, failures = 0;
    boxes_new();
    for (int r = 0; r < RANKS; r++)
        if (fork() == 0) {
            alarm(LONGEST_SECONDS);
            code = run_rank(r);
            fflush(stdout);
            _exit(code);
        }
    while (wait(&code) > 0) failures += !WIFEXITED(code) || WEXITSTATUS(code) != 0;
    printf("%d of %d ranks failed\n", failures, RANKS);
    return failures > 0;
}
