/* Several processes that share one device render a fixture together, tensors over NCCL. What the processes say to each other
 * besides goes through boxes in memory that they share: no MPI. The same program on the CPU back end sends tensors through
 * the boxes too. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernels/coll.h"
#include "tests/gpu/parts.h"
#include "tests/gpu/tokenizer_recorded.h"
#include "tests/parity/parity.h"

bool parity_part_print(const char *folder, const char *how, DType compute, Status status, const ParityReport *r);

enum { MOST_PROCESSES = 4, BOX_BYTES = 1 << 20 };

typedef struct { /* from one process to another */
    atomic_long written, read;
    char data[BOX_BYTES];
} Box;

static Box (*boxes)[MOST_PROCESSES]; /* [from][to] */

typedef struct {
    int process[MOST_PROCESSES]; /* of each rank */
} Boxed;

/* ---- a group over boxes ------------------------------------------------------------------------------------------------------ */

static void await(atomic_long *counter, long value)
{
    while (atomic_load(counter) != value) nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

/* mine[bytes] of every rank, in `all`, piece by piece. */
static Status boxed_gather(Coll *c, const void *mine, size_t bytes, void *all)
{
    const int *process = ((Boxed *)c->own)->process, me = process[c->rank];
    memcpy((char *)all + (size_t)c->rank * bytes, mine, bytes);
    for (size_t at = 0; at < bytes; at += BOX_BYTES) {
        const size_t n = bytes - at < BOX_BYTES ? bytes - at : BOX_BYTES;
        for (int r = 0; r < c->size; r++) {
            Box *b = &boxes[me][process[r]];
            if (r == c->rank) continue;
            await(&b->read, atomic_load(&b->written));
            memcpy(b->data, (const char *)mine + at, n);
            atomic_fetch_add(&b->written, 1);
        }
        for (int r = 0; r < c->size; r++) {
            Box *b = &boxes[process[r]][me];
            if (r == c->rank) continue;
            await(&b->written, atomic_load(&b->read) + 1);
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

/* A rank that gives up ends its process: the parent ends the others. */
static void boxed_abort(Coll *c)
{
    (void)c;
    _exit(4);
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
    int64_t counts[MOST_PROCESSES * MOST_PROCESSES], mine[MOST_PROCESSES] = {0}, most = 0;
    const size_t number = dtype_bytes(in.dtype);
    (void)be;
    for (int r = 0; r < c->size; r++) mine[r] = in_count[r];
    TRY(boxed_gather(c, mine, sizeof mine, counts));
    for (int r = 0; r < c->size; r++) {
        int64_t sum = 0;
        for (int i = 0; i < c->size; i++) sum += counts[r * MOST_PROCESSES + i];
        if (sum > most) most = sum;
    }
    char *sent = calloc((size_t)most + 1, number), *all = malloc((size_t)(most * c->size) * number + 1);
    if (!sent || !all) return status_fail(ERR_NODE, "out of memory");
    memcpy(sent, in.data, tensor_bytes(in));
    Status status = boxed_gather(c, sent, (size_t)most * number, all);
    char *to = out.data;
    for (int r = 0; r < c->size; r++) {
        int64_t before = 0;
        for (int i = 0; i < c->rank; i++) before += counts[r * MOST_PROCESSES + i];
        memcpy(to, all + (size_t)(r * most + before) * number, (size_t)out_count[r] * number);
        to += (size_t)out_count[r] * number;
    }
    free(sent);
    free(all);
    return status;
}

static Status boxed_gather_tensor(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count)
{
    int64_t in[MOST_PROCESSES];
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
                                    .abort = boxed_abort,
                                    .close = boxed_close};

/* ---- processes ---------------------------------------------------------------------------------------------------------------- */

static int render(const char *folder, int rank, int size, const Split *split, DType compute, const char *how)
{
    char host[32];
    Boxed *own = calloc(1, sizeof *own);
    if (!own) return 3;
    for (int r = 0; r < size; r++) own->process[r] = r;
    snprintf(host, sizeof host, "rank-%d", rank);
    setenv("NCCL_HOSTID", host, 1); /* else NCCL refuses two ranks on one device */
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
    Coll *group = coll_new(&boxed_home, rank, size, own);
    ParityReport report = {0};
    const ParityRun run = {
        .backend = {.kind = gpu_backend(), .compute = compute, .threads = 2}, .group = group, .split = split};
    tokenizer_recorded_use(folder);
    Status status = parity_run(folder, &run, &report);
    uint64_t latents[MOST_PROCESSES];
    bool ok = rank != 0 || parity_part_print(folder, how, compute, status, &report);
    if (!failed(status)) status = boxed_gather(group, &report.latents, sizeof report.latents, latents);
    for (int r = 1; r < size && !failed(status); r++)
        if (latents[r] != latents[0]) {
            ok = false;
            if (rank == 0)
                printf("{\"part\": \"ranks\", \"how\": \"%s\", \"error\": \"rank %d has other latents\"}\n", how, r);
        }
    if (failed(status)) fprintf(stderr, "rank %d: %s\n", rank, status.message);
    coll_close(&group);
    return failed(status) || !ok;
}

/* One that fails ends the others, which would wait for it; so does time. */
static int wait_for(pid_t *child, int size, int seconds)
{
    int bad = 0, left = size;
    for (time_t end = time(NULL) + seconds; left > 0;) {
        int code;
        pid_t pid = waitpid(-1, &code, WNOHANG);
        if (pid <= 0) {
            if (time(NULL) >= end) bad = 1;
            if (bad)
                for (int r = 0; r < size; r++) kill(child[r], SIGKILL);
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
            continue;
        }
        left--;
        for (int r = 0; r < size; r++)
            if (child[r] == pid) child[r] = child[size - 1], child[size - 1] = 0;
        if (!WIFEXITED(code) || WEXITSTATUS(code) != 0) bad = 1;
        size = left;
    }
    return bad;
}

static int run_split(const char *folder, int size, const Split *split, DType compute, int seconds)
{
    pid_t child[MOST_PROCESSES];
    char how[64];
    snprintf(how, sizeof how, "%s, %d ranks, split %dx%dx%d", dtype_name(compute), size, split->guidance,
             split->sequence, split->tensor);
    memset(boxes, 0, sizeof(Box) * MOST_PROCESSES * MOST_PROCESSES);
    fflush(stdout);
    for (int r = 0; r < size; r++) {
        child[r] = fork();
        if (child[r] == 0) {
            const int code = render(folder, r, size, split, compute, how);
            fflush(stdout);
            _exit(code);
        }
    }
    const int bad = wait_for(child, size, seconds);
    if (bad) printf("{\"part\": \"ranks\", \"how\": \"%s\", \"ok\": false}\n", how);
    return bad;
}

int part_ranks(int argc, char **argv)
{
    static const Split two[] = {{1, 1, 2}, {1, 2, 1}, {2, 1, 1}}, four[] = {{2, 1, 2}, {1, 2, 2}, {1, 4, 1}};
    const int size = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0;
    const DType compute = gpu_flag(argc, argv, "--fp32") ? F32 : BF16;
    const int seconds = (int)strtol(gpu_value(argc, argv, "--seconds", "60"), NULL, 10);
    int bad = 0;
    if (size != 2 && size != 4) return 2;
    boxes = mmap(NULL, sizeof(Box) * MOST_PROCESSES * MOST_PROCESSES, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (boxes == MAP_FAILED) return 3;
    for (int i = 0; i < 3; i++) bad += run_split(argv[2], size, size == 2 ? &two[i] : &four[i], compute, seconds);
    return bad > 0;
}
