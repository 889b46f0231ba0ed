/* Several processes that share one device render a fixture together, tensors over NCCL. What the processes say to each other
 * besides goes through boxes in memory that they share: no MPI. The same program on the CPU back end sends tensors through
 * the boxes too. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/gpu/boxes.h"
#include "tests/gpu/parts.h"
#include "tests/gpu/tokenizer_recorded.h"
#include "tests/parity/parity.h"

/* ---- processes ---------------------------------------------------------------------------------------------------------------- */

static int render(const char *folder, int rank, int size, const Split *split, DType compute, const char *how)
{
    char host[32];
    snprintf(host, sizeof host, "rank-%d", rank);
    setenv("NCCL_HOSTID", host, 1); /* else NCCL refuses two ranks on one device */
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
    Coll *group = boxes_open(rank, size);
    ParityReport report = {0};
    const ParityRun run = {
        .backend = {.kind = gpu_backend(), .compute = compute, .threads = 2}, .group = group, .split = split};
    tokenizer_recorded_use(folder);
    Status status = parity_run(folder, &run, &report);
    uint64_t latents[BOXES_MOST];
    bool ok = rank != 0 || parity_part_print(folder, how, compute == F32 ? PARITY_FP32 : PARITY_BF16, status, &report);
    if (!failed(status)) status = coll_host_gather(group, &report.latents, sizeof report.latents, latents);
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
    pid_t child[BOXES_MOST];
    char how[64];
    snprintf(how, sizeof how, "%s, %d ranks, split %dx%dx%d", dtype_name(compute), size, split->guidance,
             split->sequence, split->tensor);
    boxes_new();
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
    for (int i = 0; i < 3; i++) bad += run_split(argv[2], size, size == 2 ? &two[i] : &four[i], compute, seconds);
    return bad > 0;
}
