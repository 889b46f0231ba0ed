/* bench_steer.c - what it takes to steer clips by a condition: one row of all, then a quarter of them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench_farm.h"
#include "common/file.h"
#include "common/moment.h"
#include "coordinator/ledger/steer.h"

static double now_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

typedef struct {
    double wall_ms, cpu_ms;
} Lap;

static Lap take_lap(Lap *since)
{
    Lap now = {now_ms(CLOCK_MONOTONIC), now_ms(CLOCK_PROCESS_CPUTIME_ID)};
    Lap took = {now.wall_ms - since->wall_ms, now.cpu_ms - since->cpu_ms};
    *since = now;
    return took;
}

/* Within a round. */
static Status apply(Ledger *l, const LedgerRequest *r, int64_t *changed)
{
    int64_t *lease = NULL, leases;
    Status status = ledger_begin(l, moment_wall_s());
    if (!failed(status)) status = ledger_request_leases(l, r, &lease, &leases);
    if (!failed(status)) status = ledger_apply_request(l, r, changed);
    if (!failed(status)) status = ledger_commit(l);
    free(lease);
    return status;
}

/* What the verb does, then what the coordinator does. cpu_ms: the longer of the two took so much of a processor, if that is more. */
static Status steer(Ledger *l, const char *verb, const char *where, int64_t expected, double *cpu_ms)
{
    LedgerRequest r = {.verb = text_copy(verb), .clip_id = text_copy("")};
    int64_t meant = 0, may = 0, changed = 0, *shot = NULL, shots = 0;
    Lap since, found, moved = {0}, read = {0};
    take_lap(&since);
    Status status = ledger_make_filter(l, &where, 1, &r.filter);
    if (!failed(status)) status = ledger_count_selected(l, &r, &meant, &may);
    found = take_lap(&since);
    if (!failed(status)) status = apply(l, &r, &changed);
    moved = take_lap(&since);
    if (!failed(status)) status = ledger_planned_shots(l, &shot, &shots);
    read = take_lap(&since);
    if (!failed(status) && (meant != expected || changed != expected))
        status = status_fail(ERR_FATAL, "%s --where %s: %lld clips changed, expected %lld", verb, where,
                             (long long)changed, (long long)expected);
    printf("steer        %s --where '%s': %lld clips found in %.0f ms (%.0f processor), changed in %.0f (%.0f), plan "
           "read in %.0f (%.0f)\n",
           verb, where, (long long)changed, found.wall_ms, found.cpu_ms, moved.wall_ms, moved.cpu_ms, read.wall_ms,
           read.cpu_ms);
    if (found.cpu_ms > *cpu_ms) *cpu_ms = found.cpu_ms;
    if (moved.cpu_ms + read.cpu_ms > *cpu_ms) *cpu_ms = moved.cpu_ms + read.cpu_ms;
    free(shot);
    ledger_request_clear(&r);
    return status;
}

Status bench_steer(const BenchFarm *b)
{
    Ledger *l = NULL;
    double one_ms = 0, many_ms = 0;
    int64_t quarter = (b->size.rows / b->size.share + 3) / 4;
    char *one = text_format("id=customer-%07lld", (long long)b->size.rows / 2);
    Status status = status_ok();
    TRY_OUT(ledger_open(b->folder, LEDGER_WRITE, &l));
    TRY_OUT(ledger_begin_epoch(l, "bench", (int)getpid(), moment_wall_s()));
    TRY_OUT(steer(l, "cancel", one, 1, &one_ms));
    TRY_OUT(steer(l, "resume", one, 1, &one_ms));
    if (b->size.share == 1) {
        TRY_OUT(steer(l, "pause", "thing=a red balloon", quarter, &many_ms));
        TRY_OUT(steer(l, "resume", "thing=a red balloon", quarter, &many_ms));
    }
    if (one_ms > b->most_steer_ms)
        TRY_OUT(status_fail(ERR_FATAL,
                            "steering one clip by a condition took %.0f ms of processor time, expected at most %d",
                            one_ms, b->most_steer_ms));
out:
    ledger_close(&l);
    free(one);
    return status;
}
