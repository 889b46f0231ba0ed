/* bench_steer.c - what it takes to steer clips by a condition: one row of all, then a quarter of them. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench_farm.h"
#include "common/file.h"
#include "common/moment.h"
#include "coordinator/ledger_steer.h"

/* What the verb does, then what the coordinator does within a round. took_ms: the longer of the two. */
static Status steer(Ledger *l, const char *verb, const char *where, int64_t expected, double *took_ms)
{
    LedgerRequest r = {.verb = text_copy(verb), .clip_id = text_copy("")};
    int64_t meant = 0, may = 0, changed = 0, *lease = NULL, leases = 0, *shot = NULL, shots = 0;
    double asked_s = moment_s(), taken_s = asked_s, changed_s;
    Status status = ledger_make_filter(l, &where, 1, &r.filter);
    if (!failed(status)) status = ledger_count_meant(l, &r, &meant, &may);
    taken_s = moment_s();
    if (!failed(status)) status = ledger_begin(l, moment_wall_s());
    if (!failed(status)) status = ledger_request_leases(l, &r, &lease, &leases);
    if (!failed(status)) status = ledger_apply_request(l, &r, &changed);
    if (!failed(status)) status = ledger_commit(l);
    changed_s = moment_s();
    if (!failed(status)) status = ledger_planned_shots(l, &shot, &shots);
    double ended_s = moment_s();
    if (!failed(status) && (meant != expected || changed != expected))
        status = status_fail(ERR_FATAL, "%s --where %s: %lld clips changed, expected %lld", verb, where,
                             (long long)changed, (long long)expected);
    printf("steer        %s --where '%s': %lld clips found in %.0f ms, changed in %.0f ms, plan read in %.0f ms\n",
           verb, where, (long long)changed, (taken_s - asked_s) * 1e3, (changed_s - taken_s) * 1e3,
           (ended_s - changed_s) * 1e3);
    double longer_s = taken_s - asked_s > ended_s - taken_s ? taken_s - asked_s : ended_s - taken_s;
    if (longer_s * 1e3 > *took_ms) *took_ms = longer_s * 1e3;
    free(lease);
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
        TRY_OUT(status_fail(ERR_FATAL, "steering one clip by a condition took %.0f ms, expected at most %d", one_ms,
                            b->most_steer_ms));
out:
    ledger_close(&l);
    free(one);
    return status;
}
