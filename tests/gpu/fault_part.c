/* A rank dies while another waits for it in a sum over NCCL: the survivor's group ends with ERR_RETRY instead of waiting for ever,
 * and with a new process it forms a new group on the same back end, whose sums are right.
 *
 * This process is what the farm's coordinator and MPI are: it sees the death, tells the group's other rank through the boxes, and starts
 * the next process. Pipes say when: the survivor is out of its old group, the new boxes are there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpu/boxes.h"
#include "tests/gpu/parts.h"

enum { NUMBERS = 1 << 20, LONGEST_SECONDS = 60 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Whether two ranks' tensors of 1 + rank add up to 3. */
static bool sum_is_right(Coll *c, Backend *be)
{
    float *v = malloc(NUMBERS * sizeof *v);
    bool same = v != NULL;
    ArenaMark mark = backend_mark(be);
    for (int i = 0; i < NUMBERS && v; i++) v[i] = 1.0f + (float)c->rank;
    Tensor x = backend_upload(be, v, 1, (int64_t[]){NUMBERS});
    coll_sum(c, be, x);
    backend_download(be, x, v);
    for (int i = 0; i < NUMBERS && same; i++) same = v[i] == 3.0f;
    backend_release(be, mark);
    free(v);
    return same && !failed(backend_status(be));
}

static Status join(int rank, Backend *be, Coll **processes, Coll **c)
{
    *processes = boxes_open(rank, 2);
    return coll_on_device(*processes, be, c);
}

static void leave(Coll **processes, Coll **c)
{
    if (*c != *processes) coll_close(c);
    *c = NULL;
    coll_close(processes);
}

static Status open_backend(int rank, Backend **be)
{
    char host[32];
    snprintf(host, sizeof host, "rank-%d-%d", rank, (int)getpid());
    setenv("NCCL_HOSTID", host, 1); /* else NCCL refuses two ranks on one device */
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
    return backend_open(&(BackendOptions){.kind = gpu_backend(), .threads = 2}, be);
}

/* Takes part in one right sum, then dies, or leaves in peace. */
static int short_life(bool dies)
{
    Backend *be = NULL;
    Coll *processes = NULL, *c = NULL;
    Status status = open_backend(1, &be);
    if (!failed(status)) status = join(1, be, &processes, &c);
    const bool right = !failed(status) && sum_is_right(c, be);
    if (failed(status)) fprintf(stderr, "rank 1: %s\n", status.message);
    if (dies) raise(SIGKILL);
    leave(&processes, &c);
    backend_close(&be);
    return !right;
}

typedef struct {
    Backend *be;
    Coll *processes, *c;
    double seconds; /* until the loss was known */
} Survivor;

/* One right sum, one that the other rank never joins. */
static Status lose(Survivor *s)
{
    TRY(open_backend(0, &s->be));
    TRY(join(0, s->be, &s->processes, &s->c));
    if (!sum_is_right(s->c, s->be)) return status_fail(ERR_FATAL, "the first sum: %s", backend_status(s->be).message);
    const double begin = now();
    sum_is_right(s->c, s->be);
    s->seconds = now() - begin;
    const Status lost = backend_status(s->be);
    if (lost.err != ERR_RETRY) return status_fail(ERR_FATAL, "a sum without a rank: %s", lost.message);
    leave(&s->processes, &s->c);
    backend_clear(s->be);
    return status_ok();
}

static int survive(int told, int tell)
{
    Survivor s = {0};
    char byte = 0;
    Status status = lose(&s);
    if (!failed(status) && (write(tell, &byte, 1) != 1 || read(told, &byte, 1) != 1))
        status = status_fail(ERR_FATAL, "no second group");
    if (!failed(status)) status = join(0, s.be, &s.processes, &s.c);
    if (!failed(status) && !sum_is_right(s.c, s.be))
        status = status_fail(ERR_FATAL, "a sum of the second group: %s", backend_status(s.be).message);
    printf("{\"part\": \"ranks\", \"how\": \"a rank dies in a sum; known after %.3f s; a second group\", \"ok\": %s",
           s.seconds, failed(status) ? "false" : "true");
    if (failed(status)) {
        printf(", \"error\": ");
        gpu_print_text(status.message);
    }
    printf("}\n");
    leave(&s.processes, &s.c);
    backend_close(&s.be);
    return failed(status);
}

static pid_t start(int rank, bool dies, int told, int tell)
{
    fflush(stdout);
    const pid_t child = fork();
    if (child != 0) return child;
    alarm(LONGEST_SECONDS);
    const int code = rank == 0 ? survive(told, tell) : short_life(dies);
    fflush(stdout);
    _exit(code);
}

int part_fault(int argc, char **argv)
{
    int up[2], down[2], code = 0;
    char byte = 0;
    (void)argc;
    (void)argv;
    if (pipe(up) || pipe(down)) return 3;
    boxes_new();
    const pid_t dying = start(1, true, 0, 0), survivor = start(0, false, down[0], up[1]);
    close(up[1]);
    close(down[0]);
    waitpid(dying, &code, 0);
    boxes_end();
    if (read(up[0], &byte, 1) == 1) { /* nobody looks into the old boxes any more */
        boxes_new();
        const pid_t next = start(1, false, 0, 0);
        if (write(down[1], &byte, 1) != 1) kill(survivor, SIGKILL);
        waitpid(next, &code, 0);
    }
    waitpid(survivor, &code, 0);
    return code != 0;
}
